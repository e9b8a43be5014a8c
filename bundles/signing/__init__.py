"""Keys, signatures and attestations in cosign's and sigstore's formats (bundle-format 5): bytes in, values out."""
