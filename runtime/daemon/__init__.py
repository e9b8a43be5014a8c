"""The daemon: a node's lifecycle as a table of stages, a pure decision, and a thin runner."""
