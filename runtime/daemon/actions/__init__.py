"""What the stages do: one file per kind of work."""
