"""Whole bundles: bundle.json, the sums, what lies beside them, the one file of `pack` (bundle-format 1, 4, 6)."""

import atexit
import contextlib
import functools
import gzip
import json
import os
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from bundles import index, ustar
from bundles.digest import Digest
from bundles.errors import FormatError, SealiftError
from bundles.jsontext import encode_canonical
from bundles.pack import pack
from bundles.sums import sums_text
from tests.hostile.corpus_model import Attack, Place, table
from tests.hostile.readers_under_attack import compared, inspected, packed, stage, verify
from tests.support.bundles import CORE, LIST, RUNTIME, SUMS, make_bundle
from tests.support.damage import flip

Send = Callable[[Place], object]


@functools.cache
def template() -> Path:
    """A good bundle; copied for each attack."""
    folder = tempfile.mkdtemp(prefix="hostile-")
    atexit.register(shutil.rmtree, folder)
    return make_bundle(Path(folder), big=20_000)


def bundle(change: Callable[[Path], object]) -> Send:
    """The good bundle, with something done to its folder."""

    def send(place: Place) -> None:
        folder = place.sent / template().name
        shutil.copytree(template(), folder)
        change(folder)

    return send


def spelled(change: Callable[[bytes], bytes]) -> Send:
    """bundle.json as other bytes, the sums true to what they were."""
    return bundle(lambda folder: _rewrite(folder / "bundle.json", change))


def _rewrite(path: Path, change: Callable[[bytes], bytes]) -> None:
    path.write_bytes(change(path.read_bytes()))


def lie(change: Callable[[Any], object]) -> Send:
    """bundle.json says something else, canonically; the sums fit when they can."""

    def forge(folder: Path) -> None:
        value = json.loads((folder / "bundle.json").read_bytes())
        change(value)
        data = encode_canonical(value)
        (folder / "bundle.json").write_bytes(data)
        with contextlib.suppress(SealiftError):
            (folder / SUMS).write_text(sums_text(index.decode(data), Digest.of(data)))

    return bundle(forge)


def one_file(change: Callable[[bytes], bytes]) -> Send:
    """The packed bundle with other bytes."""

    def send(place: Place) -> None:
        path = place.sent / "b.sealift"
        pack(template(), path)
        path.write_bytes(change(path.read_bytes()))

    return send


def member_header(change: Callable[[bytearray], object], name: str = "bundle.json") -> Send:
    """One header of the packed bundle changed, its checksum right again."""

    def edit(data: bytes) -> bytes:
        at = 0
        while ustar.parse(data[at : at + 512]).name != name:
            size = ustar.parse(data[at : at + 512]).size
            at += 512 + size + ustar.padding(size)
        block = bytearray(data[at : at + 512])
        change(block)
        block[148:156] = b" " * 8
        block[148:156] = b"%06o\x00 " % sum(block)
        return data[:at] + bytes(block) + data[at + 512 :]

    return one_file(edit)


def renamed(new: bytes) -> Callable[[bytearray], object]:
    return lambda block: block.__setitem__(slice(0, 100), new.ljust(100, b"\x00"))


def _swap(first: str, second: str) -> Callable[[Path], None]:
    def swap(folder: Path) -> None:
        one, two = (folder / name for name in (first, second))
        data = one.read_bytes()
        one.write_bytes(two.read_bytes())
        two.write_bytes(data)

    return swap


def _linked(name: str) -> Callable[[Path], None]:
    """Moved into the canary, a link in its place."""

    def link(folder: Path) -> None:
        target = folder.parents[1] / "canary" / "moved"
        shutil.move(folder / name, target)
        (folder / name).symlink_to(target)

    return link


def _fifo(name: str) -> Callable[[Path], None]:
    def make(folder: Path) -> None:
        (folder / name).unlink(missing_ok=True)
        os.mkfifo(folder / name)

    return make


def _folder(name: str) -> Callable[[Path], None]:
    def make(folder: Path) -> None:
        (folder / name).unlink()
        (folder / name).mkdir()

    return make


def archives(**fields: Any) -> Send:
    return lie(lambda v: v["archives"][0].update(fields))


def files(**fields: Any) -> Send:
    return lie(lambda v: v["files"][0].update(fields))


