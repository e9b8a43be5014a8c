"""Recipes: what a user writes, read strictly.

`keys` is the one table of all keys; `read` opens a folder, `parse` turns its files into the values of `model`;
`schema` and `reference` print the table for editors and people.
"""
