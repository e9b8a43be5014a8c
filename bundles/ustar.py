"""POSIX ustar headers, both ways (POSIX.1-2017, pax utility, "ustar Interchange Format").

Only what Sealift writes exists here: owner 0:0, no owner names, no device numbers. PAX and GNU extensions are not
known to this module; foreign archives have a reader of their own.
"""

from dataclasses import dataclass
from typing import Final

from bundles.errors import FormatError

BLOCK: Final = 512
MAX_SIZE: Final = 0o77777777777  # bytes: eleven octal digits, one byte below 8 GiB
MAX_MODE: Final = 0o7777777
MAX_NAME: Final = 100  # bytes
MAX_PREFIX: Final = 155  # bytes

FILE: Final = b"0"
SYMLINK: Final = b"2"
DIRECTORY: Final = b"5"
PAX: Final = b"x"

_MAGIC = b"ustar\x0000"
_NO_DEVICE = b"0000000\x00"
_CHECKSUM = slice(148, 156)


@dataclass(frozen=True, kw_only=True, slots=True)
class Header:
    """One member's header: `size` in bytes of the body, `mtime` in seconds since the epoch, `mode` octal.

    `name` has no leading `/`; a directory's ends with `/`. `typeflag` is one byte.
    """

    name: str
    mode: int
    size: int
    mtime: int
    typeflag: bytes = FILE
    linkname: str = ""


def encode(header: Header) -> bytes:
    """Header -> its 512 bytes, the same for the same header always.

    Raises FormatError for what ustar cannot hold: a body of 8 GiB or more, names too long or not printable ASCII.
    """
    prefix, name = _split(_text(header.name, "name", header))
    link = _text(header.linkname, "link target", header)
    if len(link) > MAX_NAME:
        raise FormatError("link target too long for ustar", where=header.name, got=f"{len(link)} bytes", want="<= 100")
    block = bytearray().join(
        (
            name.ljust(100, b"\x00"),
            _octal(header.mode, 8, "mode", header),
            _octal(0, 8, "uid", header),
            _octal(0, 8, "gid", header),
            _octal(header.size, 12, "size", header),
            _octal(header.mtime, 12, "mtime", header),
            b" " * 8,
            header.typeflag,
            link.ljust(100, b"\x00"),
            _MAGIC,
            bytes(64),
            _NO_DEVICE * 2,
            prefix.ljust(155, b"\x00"),
            bytes(12),
        )
    )
    block[_CHECKSUM] = b"%06o\x00 " % sum(block)
    return bytes(block)


def parse(block: bytes | bytearray | memoryview) -> Header:
    """512 bytes -> header; raises FormatError for a wrong checksum, magic, number or name.

    Owners and device numbers are not returned. A caller that wants exactly our bytes compares with `encode`.
    """
    block = bytes(block)
    if len(block) != BLOCK:
        raise FormatError("tar header cut short", got=f"{len(block)} bytes", want=f"{BLOCK}")
    if _number(block[_CHECKSUM], "checksum") != sum(block) - sum(block[_CHECKSUM]) + 8 * 0x20:
        raise FormatError("tar header with a wrong checksum", got=repr(block[_CHECKSUM]))
    if block[257:265] != _MAGIC:
        raise FormatError("not a ustar header", got=repr(block[257:265]), want=repr(_MAGIC))
    prefix, name = _string(block[345:500], "prefix"), _string(block[:100], "name")
    if not name:
        raise FormatError("tar header without a name")
    return Header(
        name=f"{prefix}/{name}" if prefix else name,
        mode=_number(block[100:108], "mode"),
        size=_number(block[124:136], "size"),
        mtime=_number(block[136:148], "mtime"),
        typeflag=block[156:157],
        linkname=_string(block[157:257], "link target"),
    )


def padding(size: int) -> int:
    """The number of zero bytes after a body of `size` bytes."""
    return -size % BLOCK


def fits(name: str, linkname: str = "") -> bool:
    """Whether ustar alone can hold these names; if not, a PAX record must."""
    try:
        _split(_text(name, "name", name))
        return len(_text(linkname, "link target", name)) <= MAX_NAME
    except FormatError:
        return False


def _text(text: str, what: str, where: "Header | str") -> bytes:
    """Printable ASCII only: ustar defines no other encoding, and a NUL would end the name for some readers."""
    if not text.isascii() or not (text.isprintable() or not text):
        name = where.name if isinstance(where, Header) else where
        raise FormatError(f"{what} is not printable ASCII", where=repr(name), got=repr(text[:200]))
    return text.encode("ascii")


def _split(name: bytes) -> tuple[bytes, bytes]:
    """Name -> (prefix, name), with the shortest prefix that does."""
    if not name:
        raise FormatError("empty name in a tar header")
    if len(name) <= MAX_NAME:
        return b"", name
    # The slash at `at` stands for itself; what follows must not be empty (a directory's last slash).
    at = name.find(b"/", len(name) - MAX_NAME - 1, len(name) - 1)
    if not 0 < at <= MAX_PREFIX:
        raise FormatError("name too long for ustar", where=name.decode(), got=f"{len(name)} bytes")
    return name[:at], name[at + 1 :]


def _octal(value: int, width: int, what: str, header: Header) -> bytes:
    """`width - 1` octal digits and a NUL."""
    if not 0 <= value < 8 ** (width - 1):
        hint = "an archive cannot hold bodies of 8 GiB or more" if what == "size" else ""
        raise FormatError(f"{what} does not fit a tar header", where=header.name, got=value, hint=hint)
    return b"%0*o\x00" % (width - 1, value)


def _number(field: bytes, what: str) -> int:
    """Octal digits, then only NULs and blanks; anything else (signs, base 256, empty) is refused."""
    digits = field.rstrip(b"\x00 ")
    if not digits or digits.strip(b"01234567"):
        raise FormatError(f"tar header with a malformed {what}", got=repr(field), want="octal digits")
    return int(digits, 8)


def _string(field: bytes, what: str) -> str:
    """Bytes up to the first NUL; bytes after it, or other than printable ASCII, are refused."""
    text, _, rest = field.partition(b"\x00")
    if rest.strip(b"\x00") or not text.isascii() or not (text.decode("ascii").isprintable() or not text):
        raise FormatError(f"tar header with a malformed {what}", got=repr(field[:120]))
    return text.decode("ascii")
