"""What lies in a bundle's folder, and the one file of `pack` (bundle-format 1 and 6)."""

import gzip
import os
from pathlib import Path

from bundles.errors import FormatError, SealiftError
from tests.hostile.corpus_model import Attack, table
from tests.hostile.making_bundles import (
    bundle,
    deep,
    fifo,
    folder,
    lie,
    linked,
    many,
    member_header,
    one_file,
    renamed,
    rewrite,
    swap,
)
from tests.hostile.readers_under_attack import compared, inspected, packed, stage, verify
from tests.support.bundles import CORE, LIST, RUNTIME, SUMS
from tests.support.damage import flip

FOLDER = table(
    "folder",
    stage,
    SealiftError,
    {
        "index missing": (bundle(lambda f: (f / "bundle.json").unlink()), "no such file"),
        "sums missing": (bundle(lambda f: (f / SUMS).unlink()), "missing from the bundle"),
        "archive missing": (bundle(lambda f: (f / CORE).unlink()), "missing from the bundle"),
        "file not listed": (bundle(lambda f: (f / "extra").touch()), "not listed in bundle.json: extra"),
        "archive not listed": (bundle(lambda f: (f / "images/extra.tar").touch()), "not listed in bundle.json"),
        "pull list in images": (bundle(lambda f: (f / "images/rke2.txt").touch()), "not listed in bundle.json"),
        "hidden file": (bundle(lambda f: (f / "images/.x").touch()), "not listed in bundle.json"),
        "name that steers a terminal": (bundle(lambda f: (f / "\x1b[2J").touch()), r"not listed in bundle.json: \\x1b"),
        "name that forges a line": (bundle(lambda f: (f / "x\nok: yes").touch()), r"not listed in bundle.json: x\\nok"),
        "name that is not UTF-8": (
            bundle(lambda f: Path(os.fsdecode(os.fsencode(f) + b"/\xff")).touch()),
            "not listed",
        ),
        "empty folder": (bundle(lambda f: (f / "more").mkdir()), "not listed in bundle.json: more/"),
        "folders nested too deeply": (bundle(deep(20)), "nested too deeply"),
        "files without end": (bundle(many), "too many files"),
        "sums that lie": (
            bundle(lambda f: rewrite(f / SUMS, lambda d: d.replace(b"0", b"1", 1))),
            "checksums that are not",
        ),
        "sums with a path that climbs": (
            bundle(lambda f: rewrite(f / SUMS, lambda d: d + b"0" * 64 + b"  ../x\n")),
            "checksums that are not",
        ),
        "sums of 5 MiB": (bundle(lambda f: rewrite(f / SUMS, lambda d: bytes(5 << 20))), "too large"),
        "archives swapped": (bundle(swap(RUNTIME, CORE)), "another size than bundle.json says"),
        "file changed": (bundle(lambda f: flip(f / LIST, 3)), "a damaged file"),
        "layer changed": (
            bundle(lambda f: flip(f / CORE, (f / CORE).stat().st_size - 1500)),
            "a damaged blob|padding|end of the archive",
        ),
        "index as a link": (bundle(linked("bundle.json")), "symbolic link"),
        "archive as a link": (bundle(linked(RUNTIME)), "symbolic link"),
        "list as a link": (bundle(linked(LIST)), "symbolic link"),
        "images as a link": (bundle(linked("images")), "symbolic link"),
        "link to nothing": (bundle(lambda f: (f / "x").symlink_to("/nowhere")), "symbolic link"),
        "link in circles": (bundle(lambda f: (f / "x").symlink_to("x")), "symbolic link"),
        "index as a FIFO": (bundle(fifo("bundle.json")), "not a regular file"),
        "list as a FIFO": (bundle(fifo(LIST)), "special file"),
        "FIFO more": (bundle(fifo("x")), "special file"),
        "index as a folder": (
            bundle(folder("bundle.json")),
            "not a regular file",
        ),
        "signature as a folder": (bundle(lambda f: (f / "bundle.json.sig").mkdir()), "not listed|not a regular"),
    },
)
PACKED = table(
    "packed",
    stage,
    FormatError,
    {
        "empty": (one_file(lambda data: b""), "truncated"),
        "cut in the index": (one_file(lambda data: data[:700]), "truncated"),
        "cut in the middle": (one_file(lambda data: data[: len(data) // 2]), "truncated"),
        "cut before the end": (one_file(lambda data: data[:-1024]), "truncated"),
        "half an end marker": (one_file(lambda data: data[:-512]), "does not end after two zero blocks"),
        "bytes behind the end": (one_file(lambda data: data + b"x"), "does not end after two zero blocks"),
        "second bundle behind the end": (one_file(lambda data: data * 2), "does not end after two zero blocks"),
        "index not first": (member_header(renamed(b"zzz")), "not a packed bundle"),
        "member that climbs": (member_header(renamed(b"../../evil"), LIST), "not listed|missing|another order"),
        "absolute member": (member_header(renamed(b"/etc/evil"), LIST), "not listed|missing|another order"),
        "member with ./": (member_header(renamed(b"./lists/x"), LIST), "not listed|missing|another order"),
        "member with a line end": (member_header(renamed(b"a\nb"), LIST), "malformed name"),
        "member with an escape sequence": (member_header(renamed(b"\x1b[2J"), LIST), r"malformed name[\s\S]*\\x1b"),
        "member twice": (member_header(renamed(RUNTIME.encode()), CORE), "twice or in another order"),
        "member as a link": (
            member_header(lambda block: block.__setitem__(156, ord("2")), LIST),
            "not a header that pack writes",
        ),
        "member as a folder": (
            member_header(lambda block: block.__setitem__(156, ord("5")), LIST),
            "not a header that pack writes",
        ),
        "member as a PAX header": (
            member_header(lambda block: block.__setitem__(156, ord("x")), LIST),
            "not a header that pack writes",
        ),
        "setuid member": (
            member_header(lambda block: block.__setitem__(slice(100, 108), b"0004755\x00"), LIST),
            "not a header that pack writes",
        ),
        "member of an owner": (
            member_header(lambda block: block.__setitem__(slice(265, 269), b"root"), LIST),
            "not a header that pack writes",
        ),
        "member of another time": (
            member_header(lambda block: block.__setitem__(slice(136, 148), b"00000000001\x00"), LIST),
            "not a header that pack writes",
        ),
        "size of 8 GiB": (
            member_header(lambda block: block.__setitem__(slice(124, 136), b"77777777777\x00")),
            "too large|truncated",
        ),
        "size in base 256": (
            member_header(lambda block: block.__setitem__(slice(124, 136), b"\xff" * 12)),
            "malformed size",
        ),
        "compressed": (one_file(gzip.compress), "tar header|truncated"),
        "no bundle at all": (one_file(lambda data: b"hello" * 1000), "tar header"),
        "changed in an archive": (one_file(lambda data: data[:-3000] + bytes([data[-3000] ^ 1]) + data[-2999:]), "."),
    },
)
CLIMB = lie(lambda v: v.update(name="../../evil"))
OTHERS = [
    *table(
        "other commands",
        verify,
        FormatError,
        {"verify: platform of one word": (lie(lambda v: v.update(platform="linux")), "not a platform")},
    ),
    *table("other commands", inspected, FormatError, {"inspect: name that climbs": (CLIMB, "not a bundle's name")}),
    *table("other commands", compared, FormatError, {"diff: name that climbs": (CLIMB, "not a bundle's name")}),
    *table(
        "other commands",
        packed,
        FormatError,
        {"pack: platform of one word": (lie(lambda v: v.update(platform="linux")), "not a platform")},
    ),
    *table("other commands", packed, SealiftError, {"pack: a link": (bundle(linked(LIST)), "symbolic link")}),
]
ATTACKS: list[Attack] = FOLDER + PACKED + OTHERS
