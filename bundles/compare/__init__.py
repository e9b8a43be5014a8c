"""Two bundles that should be the same, byte by byte; what is not is told down to the file in the layer."""
