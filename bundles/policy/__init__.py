"""Trust policies: which keys, how many of them, for which bundles; and which policy may follow which."""
