"""Archives from URLs: what upstream, or whoever stands in for it, may send."""

import gzip
import io
import lzma
import struct
import warnings
import zipfile
from collections.abc import Callable

from bundles.errors import FormatError, LimitError
from tests.hostile import readers_under_attack as read
from tests.hostile.corpus_model import Attack, Place, table
from tests.hostile.making_recipes import Send
from tests.support.tars import END, gnu_long, hardlink, header, member, pax, symlink, tar

TOOL = member("bin/tool", b"x", mode=0o755)
FILES = "an archive's files"
SOURCES = "an archive's whole folder"


def sent(name: str, data: bytes | Callable[[], bytes]) -> Send:
    return lambda place: (place.sent / name).write_bytes(data() if callable(data) else data)


def packed(*parts: bytes) -> Send:
    return sent("a.tar.gz", gzip.compress(tar(*parts), mtime=0))


def zipped(*entries: tuple[str, bytes, int], change: Callable[[bytearray], object] = lambda data: None) -> Send:
    """Entries as name, content, mode; `change` forges the finished bytes."""
    buffer = io.BytesIO()
    with warnings.catch_warnings(), zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        warnings.simplefilter("ignore")  # one name twice is what some rows are about
        for name, data, mode in entries:
            info = zipfile.ZipInfo("x")
            info.filename, info.external_attr, info.create_system = name, mode << 16, 3
            info.compress_type = zipfile.ZIP_DEFLATED
            archive.writestr(info, data)
    made = bytearray(buffer.getvalue())
    change(made)
    return sent("a.zip", bytes(made))


def bomb() -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive, archive.open("bin/tool", "w") as file:
        for _ in range(200):
            file.write(bytes(1 << 20))
    return buffer.getvalue()


def end(**values: int) -> Callable[[bytearray], object]:
    """Changes fields of the record at the end (APPNOTE 4.3.16)."""
    places = {"disk": (4, "<H"), "here": (8, "<H"), "count": (10, "<H"), "length": (12, "<I"), "offset": (16, "<I")}

    def change(data: bytearray) -> None:
        at = data.rindex(b"PK\x05\x06")
        for key, value in values.items():
            struct.pack_into(places[key][1], data, at + places[key][0], value)

    return change


def central(offset: int, kind: str, value: int) -> Callable[[bytearray], object]:
    """Changes a field of the first entry of the table (4.3.12)."""
    return lambda data: struct.pack_into(kind, data, data.index(b"PK\x01\x02") + offset, value)


GOOD = ("bin/tool", b"tool", 0o100755)


def zeros() -> bytes:
    return tar(member("bin/tool", bytes(70 << 20)))


