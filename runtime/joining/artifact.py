"""What a server says its bundle consists of, read and bounded before anything of it is fetched. Pure.

The manifest is the server's word alone. It decides what is fetched, never what is believed: bundle.json says what the
files have to be, and signatures, or the token's pin, say whose bundle.json it is.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from bundles import index, jsontext, oci
from bundles.digest import Digest
from bundles.errors import FormatError, LimitError
from bundles.index import INDEX_NAME, MAX_INDEX, BundleIndex
from bundles.registry.documents import TITLE
from bundles.signing import blob, envelope, names
from bundles.source import MAX_DEPTH, MAX_FILES
from bundles.verify import check_names

MAX_MANIFEST: Final = 4 << 20  # bytes
_MAX_SUMS: Final = 4 << 20  # bytes
_PART: Final = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._+-]{0,254}")


@dataclass(frozen=True, kw_only=True, slots=True)
class RemoteFile:
    """A file of the bundle: `path` within it, `size` in bytes."""

    path: str
    digest: Digest
    size: int


@dataclass(frozen=True, kw_only=True, slots=True)
class Artifact:
    """All files by what is asked first: `small` is what a decision needs, `large` is the rest."""

    small: tuple[RemoteFile, ...]
    large: tuple[RemoteFile, ...]

    @property
    def size(self) -> int:
        """Bytes of all of them."""
        return sum(file.size for file in (*self.small, *self.large))


def read_artifact(data: bytes, *, where: object) -> Artifact:
    """The manifest's bytes -> Artifact.

    Raises FormatError for what is no such manifest, for paths that are none of a bundle, LimitError for sizes that no
    bundle has.
    """
    manifest = jsontext.decode(data, oci.Manifest, where=where, max_size=MAX_MANIFEST)
    if len(manifest.layers) > MAX_FILES:
        raise LimitError("too many files in a bundle", where=where, got=len(manifest.layers), want=f"<= {MAX_FILES}")
    files = [
        RemoteFile(path=_path(layer.annotations.get(TITLE, ""), where), digest=layer.digest, size=layer.size)
        for layer in manifest.layers
    ]
    seen: set[str] = set()
    for file in files:
        if file.size < 0 or file.path in seen:
            raise FormatError("a file twice, or without a size", where=where, got=file.path)
        seen.add(file.path)
    if INDEX_NAME not in seen:
        raise FormatError("not a bundle", where=where, want=INDEX_NAME)
    small = tuple(file for file in files if file.path == INDEX_NAME or names.is_signature(file.path))
    _bound(small, where)
    return Artifact(small=small, large=tuple(file for file in files if file not in small))


def check_listed(artifact: Artifact, document: BundleIndex, *, where: str) -> None:
    """Compares what the server says with the bundle's index: the same files, sizes and digests.

    Raises MissingError and FormatError for the first that differs; LimitError.
    """
    check_names(document, [file.path for file in (*artifact.small, *artifact.large)], where=where)
    listed = {archive.path: (archive.sha256, archive.size) for archive in document.archives}
    listed |= {file.path: (file.sha256, file.size) for file in document.files}
    for file in artifact.large:
        known = listed.get(file.path)
        if known is not None and known != (file.digest, file.size):
            got, want = f"{file.digest}, {file.size} bytes", f"{known[0]}, {known[1]} bytes"
            raise FormatError("another file than bundle.json says", where=f"{where}: {file.path}", got=got, want=want)
        if known is None and (file.path != index.sums_name(document.platform) or file.size > _MAX_SUMS):
            raise LimitError("not a file of a bundle, or too large", where=f"{where}: {file.path}")


def _path(text: str, where: object) -> str:
    """What becomes a file's name below a folder of ours."""
    parts = text.split("/")
    if len(parts) > MAX_DEPTH or not all(map(_PART.fullmatch, parts)):
        raise FormatError("not a path in a bundle", where=where, got=ascii(text[:200]))
    return text


def _bound(small: Iterable[RemoteFile], where: object) -> None:
    counts = {"signatures": 0, "statements": 0}
    left = envelope.MAX_STATEMENT
    for file in small:
        if file.path == INDEX_NAME:
            limit = MAX_INDEX
        elif names.is_index_signature(file.path):
            counts["signatures"] += 1
            limit = envelope.MAX_MESSAGE if names.is_envelope(file.path) else blob.MAX_SIG
        else:
            counts["statements"] += 1
            limit = left
            left -= file.size
        if file.size > limit:
            raise LimitError("too large", where=f"{where}: {file.path}", got=f"{file.size} bytes", want=f"<= {limit}")
    if max(counts.values()) > names.MAX_SIGNATURES:
        raise LimitError("too many signatures", where=where, want=f"<= {names.MAX_SIGNATURES}")
