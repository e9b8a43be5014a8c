"""The members of a layer: which there are, in which order, and the headers before each. Pure."""

import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import Final

from bundles import ustar
from bundles.digest import Digest
from bundles.errors import FormatError
from bundles.layers.model import LayerEntry

_EMPTY: Final = Digest.of(b"")
_PARENT_MODE: Final = 0o755
_TYPEFLAGS: Final = {"file": ustar.FILE, "dir": ustar.DIRECTORY, "symlink": ustar.SYMLINK}


def arrange(entries: Iterable[LayerEntry]) -> list[LayerEntry]:
    """Entries -> all members in the order of the layer, checked, with the parents that were missing."""
    found: dict[str, LayerEntry] = {}
    for entry in entries:
        _check(entry)
        if entry.path in found:
            raise FormatError("two entries of one path in a layer", where=entry.path)
        found[entry.path] = entry
    for path in list(found):
        for parent in _parents(path):
            known = found.setdefault(parent, LayerEntry(path=parent, kind="dir", mode=_PARENT_MODE))
            if known.kind != "dir":
                raise FormatError(f"an entry below a {known.kind}", where=path, got=f"{parent} is a {known.kind}")
    return sorted(found.values(), key=lambda entry: entry.path.encode())


def member_headers(entry: LayerEntry, mtime: int) -> bytes:
    """The entry's header, behind a PAX header when ustar cannot hold its names."""
    name = entry.path + ("/" if entry.kind == "dir" else "")
    target = entry.target if entry.kind == "symlink" else ""
    header = ustar.Header(
        name=name,
        mode=entry.mode,
        size=entry.size if entry.kind == "file" else 0,
        mtime=mtime,
        typeflag=_TYPEFLAGS[entry.kind],
        linkname=target,
    )
    if ustar.fits(name, target):
        return ustar.encode(header)
    records = b"".join(_pax_record(key, text) for key, text in (("linkpath", target), ("path", name)) if text)
    # Readers that know PAX never show these two names; they must be fixed and fit.
    short = hashlib.sha256(name.encode()).hexdigest()[:16]
    pax = ustar.Header(name=f"PaxHeaders/{short}", mode=0o644, size=len(records), mtime=mtime, typeflag=ustar.PAX)
    plain = replace(header, name=short, linkname=short if target else "")
    return ustar.encode(pax) + records + bytes(ustar.padding(len(records))) + ustar.encode(plain)


def _check(entry: LayerEntry) -> None:
    if any(part in ("", ".", "..") for part in entry.path.split("/")) or "\0" in entry.path:
        raise FormatError("not a path inside a layer", where=repr(entry.path), want="bin/name: relative, no . or ..")
    if entry.path.rpartition("/")[2].startswith(".wh."):
        hint = "such names mean deletion in a layer (OCI image spec, layer.md, Whiteouts)"
        raise FormatError("a whiteout name in a layer", where=repr(entry.path), hint=hint)
    if entry.kind == "file" and ((entry.digest is None and entry.size) or entry.size < 0):
        raise FormatError("a file entry without its content", where=entry.path)
    if entry.kind == "file" and not entry.size and entry.digest not in (None, _EMPTY):
        raise FormatError("an empty file with the digest of another", where=entry.path, got=entry.digest)
    if entry.kind == "symlink" and (not entry.target or "\0" in entry.target):
        raise FormatError("a symlink without a target", where=entry.path)


def _parents(path: str) -> Iterator[str]:
    while path := path.rpartition("/")[0]:
        yield path


def _pax_record(key: str, value: str) -> bytes:
    """`LENGTH key=value` and a newline; the length counts its own digits (POSIX.1-2017, pax, Extended Header)."""
    rest = f" {key}={value}\n".encode()
    length = len(rest) + 1
    while len(str(length)) + len(rest) != length:
        length = len(str(length)) + len(rest)
    return str(length).encode() + rest
