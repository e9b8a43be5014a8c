"""`sealift update`: newer patches in the line of what a recipe names, written into it with the fewest changes."""
