"""Layers of images that we build: entries -> a tar cut into independent zstd frames (bundle-format 3)."""
