"""The input archive: everything that a lock names, as plain files, to build from without a network years later."""