def deep(levels: int) -> Callable[[Path], None]:
    return lambda folder: (folder / "/".join("d" * levels)).mkdir(parents=True)


def _many(folder: Path) -> None:
    (folder / "more").mkdir()
    for number in range(10_010):
        (folder / "more" / str(number)).touch()


TEXT = table(
    "index as text",
    stage,
    FormatError,
    {
        "a key twice": (
            spelled(lambda data: data.replace(b'{"archives"', b'{"name":"x","archives"')),
            "duplicate JSON key",
        ),
        "wrong case": (lie(lambda v: v.update(Name="x")), "wrong case"),
        "blanks": (spelled(lambda data: data.replace(b'":', b'": ')), "not canonical"),
        "no line end": (spelled(lambda data: data[:-1]), "not canonical"),
        "keys in another order": (
            spelled(lambda data: json.dumps(dict(reversed(json.loads(data).items()))).encode()),
            "not canonical",
        ),
        "needless escapes": (spelled(lambda data: data.replace(b"rke2", b"\\u0072ke2")), "not canonical"),
        "NaN": (spelled(lambda data: data.replace(b'"sequence":1', b'"sequence":NaN')), "no NaN"),
        "infinity as a number": (spelled(lambda data: data.replace(b'"sequence":1', b'"sequence":1e999')), "no NaN"),
        "a fraction": (spelled(lambda data: data.replace(b'"sequence":1', b'"sequence":1.0')), "integers only"),
        "an integer of 400 digits": (
            spelled(lambda data: data.replace(b'"sequence":1', b'"sequence":1' + b"0" * 400)),
            "beyond 64 bits",
        ),
        "an integer of 5000 digits": (
            spelled(lambda data: data.replace(b'"sequence":1', b'"sequence":1' + b"0" * 5000)),
            "beyond 64 bits",
        ),
        "half a surrogate pair": (
            spelled(lambda data: data.replace(b'"name":"rke2"', b'"name":"\\ud800"')),
            "surrogate",
        ),
        "UTF-16": (spelled(lambda data: data.decode().encode("utf-16")), "not UTF-8"),
        "UTF-32": (spelled(lambda data: data.decode().encode("utf-32-le")), "not JSON|not UTF-8"),
        "byte order mark": (spelled(lambda data: b"\xef\xbb\xbf" + data), "not JSON"),
        "overlong UTF-8": (spelled(lambda data: data.replace(b"rke2", b"\xc1\xb2ke2")), "not UTF-8"),
        "two documents": (spelled(lambda data: data + data), "not JSON"),
        "nested without end": (
            spelled(lambda data: data.replace(b'"files":', b'"x":' + b"[" * 100_000 + b"]" * 100_000 + b',"files":')),
            "nested too deeply",
        ),
        "values without end": (
            spelled(lambda data: data.replace(b'"files":', b'"x":[' + b"[]," * 400_000 + b'1],"files":')),
            "too many JSON values",
        ),
        "9 MiB": (
            spelled(lambda data: data.replace(b'"files":', b'"x":"' + b"a" * (9 << 20) + b'","files":')),
            "too large",
        ),
        "empty": (spelled(lambda data: b""), "not JSON"),
        "a list": (spelled(lambda data: b"[]\n"), "unknown bundle format"),
        "cut short": (spelled(lambda data: data[: len(data) // 2]), "not JSON"),
        "format 2.0": (lie(lambda v: v.update(format="2.0")), "unknown bundle format"),
        "format as a number": (lie(lambda v: v.update(format=2)), "unknown bundle format"),
        "format with an escape sequence": (lie(lambda v: v.update(format="\x1b[2J1.0")), "unknown bundle format"),
        "no format": (lie(lambda v: v.pop("format")), "unknown bundle format"),
    },
)
FIELDS = table(
    "index against the bundle",
    stage,
    FormatError,
    {
        "name that climbs": (lie(lambda v: v.update(name="../../evil")), "not a bundle's name"),
        "name that is absolute": (lie(lambda v: v.update(name="/etc")), "not a bundle's name"),
        "name with a NUL": (lie(lambda v: v.update(name="a\x00b")), "not a bundle's name"),
        "name with a line end": (
            lie(lambda v: v.update(name="rke2\nerror: all is well")),
            r"not a bundle's name[\s\S]*\\n",
        ),
        "name with an escape sequence": (lie(lambda v: v.update(name="\x1b[2J")), r"not a bundle's name[\s\S]*\\x1b"),
        "name of a temporary file": (lie(lambda v: v.update(name=".sealift-x")), "not a bundle's name"),
        "name of 300 characters": (lie(lambda v: v.update(name="a" * 300)), "not a bundle's name"),
        "name in look-alike letters": (
            lie(lambda v: v.update(name="rk\u0435" + "2")),
            r"not a bundle's name[\s\S]*\\u0435",
        ),
        "name written backwards": (lie(lambda v: v.update(name="\u202egpj.exe")), r"not a bundle's name[\s\S]*\\u202e"),
        "version that climbs": (lie(lambda v: v.update(version="v1/../../x")), "not a bundle's version"),
        "flavour that climbs": (lie(lambda v: v.update(flavour="../x")), "not a bundle's flavour"),
        "platform that climbs": (lie(lambda v: v.update(platform="linux/../../x")), "not a platform"),
        "platform of one word": (lie(lambda v: v.update(platform="linux")), "not a platform"),
        "another platform": (lie(lambda v: v.update(platform="linux/arm64")), "another platform"),
        "another time": (lie(lambda v: v.update(created=5)), "not the header that belongs here"),
        "time below zero": (lie(lambda v: v.update(created=-1)), "out of range"),
        "time beyond any header": (lie(lambda v: v.update(created=1 << 40)), "out of range"),
        "sequence below zero": (lie(lambda v: v.update(sequence=-1)), "out of range"),
        "lock of another kind": (lie(lambda v: v.update(lock={"sha256": "md5:1"})), "not a digest"),
        "no archives": (lie(lambda v: v.update(archives=[])), "disagree"),
        "no images": (lie(lambda v: v.update(images=[])), "disagree"),
        "archive twice": (lie(lambda v: v["archives"].append(v["archives"][0])), "listed twice"),
        "archive path climbs": (archives(path="images/../../x.tar"), "may not stand in a bundle"),
        "archive path absolute": (archives(path="/etc/x.tar"), "may not stand in a bundle"),
        "archive path with a NUL": (archives(path="images/a\x00.tar"), "may not stand in a bundle"),
        "archive path with a line end": (archives(path="images/a\n.tar"), "may not stand in a bundle"),
        "archive path with an escape sequence": (archives(path="images/\x1b[31m.tar"), r"may not stand[\s\S]*\\x1b"),
        "archive path with a backslash": (archives(path="images\\x.tar"), "may not stand in a bundle"),
        "archive path with ./": (archives(path="./images/x.tar"), "may not stand in a bundle"),
        "archive path hidden": (archives(path="images/.x.tar"), "may not stand in a bundle"),
        "archive path not ASCII": (archives(path="images/\u202ex.tar"), "may not stand in a bundle"),
        "archive path of 300 characters": (archives(path="images/" + "a" * 300 + ".tar"), "may not stand in a bundle"),
        "archive elsewhere": (archives(path="lists/x.tar"), "an archive in the wrong place"),
        "archive deeper": (archives(path="images/x/y.tar"), "an archive in the wrong place"),
        "archive called zst": (archives(path="images/x.tar.zst"), "an archive in the wrong place"),
        "archive is the index": (archives(path="bundle.json"), "may not be listed"),
        "archive of another size": (archives(size=1024), "another size than bundle.json says"),
        "archive of a size below zero": (archives(size=-1), "another size"),
        "archive of no blobs": (archives(blobs=[]), "other blobs than bundle.json says"),
        "archive of no images": (archives(images=[]), "disagree"),
        "archive's blob elsewhere": (
            lie(lambda v: v["archives"][0]["blobs"][0].update(offset=512)),
            "another blob than",
        ),
        "archive's blob of another size": (
            lie(lambda v: v["archives"][0]["blobs"][0].update(size=1)),
            "another blob than",
        ),
        "archive's blob of another digest": (
            lie(lambda v: v["archives"][0]["blobs"][0].update(digest="sha256:" + "0" * 64)),
            "another blob than",
        ),
        "archive's frames": (lie(lambda v: v["archives"][0]["blobs"][-1].update(frames=[[1, 1]])), "other frames than"),
        "archive's frames below zero": (
            lie(lambda v: v["archives"][0]["blobs"][-1].update(frames=[[-1, -1]])),
            "other frames than",
        ),
        "frames of text": (lie(lambda v: v["archives"][0]["blobs"][-1].update(frames=[["1", "1"]])), "unexpected JSON"),
        "image of another digest": (
            lie(lambda v: v["images"][1].update(digest="sha256:" + "0" * 64)),
            "another image than bundle.json says",
        ),
        "image in another archive": (lie(lambda v: v["images"][1].update(archive=RUNTIME)), "disagree"),
        "image by another name": (lie(lambda v: v["images"][1].update(reference="docker.io/rancher/x:y")), "disagree"),
        "image whose name steers a terminal": (
            lie(lambda v: v["images"][1].update(reference="\x1b]0;pwned\x07")),
            r"disagree[\s\S]*\\x1b\]0",
        ),
        "image whose name forges a line": (
            lie(lambda v: v["images"][1].update(reference="x\nok: all is well")),
            "disagree",
        ),
        "image twice": (lie(lambda v: v["images"].append(v["images"][0])), "disagree"),
        "runtime of another digest": (
            lie(lambda v: v["runtime"].update(digest="sha256:" + "0" * 64)),
            "not among the images",
        ),
        "runtime by another name": (
            lie(lambda v: v["runtime"].update(reference="docker.io/rancher/rke2-runtime:v9")),
            "not among the images",
        ),
        "runtime under another key": (lie(lambda v: v["runtime"].update(key="../../etc")), "not the runtime image's"),
        "runtime in another archive": (
            lie(lambda v: v["runtime"].update(v["images"][1] | {"key": "x"})),
            "alone in its archive|unexpected|not among",
        ),
        "file path climbs": (files(path="../x"), "may not stand in a bundle"),
        "file in images": (files(path="images/pull.txt"), "only archives may lie in images/"),
        "file is the sums": (files(path=SUMS), "may not be listed"),
        "file is a signature": (files(path="bundle.json.sig"), "may not be listed"),
        "file of another digest": (files(sha256="sha256:" + "0" * 64), "a damaged file"),
        "file of another size": (files(size=3), "another size than bundle.json says"),
        "file of a size below zero": (files(size=-5), "another size than bundle.json says"),
    },
)
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
        "files without end": (bundle(_many), "too many files"),
        "sums that lie": (
            bundle(lambda f: _rewrite(f / SUMS, lambda d: d.replace(b"0", b"1", 1))),
            "checksums that are not",
        ),
        "sums with a path that climbs": (
            bundle(lambda f: _rewrite(f / SUMS, lambda d: d + b"0" * 64 + b"  ../x\n")),
            "checksums that are not",
        ),
        "sums of 5 MiB": (bundle(lambda f: _rewrite(f / SUMS, lambda d: bytes(5 << 20))), "too large"),
        "archives swapped": (bundle(_swap(RUNTIME, CORE)), "another size than bundle.json says"),
        "file changed": (bundle(lambda f: flip(f / LIST, 3)), "a damaged file"),
        "layer changed": (
            bundle(lambda f: flip(f / CORE, (f / CORE).stat().st_size - 1500)),
            "a damaged blob|padding|end of the archive",
        ),
        "index as a link": (bundle(_linked("bundle.json")), "symbolic link"),
        "archive as a link": (bundle(_linked(RUNTIME)), "symbolic link"),
        "list as a link": (bundle(_linked(LIST)), "symbolic link"),
        "images as a link": (bundle(_linked("images")), "symbolic link"),
        "link to nothing": (bundle(lambda f: (f / "x").symlink_to("/nowhere")), "symbolic link"),
        "link in circles": (bundle(lambda f: (f / "x").symlink_to("x")), "symbolic link"),
        "index as a FIFO": (bundle(_fifo("bundle.json")), "not a regular file"),
        "list as a FIFO": (bundle(_fifo(LIST)), "special file"),
        "FIFO more": (bundle(_fifo("x")), "special file"),
        "index as a folder": (
            bundle(_folder("bundle.json")),
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
    *table("other commands", packed, SealiftError, {"pack: a link": (bundle(_linked(LIST)), "symbolic link")}),
]
ATTACKS: list[Attack] = TEXT + FIELDS + FOLDER + PACKED + OTHERS
