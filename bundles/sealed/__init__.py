"""The sealed archive: one plain tar that is a docker-archive and an OCI image layout at once (bundle-format 2)."""
