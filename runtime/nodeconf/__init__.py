"""A node's configuration: RKE2's keys, read and checked once, frozen afterwards."""
