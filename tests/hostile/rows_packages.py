"""Debian packages, and the programs in them."""

import lzma
import struct
import zlib

from backports import zstd

from bundles.errors import FormatError
from tests.hostile import readers_under_attack as read
from tests.hostile.corpus_model import Attack, table
from tests.hostile.making_recipes import Send
from tests.hostile.rows_packings import window
from tests.support.releases import program
from tests.support.tars import END, folder, gnu_long, hardlink, header, member, pax, symlink, tar


def ar(*parts: tuple[str, bytes], magic: bytes = b"!<arch>\n") -> bytes:
    out = magic
    for name, data in parts:
        out += f"{name:<16}{0:<12}{0:<6}{0:<6}{100644:<8}{len(data):<10}`\n".encode() + data + b"\n" * (len(data) % 2)
    return out


def deb(data: bytes, name: str = "data.tar", control: bytes | None = None) -> Send:
    good = tar(member("./control", b"Package: x\n"))
    made = ar(("debian-binary", b"2.0\n"), ("control.tar", good if control is None else control), (name, data))
    return package(made)


def package(data: bytes) -> Send:
    return lambda place: (place.sent / "a.deb").write_bytes(data)


TOOL = member("./bin/tool", b"x", mode=0o755)
SPARSE = pax(
    {
        "GNU.sparse.major": "1",
        "GNU.sparse.minor": "0",
        "GNU.sparse.realsize": str(1 << 40),
        "GNU.sparse.name": "bin/tool",
    }
)
MAP = b"1\n%d\n1\n" % ((1 << 40) - 1) + bytes(500)
DEBS = table(
    "Debian packages",
    read.deb,
    FormatError,
    {
        "not ar": (package(b"PK\x03\x04" + bytes(100)), "not a Debian package"),
        "ar header cut short": (package(ar(("debian-binary", b"2.0\n"))[:-20]), "malformed ar header|no data.tar"),
        "ar size beyond the file": (
            package(b"!<arch>\n" + b"%-16s%-12d%-6d%-6d%-8d%-10d`\n" % (b"data.tar", 0, 0, 0, 0, 1 << 30)),
            "malformed ar header",
        ),
        "ar size below zero": (
            package(b"!<arch>\n" + b"%-16s%-12d%-6d%-6d%-8d%-10d`\n" % (b"data.tar", 0, 0, 0, 0, -1)),
            "malformed ar header",
        ),
        "no data": (package(ar(("debian-binary", b"2.0\n"))), "no data.tar"),
        "data twice": (
            package(ar(("data.tar", tar(TOOL)), ("data.tar.xz", lzma.compress(tar(TOOL))))),
            "data.tar twice",
        ),
        "no control": (package(ar(("data.tar", tar(TOOL)))), "no control.tar"),
        "unknown compression": (deb(b"x", "data.tar.bz2"), "unknown compression"),
        "name that steers a terminal": (deb(b"x", "data.tar\x1b[2J"), r"unknown compression[\s\S]*\\x1b"),
        "xz bomb": (lambda place: deb(lzma.compress(bytes(100 << 20), preset=1), "data.tar.xz")(place), "too large"),
        "zstd bomb": (lambda place: deb(zstd.compress(bytes(100 << 20), 1), "data.tar.zst")(place), "too large"),
        "xz with a dictionary of 1 GiB": (
            lambda place: deb(_big_dictionary(), "data.tar.xz")(place),
            "cannot decompress",
        ),
        "zstd with a window of 128 MiB": (deb(window(27), "data.tar.zst"), "cannot decompress"),
        "xz cut short": (deb(lzma.compress(tar(TOOL))[:-20], "data.tar.xz"), "cut short|cannot decompress"),
        "gzip of nothing": (deb(b"", "data.tar.gz"), "cut short|cannot decompress"),
        "zstd that is none": (deb(b"x" * 100, "data.tar.zst"), "cannot decompress"),
        "no tar": (deb(b"x" * 2000), "malformed data.tar|no such file"),
        "sparse member of 1 TiB": (deb(tar(SPARSE, member("x", MAP))), "sparse members are refused"),
        "old sparse member": (deb(tar(header("bin/tool", typeflag=b"S"))), "sparse|malformed"),
        "extension headers in a chain": (deb(tar(pax({"comment": "x"}) * 3000, TOOL)), "malformed data.tar"),
        "long names in a chain": (deb(tar(gnu_long(b"x") * 3000, TOOL)), "malformed data.tar"),
        "extension headers in the control": (
            deb(tar(TOOL), control=tar(pax({"comment": "x"}) * 3000)),
            "malformed control.tar",
        ),
        "links in a circle": (deb(tar(symlink("./bin/a", "tool"), symlink("./bin/tool", "a"))), "too many links"),
        "hard link and link in a circle": (
            deb(tar(symlink("bin/s", "tool"), hardlink("bin/tool", "bin/s"))),
            "malformed data.tar",
        ),
        "hard link to nothing": (deb(tar(hardlink("bin/tool", "bin/none"))), "malformed data.tar"),
        "link that climbs": (deb(tar(symlink("./bin/tool", "../../../../etc/passwd"))), "no such file in the package"),
        "absolute link": (deb(tar(symlink("./bin/tool", "/etc/passwd"))), "no such file in the package"),
        "device": (deb(tar(header("./bin/tool", typeflag=b"3"))), "not a regular file"),
        "FIFO": (deb(tar(header("./bin/tool", typeflag=b"6"))), "not a regular file"),
        "folder": (deb(tar(folder("./bin/tool"))), "not a regular file"),
        "file cut short": (
            deb(header("./bin/tool", size=9999) + b"x" * 100),
            "malformed data.tar|unexpected|truncated",
        ),
        "size of 8 EiB": (
            deb(header("./bin/tool", size=b"\x80\x00\x00\x00\x7f" + b"\xff" * 7) + END),
            "malformed data.tar",
        ),
        "control that is a link": (deb(tar(TOOL), control=tar(symlink("./control", "/etc/passwd"))), "no control file"),
    },
)


