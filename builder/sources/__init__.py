"""Where every byte comes from: Go modules, Debian packages, folders beside the recipe."""
