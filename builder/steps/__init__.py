"""The steps of a build, one file for each kind: a pure `describe` says what decides the output, `run` makes it."""
