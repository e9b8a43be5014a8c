"""imported.json: which archives containerd has. Written after an import, never before: a crash costs an import."""

from pathlib import Path
from typing import Final

from bundles import jsontext
from bundles.errors import FormatError
from bundles.files import os_errors, write_atomic
from runtime.daemon.archives import FORMAT, Imported, Stamp
from runtime.layout import NodeLayout

_MAX_DOCUMENT: Final = 16 << 20  # bytes


def stamps_path(layout: NodeLayout) -> Path:
    """Beside admitted.json."""
    return layout.admitted.with_name("imported.json")


def read_stamps(layout: NodeLayout) -> tuple[Stamp, ...]:
    """All stamps; none when there is no file, or none that can be understood: everything is imported again then."""
    path = stamps_path(layout)
    with os_errors(path):
        try:
            with path.open("rb") as file:
                data = file.read(_MAX_DOCUMENT + 1)
        except FileNotFoundError:
            return ()
    try:
        document = jsontext.decode(data, Imported, where=path, max_size=_MAX_DOCUMENT)
    except FormatError:
        return ()
    return tuple(document.archives) if document.format == FORMAT else ()


def write_stamps(layout: NodeLayout, stamps: tuple[Stamp, ...]) -> None:
    """Replaces them all, durably."""
    document = Imported(format=FORMAT, archives=sorted(stamps, key=lambda stamp: stamp.name))
    write_atomic(stamps_path(layout), jsontext.encode_canonical(document))
