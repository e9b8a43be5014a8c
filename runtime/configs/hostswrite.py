"""certs.d: a folder for each registry that the node reaches in a way of its own."""

from collections.abc import Mapping
from pathlib import Path
from typing import Final

from bundles.files import os_errors, remove_abandoned
from runtime.configs.hosts import stale
from runtime.folders import SECRET_MODE, ensure_folder, remove
from runtime.nodefiles import read_file, settle

_FILE: Final = "hosts.toml"


def write_hosts(place: Path, wanted: Mapping[str, str]) -> None:
    """Makes the folders below `place` those that are wanted (name -> hosts.toml); what we did not write stays."""
    with os_errors(place):
        present = {path.name: path / _FILE for path in place.iterdir() if path.is_dir() and not path.is_symlink()}
    texts = {name: (read_file(path) or b"").decode("utf-8", "replace") for name, path in present.items()}
    for name in stale(texts, wanted):
        remove(place / name)
    for name, text in wanted.items():
        ensure_folder(place / name, SECRET_MODE)
        remove_abandoned(place / name)
        settle(place / name / _FILE, text.encode())
