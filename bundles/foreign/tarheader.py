"""Tar headers as foreign writers make them: POSIX ustar, PAX and GNU, without what makes readers disagree.

POSIX.1-2017 (pax, "ustar Interchange Format", "pax Extended Header"); GNU tar manual, "Basic Tar Format".
Pure: 512 bytes or the body of an extension in, values out.
"""

from dataclasses import dataclass
from typing import Final

from bundles.errors import FormatError, LimitError

BLOCK: Final = 512
ZERO: Final = bytes(BLOCK)
MAX_EXTENSION: Final = 1 << 20  # bytes of one PAX or GNU extension header's body
_MAX_PLAIN_SIZE: Final = 8 << 30  # bytes: what eleven octal digits cannot say
_POSIX, _GNU = b"ustar\x0000", b"ustar  \x00"
_LARGEST: Final = 1 << 62


@dataclass(frozen=True, slots=True)
class RawHeader:
    """One header block: names as bytes, `size` in bytes, `mode` octal (no more than its twelve bits)."""

    name: bytes
    mode: int
    size: int
    typeflag: bytes
    linkname: bytes


def parse(block: bytes, where: str) -> RawHeader:
    """512 bytes -> header; raises FormatError for a wrong checksum, magic or number."""
    magic = block[257:265]
    if magic not in (_POSIX, _GNU):
        raise FormatError("not a tar header", where=where, got=repr(magic), want="ustar")
    stored = _number(block[148:156], "checksum", where)
    if stored != sum(block) - sum(block[148:156]) + 8 * 0x20:
        raise FormatError("tar header with a wrong checksum", where=where, got=repr(block[148:156]))
    name = _string(block[:100], "name", where)
    prefix = _string(block[345:500], "name prefix", where)
    if prefix and magic == _GNU:
        # Times to GNU tar; to Python a prefix of the name, to Go (archive/tar) one where the times are no numbers.
        got = repr(prefix[:40])
        raise FormatError("tar header with a name that readers take for two", where=where, got=got, want="zeros there")
    return RawHeader(
        name=prefix + b"/" + name if prefix else name,
        mode=_number(block[100:108], "mode", where) & 0o7777,
        size=_number(block[124:136], "size", where),
        typeflag=block[156:157],
        linkname=_string(block[157:257], "link target", where),
    )


def pax_records(body: bytes, where: str) -> dict[str, bytes]:
    """The body of a PAX extended header -> its records; raises FormatError for malformed, repeated or sparse ones."""
    records: dict[str, bytes] = {}
    at = 0
    while at < len(body):
        blank = body.find(b" ", at, at + 9)
        digits = body[at:blank] if blank > 0 else b""
        if not digits.isdigit() or digits.startswith(b"0"):
            raise FormatError("malformed PAX record", where=where, got=repr(body[at : at + 40]))
        end = at + int(digits)
        if end > len(body) or end <= blank + 1 or body[end - 1 : end] != b"\n":
            raise FormatError("malformed PAX record", where=where, got=repr(body[at : at + 40]))
        raw, equals, value = body[blank + 1 : end - 1].partition(b"=")
        key = raw.decode("utf-8", "replace")
        if not equals or not key or key in records:
            raise FormatError("malformed or repeated PAX record", where=where, got=repr(raw[:80]))
        if key.startswith("GNU.sparse"):
            raise FormatError("sparse members are refused", where=where, got=key[:80])
        records[key] = value
        at = end
    return records


def pax_size(value: bytes, plain: int, where: str) -> int:
    """The size a PAX record tells (bytes), where the plain header cannot tell it or tells the same.

    A small size in both places that differs is an attack: readers without PAX would see other members.
    """
    if not value.isdigit() or len(value) > 19:
        raise FormatError("malformed PAX size", where=where, got=repr(value[:40]))
    size = int(value)
    if size != plain and size < _MAX_PLAIN_SIZE:
        raise FormatError("two different sizes of one member", where=where, got=f"{size} (PAX)", want=f"{plain}")
    return size


def bounded(size: int, where: str) -> int:
    """The size of an extension's body, if it may be read into memory."""
    if size > MAX_EXTENSION:
        raise LimitError("tar extension header too large", where=where, got=f"{size} bytes", want=f"<= {MAX_EXTENSION}")
    return size


def _number(field: bytes, what: str, where: str) -> int:
    """Octal digits between blanks and NULs (nothing is 0), or GNU's base 256."""
    if field[0] & 0x80:
        value = int.from_bytes(field, "big") ^ (0x80 << 8 * (len(field) - 1))
        if value >= _LARGEST:
            raise FormatError(f"tar header with a malformed {what}", where=where, got=repr(field))
        return value
    digits = field.rstrip(b"\x00 ").lstrip(b" ")
    if digits.strip(b"01234567"):
        raise FormatError(f"tar header with a malformed {what}", where=where, got=repr(field))
    return int(digits or b"0", 8)


def _string(field: bytes, what: str, where: str) -> bytes:
    """Bytes up to the first NUL; something behind it would be another name for another reader."""
    string, _, rest = field.partition(b"\x00")
    if rest.strip(b"\x00"):
        raise FormatError(f"tar header with a NUL inside the {what}", where=where, got=repr(field[:120]))
    return string
