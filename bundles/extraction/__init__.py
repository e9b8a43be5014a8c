"""Layers -> files below named directories; nothing outside them, whatever the layers say."""