LIES: dict[str, tuple[Send, str]] = {
    "climbing name": (packed(TOOL, member("../outside", b"x")), "climbs"),
    "absolute name": (packed(TOOL, member("/etc/passwd", b"x")), "absolute"),
    "name with a dot in it": (packed(TOOL, member("a/./b", b"x")), "ambiguous"),
    "one name twice": (packed(TOOL, TOOL), "one name twice"),
    "a file that is a folder too": (packed(TOOL, member("a", b"x"), member("a/b", b"x")), "entry below a file"),
    "a folder that becomes a file": (packed(member("a/b", b"x"), member("a", b"x")), "one name twice"),
    "entry below a link": (packed(symlink("d", "bin"), member("d/x", b"x"), TOOL), "entry below a symlink"),
    "link out": (packed(TOOL, symlink("l", "../../canary/secret")), "leaves the archive"),
    "absolute link": (packed(TOOL, symlink("l", "/etc/passwd")), "leaves the archive"),
    "hard link out": (packed(TOOL, hardlink("l", "../canary/secret")), "climbs"),
    "hard link to nothing": (packed(TOOL, hardlink("l", "none")), "no file before it"),
    "hard link through a link": (packed(TOOL, symlink("s", "bin"), hardlink("l", "s/tool")), "no file before it"),
    "device": (packed(TOOL, header("dev", typeflag=b"3")), "device"),
    "FIFO": (packed(TOOL, header("fifo", typeflag=b"6")), "device"),
    "sparse member": (packed(TOOL, header("s", typeflag=b"S")), "sparse"),
    "sparse by PAX": (packed(TOOL, pax({"GNU.sparse.major": "1"}), member("s", b"x")), "sparse"),
    "global header that names members": (packed(pax({"path": "bin/tool"}, b"g"), TOOL), "global header"),
    "long names in a chain": (packed(gnu_long(b"x") * 300, TOOL), "two names|too many"),
    "size beyond the end": (sent("a.tar.gz", gzip.compress(header("bin/tool", size=9999) + b"x")), "truncated"),
    "size of 8 EiB": (packed(header("bin/tool", size=b"\x80\x00\x00\x00\x7f" + b"\xff" * 7) + END), "malformed size"),
    "cut in the packing": (sent("a.tar.gz", gzip.compress(tar(TOOL))[:-12]), "too early|truncated|damaged"),
    "bytes behind the end": (sent("a.tar.gz", gzip.compress(tar(TOOL) + b"x" * 512)), "after the end|zero block"),
    "no tar at all": (sent("a.tar.gz", gzip.compress(b"<html>" * 200)), "not a tar header"),
    "no gzip at all": (sent("a.tar.gz", b"<html>" * 200), "gzip|damaged"),
    "xz cut short": (sent("a.tar.xz", lzma.compress(tar(TOOL))[:-20]), "too early|damaged"),
    "xz with more behind it": (sent("a.tar.xz", lzma.compress(tar(TOOL)) + b"x" * 2000), "after the end|damaged"),
    "name that steers a terminal": (packed(TOOL, member("\x1b[2J", b"x")), "control characters"),
    "zip: climbing name": (zipped(GOOD, ("../outside", b"x", 0o100644)), "climbs"),
    "zip: absolute name": (zipped(GOOD, ("/etc/passwd", b"x", 0o100644)), "absolute"),
    "zip: backslashes": (zipped(GOOD, ("..\\outside", b"x", 0o100644)), "read differently"),
    "zip: one name twice": (zipped(GOOD, GOOD), "one name twice"),
    "zip: link out": (zipped(GOOD, ("l", b"../../canary/secret", 0o120777)), "leaves the archive"),
    "zip: link of a megabyte": (zipped(GOOD, ("l", b"a" * (1 << 20), 0o120777)), "link target too long"),
    "zip: entry below a link": (zipped(("d", b"bin", 0o120777), ("d/x", b"x", 0o100644), GOOD), "below a symlink"),
    "zip: device": (zipped(GOOD, ("dev", b"", 0o060644)), "device"),
    "zip: encrypted": (zipped(GOOD, change=central(8, "<H", 1)), "encrypted"),
    "zip: unknown packing": (zipped(GOOD, change=central(10, "<H", 97)), "packing that is not taken"),
    "zip: NUL in a name": (zipped(("bin/tool\0.txt", b"x", 0o100644)), "control characters|damaged"),
    "zip: another name in front": (
        zipped(GOOD, change=lambda data: data.__setitem__(slice(30, 38), b"bin/TOOL")),
        "damaged zip",
    ),
    "zip: wrong checksum": (zipped(GOOD, change=central(16, "<I", 7)), "damaged zip"),
    "zip: says less than it holds": (
        zipped(("bin/tool", b"tool" * 1000, 0o100755), change=central(24, "<I", 9)),
        "damaged zip|truncated",
    ),
    "zip: cut": (lambda place: _cut(place), "not a zip|damaged|between the parts"),
    "zip: bytes before it": (lambda place: _before(place), "lies between"),
    "zip: two ends": (zipped(GOOD, change=lambda data: data.extend(b"PK\x05\x06" + bytes(18))), "between the parts"),
    "zip: several disks": (zipped(GOOD, change=end(disk=1)), "several things"),
    "zip: other counts": (zipped(GOOD, change=end(here=2)), "several things"),
    "zip: a table of 4 GiB": (zipped(GOOD, change=end(length=0xFFFFFFFF)), "64 bit kind"),
    "zip: a table beyond the file": (zipped(GOOD, change=end(offset=1 << 30)), "between the parts"),
}
TOO_MUCH: dict[str, tuple[Send, str]] = {
    "gzip bomb": (sent("a.tar.gz", lambda: gzip.compress(zeros(), 1)), "unpacks to too much"),
    "xz bomb": (sent("a.tar.xz", lambda: lzma.compress(zeros(), preset=0)), "unpacks to too much"),
    "zip bomb": (sent("a.zip", bomb), "unpacks to too much"),
    "paths without end": (packed(TOOL, gnu_long("/".join("a" * 200).encode()), member("x", b"x")), "too deep"),
}
ATTACKS: list[Attack] = [
    *table(FILES, read.archive_files, FormatError, LIES),
    *table(FILES, read.archive_files, LimitError, TOO_MUCH),
    *table(SOURCES, read.archive_folder, FormatError, LIES),
    *table(SOURCES, read.archive_folder, LimitError, TOO_MUCH),
]


def _cut(place: Place) -> None:
    zipped(GOOD)(place)
    path = place.sent / "a.zip"
    path.write_bytes(path.read_bytes()[:-30])


def _before(place: Place) -> None:
    zipped(GOOD)(place)
    path = place.sent / "a.zip"
    path.write_bytes(b"#!/bin/sh\n" + path.read_bytes())
