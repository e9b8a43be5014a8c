"""From a byte in a bundle to the line in the lock: `sealift why BUNDLE`."""
