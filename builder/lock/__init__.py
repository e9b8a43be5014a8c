"""The lock: every moving part of a recipe, pinned, in one reviewed file beside it."""