def _big_dictionary() -> bytes:
    filters = [{"id": lzma.FILTER_LZMA2, "preset": 1, "dict_size": 1 << 20}]
    data = bytearray(lzma.compress(tar(TOOL), check=lzma.CHECK_NONE, filters=filters))
    # Block header (xz file format, 3.1): size, flags, filter id 0x21, one byte of properties: the dictionary's size.
    start = 12
    length = (data[start] + 1) * 4
    at = data.index(b"\x21\x01", start) + 2
    data[at] = 36  # 1 GiB
    data[start + length - 4 : start + length] = struct.pack("<I", zlib.crc32(bytes(data[start : start + length - 4])))
    return bytes(data)


def elf(**fields: tuple[int, str, int]) -> Send:
    """A program's header with fields changed: offset, format, value."""
    data = bytearray(program(b"x" * 400))
    for at, kind, value in fields.values():
        struct.pack_into(kind, data, at, value)
    return lambda place: (place.sent / "a").write_bytes(data)


ELF = table(
    "programs",
    read.program,
    FormatError,
    {
        "sections without end": (
            elf(offset=(40, "<Q", 64), size=(58, "<H", 0), count=(60, "<H", 0), huge=(64 + 32, "<Q", (1 << 64) - 1)),
            "no ELF program",
        ),
        "sections of no size": (
            elf(offset=(40, "<Q", 64), size=(58, "<H", 0), count=(60, "<H", 60_000)),
            "no ELF program",
        ),
        "sections beyond the file": (
            elf(offset=(40, "<Q", 1 << 62), size=(58, "<H", 64), count=(60, "<H", 3)),
            "no ELF program",
        ),
        "sections at the end of the number line": (
            elf(offset=(40, "<Q", (1 << 64) - 1), size=(58, "<H", 64), count=(60, "<H", 3)),
            "no ELF program",
        ),
        "segments of no size": (
            elf(offset=(32, "<Q", 64), size=(54, "<H", 0), count=(56, "<H", 60_000)),
            "no ELF program",
        ),
        "segments beyond the file": (
            elf(offset=(32, "<Q", 1 << 63), size=(54, "<H", 56), count=(56, "<H", 5)),
            "no ELF program",
        ),
        "cut in the header": (lambda place: (place.sent / "a").write_bytes(program(b"")[:30]), "no ELF program"),
        "magic alone": (lambda place: (place.sent / "a").write_bytes(b"\x7fELF"), "no ELF program"),
        "no class": (elf(kind=(4, "<B", 9)), "no ELF program"),
    },
)
ATTACKS: list[Attack] = DEBS + ELF
