"""The supervisor: what servers tell joining machines on port 9345, under RKE2's paths."""
