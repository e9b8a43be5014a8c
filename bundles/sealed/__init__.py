"""Sealed archives: a plain tar that is a docker-archive and an OCI layout at once (bundle-format 2)."""
