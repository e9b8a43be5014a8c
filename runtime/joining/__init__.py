"""Joining a cluster: what a machine asks a server's supervisor for, and how it finds the servers later."""
