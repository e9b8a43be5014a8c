"""The verbs of `sealift`, one file each: parse flags, call one function, show the result."""
