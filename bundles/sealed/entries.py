"""The entries of a layer of the runtime image, checked while its tar streams by; nothing is kept but names.

Strict: what our layer writer writes (ustar, a PAX record only for a name that ustar cannot hold). Programs in /bin must
be for the machine: a bundle of the wrong architecture would otherwise be found out by a node that does not come up.
"""

import struct
from collections.abc import Mapping
from typing import Final

from bundles import ustar
from bundles.errors import FormatError, LimitError
from bundles.foreign import names

MAX_ENTRIES: Final = 10_000
_MAX_PAX: Final = 64 << 10  # bytes
_MAX_END: Final = 2 + ((1 << 20) >> 9)  # blocks of zeros: the end, and what GNU tar fills up
_WHITEOUT: Final = ".wh."
_WANTED: Final = ("bin", "charts")  # what a node unpacks
_PROBE: Final = 20  # bytes of a program that are looked at: up to e_machine
_ELF: Final = b"\x7fELF\x02\x01"  # 64 bit, little-endian (ELF specification, e_ident)


class EntryScan:
    """Takes a layer's uncompressed bytes in pieces of any size; `programs` are the /bin files seen so far."""

    def __init__(self, machine: int | None, where: str) -> None:
        """`machine`: the ELF e_machine that programs must have, None when not known; `where` names the layer."""
        self._machine, self._where = machine, where
        self._buffer = b""
        self._skip = 0  # bytes of a body and its padding that are not looked at
        self._zero_blocks = 0
        self._names: set[str] = set()
        self._folders: set[str] = set()  # those that entries lie in
        self._leaves: set[str] = set()  # files and symlinks: nothing lies in them
        self._pax: Mapping[str, str] = {}
        self.programs: list[str] = []

    def feed(self, data: bytes) -> None:
        """The next bytes; raises FormatError or LimitError that names the entry."""
        at = 0
        while at < len(data):
            if self._skip:
                step = min(self._skip, len(data) - at)
                self._skip -= step
                at += step
                continue
            want = self._wanted() - len(self._buffer)
            self._buffer += data[at : at + want]
            at += want
            if len(self._buffer) == self._wanted():
                self._entry()

    def finish(self) -> None:
        """At the end of the layer: raises FormatError when its tar is cut short."""
        if self._buffer or self._skip or self._pax or self._zero_blocks < 2:
            raise FormatError("the layer's tar is cut short", where=self._where)
        if self._zero_blocks > _MAX_END:
            raise LimitError("too much after the end of the layer's tar", where=self._where)

    def _wanted(self) -> int:
        """Bytes to have before the next entry can be looked at: the header, and the first bytes of some bodies."""
        if len(self._buffer) < ustar.BLOCK or not any(self._buffer[: ustar.BLOCK]):
            return ustar.BLOCK
        header = self._header()
        if header.typeflag == ustar.PAX:
            if header.size > _MAX_PAX:
                raise LimitError("PAX record too large", where=self._where, got=f"{header.size} bytes")
            return ustar.BLOCK + header.size + ustar.padding(header.size)
        return ustar.BLOCK + (min(_PROBE, header.size) if self._is_program(header) else 0)

    def _header(self) -> ustar.Header:
        try:
            return ustar.parse(self._buffer[: ustar.BLOCK])
        except FormatError as exc:
            exc.where = f"{self._where}: entry {len(self._names) + 1}"
            raise

    def _entry(self) -> None:
        """One header is complete, with what `_wanted` asked for behind it."""
        block, rest = self._buffer[: ustar.BLOCK], self._buffer[ustar.BLOCK :]
        if not any(block):
            self._zero_blocks, self._buffer = self._zero_blocks + 1, b""
            return
        if self._zero_blocks:
            raise FormatError("data after the end of the layer's tar", where=self._where)
        header = self._header()
        self._buffer = b""
        if header.typeflag == ustar.PAX:
            if self._pax:  # Go's reader takes the last of them, Python's the first
                raise FormatError("two PAX headers for one member", where=self._where)
            self._pax = self._pax_records(rest[: header.size])
            return
        name = self._pax.get("path", header.name)
        self._check_name(name, header)
        if self._is_program(header):
            self._check_program(name, rest)
            self.programs.append(name)
        self._skip = header.size + ustar.padding(header.size) - len(rest)
        self._pax = {}

    def _is_program(self, header: ustar.Header) -> bool:
        return header.typeflag == ustar.FILE and self._pax.get("path", header.name).startswith("bin/")

    def _check_name(self, name: str, header: ustar.Header) -> None:
        plain = name.removesuffix("/") if header.typeflag == ustar.DIRECTORY else name
        if any(part in ("", ".", "..") for part in plain.split("/")):
            raise FormatError("an entry that leaves the layer", where=self._where, got=repr(name[:200]))
        names.check(plain, self._where)
        if plain in self._names:
            raise FormatError("the same entry twice in a layer", where=self._where, got=repr(name[:200]))
        if header.typeflag not in (ustar.FILE, ustar.DIRECTORY, ustar.SYMLINK):
            got = f"{name[:200]!r}, type {header.typeflag!r}"
            raise FormatError("an entry that is no file, folder or symlink", where=self._where, got=got)
        if header.typeflag != ustar.FILE and header.size:
            raise FormatError("a folder or symlink with a body", where=self._where, got=repr(name[:200]))
        if header.mode & ~0o777:
            raise FormatError("an entry with special mode bits", where=f"{self._where}: {name}", got=f"{header.mode:o}")
        if len(self._names) >= MAX_ENTRIES:
            raise LimitError("too many entries in a layer", where=self._where, want=f"<= {MAX_ENTRIES}")
        self._names.add(plain)
        self._check_place(plain, header)

    def _check_place(self, name: str, header: ustar.Header) -> None:
        """What the other profile refuses when it unpacks is refused before a bundle is admitted."""
        parts = name.split("/")
        folder = header.typeflag == ustar.DIRECTORY
        if any(part.startswith(_WHITEOUT) for part in parts):
            raise FormatError("a whiteout in a sealed layer", where=self._where, got=repr(name[:200]))
        above = {"/".join(parts[:count]) for count in range(1, len(parts))}
        if not above.isdisjoint(self._leaves) or (not folder and name in self._folders):
            raise FormatError("an entry below a file or symlink", where=self._where, got=repr(name[:200]))
        if name in _WANTED and not folder:
            raise FormatError("must be a folder", where=self._where, got=repr(name))
        if header.typeflag == ustar.SYMLINK and parts[0] in _WANTED:
            self._check_link(name, self._pax.get("linkpath", header.linkname))
        self._folders |= above
        if not folder:
            self._leaves.add(name)

    def _check_link(self, name: str, target: str) -> None:
        """By its text alone: links of links are followed when the image is unpacked."""
        top = name.partition("/")[0]
        goal = names.linked(name, target)
        if not target or goal is None or goal.partition("/")[0] != top:
            shown = f"{name} -> {target}"
            raise FormatError(f"a symlink that leaves /{top}", where=self._where, got=shown[:400])

    def _check_program(self, name: str, head: bytes) -> None:
        if head.startswith(b"#!"):
            return
        place = f"{self._where}: {name}"
        if not head.startswith(_ELF) or len(head) < _PROBE:
            raise FormatError("neither a 64-bit ELF program nor a script", where=place, got=repr(head[:8]))
        (machine,) = struct.unpack_from("<H", head, 18)
        if self._machine is not None and machine != self._machine:
            got, want = f"e_machine {machine}", f"e_machine {self._machine}"
            raise FormatError("a program for another machine", where=place, got=got, want=want)

    def _pax_records(self, data: bytes) -> Mapping[str, str]:
        """`LENGTH key=value` lines; only the two keys that our writer uses."""
        records: dict[str, str] = {}
        while data:
            digits, _, _ = data.partition(b" ")
            length = int(digits) if digits.isdigit() and len(digits) < 7 else 0
            line, data = data[:length], data[length:]
            key, equals, value = line[len(digits) + 1 :].partition(b"=")
            known = key in (b"path", b"linkpath") and key.decode() not in records
            if not known or not equals or not line.endswith(b"\n") or len(line) != length:
                raise FormatError("a PAX record that does not belong here", where=self._where, got=repr(line[:80]))
            records[key.decode()] = names.text(value[:-1], "name", self._where)
        if not records:
            raise FormatError("an empty PAX header", where=self._where)
        return records
