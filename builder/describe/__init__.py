"""What a bundle is made of, as documents: SBOMs and provenance. Pure: receipts, recipe and lock in, bytes out."""
