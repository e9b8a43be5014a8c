"""The bundle contract and its media: everything that builder and runtime both have to agree on."""
