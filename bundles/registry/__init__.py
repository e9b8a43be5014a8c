"""The client of OCI registries (distribution-spec 1.1): the one place where Sealift speaks HTTP to registries."""
