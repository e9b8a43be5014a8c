"""Configuration files of the programs of a node: values in, text out."""
