"""Sealed archives with a true sha256 and a false structure (bundle-format 2 and 6)."""

import functools
import json
import struct
import tempfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from bundles import oci, ustar
from bundles.digest import Digest
from bundles.errors import FormatError
from bundles.jsontext import encode_canonical
from bundles.platform import Platform
from bundles.reference import Reference
from bundles.sealed.documents import make_config, make_manifest
from bundles.sealed.layout import SealedImage, lay_out
from tests.hostile.corpus_model import Attack, Place, table
from tests.hostile.readers_under_attack import archive, archive_quick
from tests.hostile.rows_packings import frame, skippable, window
from tests.support.bundles import joined, members
from tests.support.hostile import GOOD
from tests.support.releases import AMD64, program
from tests.support.sealed import EPOCH, make_archive
from tests.support.tars import END, folder, hardlink, header, member, pax, symlink, tar

Send = Callable[[Place], object]
Parts = list[tuple[ustar.Header, bytes]]
NAME = "docker.io/rancher/rke2-runtime:v1.2.3"
EXTRA = "blobs/sha256/" + Digest.of(b"x").hex
PROGRAM = member("bin/kubelet", program(b"kubelet"), mode=0o755)


@functools.cache
def good() -> bytes:
    """A runtime image and another one."""
    with tempfile.TemporaryDirectory() as name:
        path = Path(name, "a.tar")
        images = {
            NAME: {"bin/kubelet": program(b"kubelet" * 1000), "charts/a.yaml": b"a"},
            "docker.io/rancher/pause:3": {"pause": b"pause"},
        }
        make_archive(path, images)
        return path.read_bytes()


def sent(make: Callable[[], bytes]) -> Send:
    return lambda place: (place.sent / "a.tar").write_bytes(make())


def parts(change: Callable[[Parts], Parts]) -> Send:
    """The archive's members changed; each header is canonical again."""
    return sent(lambda: joined(change(members(good()))))


def field(position: int, at: int, value: bytes, *, resum: bool = True) -> Send:
    """Bytes of one header changed, its checksum made right again."""

    def make() -> bytes:
        data = bytearray(good())
        start = _starts(data)[position]
        block = data[start : start + 512]
        block[at : at + len(value)] = value
        if resum:
            block[148:156] = b" " * 8
            block[148:156] = b"%06o\x00 " % sum(block)
        data[start : start + 512] = block
        return bytes(data)

    return sent(make)


def _starts(data: bytes | bytearray) -> list[int]:
    found, at = [], 0
    while any(data[at : at + 512]):
        found.append(at)
        size = ustar.parse(data[at : at + 512]).size
        at += 512 + size + ustar.padding(size)
    return found


def cut(where: Callable[[bytes], int]) -> Send:
    return sent(lambda: good()[: where(good())])


def changed(position: int, **fields: object) -> Send:
    def change(found: Parts) -> Parts:
        head, body = found[position]
        return [*found[:position], (replace(head, **fields), body), *found[position + 1 :]]  # type: ignore[arg-type]

    return parts(change)


def inserted(head: ustar.Header, body: bytes = b"", position: int = 3) -> Send:
    return parts(lambda found: [*found[:position], (head, body), *found[position:]])


def document(position: int, old: bytes, new: bytes) -> Send:
    """A document with other words; the header follows its size."""

    def change(found: Parts) -> Parts:
        head, body = found[position]
        assert old in body, (old, body)
        data = body.replace(old, new, 1)
        return [*found[:position], (replace(head, size=len(data)), data), *found[position + 1 :]]

    return parts(change)


def whole(position: int, data: bytes) -> Send:
    return parts(
        lambda found: [*found[:position], (replace(found[position][0], size=len(data)), data), *found[position + 1 :]]
    )


def named(name: str, **fields: object) -> ustar.Header:
    return replace(ustar.Header(name=name, mode=0o644, size=0, mtime=EPOCH), **fields)  # type: ignore[arg-type]


def layered(stored: bytes, content: bytes, kind: str = oci.LAYER_ZSTD, *, platform: Platform = AMD64) -> Send:
    """One runtime image with this layer, sealed as the format wants it."""
    return sent(lambda: _sealed(stored, content, kind, platform))


def _sealed(stored: bytes, content: bytes, kind: str, platform: Platform) -> bytes:
    config = make_config(platform=platform, created=EPOCH, layers=[(Digest.of(content), "test")])
    layer = oci.Descriptor(media_type=kind, digest=Digest.of(stored), size=len(stored))
    image = SealedImage(reference=Reference.parse(NAME), manifest=make_manifest(config, [layer]), config=config)
    layout = lay_out([image], EPOCH)
    bodies = [stored if entry.content is None else entry.content for entry in layout.entries]
    heads = [ustar.parse(layout.header(entry)) for entry in layout.entries]
    return joined(list(zip(heads, bodies, strict=True)))


def documents(
    *, config: Callable[[Any], object] | None = None, manifest: Callable[[Any], object] | None = None
) -> Send:
    """The same with a lie in the config or the manifest; digests and index.json follow it, manifest.json does not."""

    def make() -> bytes:
        found = members(_sealed(PLAIN, PLAIN, oci.LAYER_TAR, AMD64))
        values = {at: json.loads(found[at][1]) for at in (2, 3, 4)}
        if config is not None:
            config(values[4])
        values[3]["config"] |= _described(encode_canonical(values[4]))
        if manifest is not None:
            manifest(values[3])
        values[2]["manifests"][0] |= _described(encode_canonical(values[3]))
        for at, value in values.items():
            data = encode_canonical(value)
            name = found[at][0].name if at == 2 else f"blobs/sha256/{Digest.of(data).hex}"
            found[at] = (replace(found[at][0], name=name, size=len(data)), data)
        return joined(found)

    return sent(make)


def _described(data: bytes) -> dict[str, object]:
    return {"digest": str(Digest.of(data)), "size": len(data)}


def entries(*found: bytes) -> Send:
    """A plain layer of the runtime image with these entries after a good program."""
    data = tar(PROGRAM, *found)
    return layered(data, data, oci.LAYER_TAR)


def _pad() -> bytes:
    data = bytearray(good())
    size = ustar.parse(data[:512]).size
    data[512 + size] = 1
    return bytes(data)


CANONICAL = "not the header that belongs here"
STRUCTURE = table(
    "sealed tar",
    archive_quick,
    FormatError,
    {
        "mode 0755": (field(3, 100, b"0000755\x00"), CANONICAL),
        "setuid mode": (field(3, 100, b"0004644\x00"), CANONICAL),
        "mode in another spelling": (field(3, 100, b"   644 \x00"), "malformed mode|belongs here"),
        "owner 1000": (field(3, 108, b"0001750\x00"), CANONICAL),
        "group 1000": (field(3, 116, b"0001750\x00"), CANONICAL),
        "owner in base 256": (field(3, 108, b"\x80" + bytes(7)), CANONICAL),
        "time of its own": (field(4, 136, b"00000000001\x00"), CANONICAL),
        "time in base 256": (field(4, 136, b"\x80" + bytes(11)), "malformed mtime"),
        "negative time": (field(4, 136, b"\xff" * 12), "malformed mtime"),
        "owner's name": (field(3, 265, b"root"), CANONICAL),
        "group's name": (field(3, 297, b"root"), CANONICAL),
        "device number": (field(3, 329, b"0000001\x00"), CANONICAL),
        "name split into a prefix": (field(3, 345, b"blobs"), "does not belong here|belongs here"),
        "garbage behind the name": (field(3, 90, b"x"), "malformed name"),
        "garbage behind the prefix": (field(3, 400, b"x"), "malformed prefix"),
        "bytes in the last padding of a header": (field(3, 505, b"x"), CANONICAL),
        "GNU magic": (field(3, 257, b"ustar  \x00"), "not a ustar header"),
        "no magic": (field(3, 257, bytes(8)), "not a ustar header"),
        "checksum in another spelling": (field(3, 148, b"0000000\x00", resum=False), "wrong checksum"),
        "size with blanks": (field(3, 124, b"       1234 "), "malformed size"),
        "size in base 256": (field(3, 124, b"\x80" + bytes(10) + b"\x01"), "malformed size"),
        "negative size": (field(3, 124, b"\xff" * 12), "malformed size"),
        "size of octal garbage": (field(3, 124, b"0000000089\x00\x00"), "malformed size"),
        "size of 8 GiB": (field(3, 124, b"77777777777\x00"), "truncated"),
        "size one byte less": (field(3, 124, b"00000000010\x00"), "padding|checksum|header"),
        "no size": (field(3, 124, bytes(12)), "malformed size"),
        "link": (changed(3, typeflag=b"2", linkname="/etc/passwd"), CANONICAL),
        "hard link": (changed(3, typeflag=b"1", linkname="manifest.json"), CANONICAL),
        "link target of a file": (changed(3, linkname="x"), CANONICAL),
        "folder": (changed(3, typeflag=b"5"), CANONICAL),
        "device": (changed(3, typeflag=b"3"), CANONICAL),
        "FIFO": (changed(3, typeflag=b"6"), CANONICAL),
        "old kind of file": (changed(3, typeflag=b"\x00"), CANONICAL),
        "contiguous file": (changed(3, typeflag=b"7"), CANONICAL),
        "sparse file": (changed(3, typeflag=b"S"), CANONICAL),
        "PAX header": (inserted(named("p", size=19, typeflag=b"x"), b"19 path=blobs/evil\n"), "does not belong here"),
        "PAX header called as a blob": (inserted(named(EXTRA, size=12, typeflag=b"x"), b"12 size=100\n"), CANONICAL),
        "global PAX header": (inserted(named("p", size=12, typeflag=b"g"), b"12 size=100\n", 0), "another member than"),
        "GNU long name": (inserted(named("././@LongLink", typeflag=b"L")), "does not belong here"),
        "name with ./": (changed(3, name="./" + EXTRA), "does not belong here"),
        "name that climbs": (changed(3, name="blobs/sha256/../../x"), "does not belong here"),
        "absolute name": (changed(3, name="/" + EXTRA), "does not belong here"),
        "name with a slash at its end": (changed(3, name=EXTRA + "/"), "does not belong here"),
        "name with a backslash": (changed(3, name="blobs\\sha256\\x"), "does not belong here"),
        "blob's name in upper case": (changed(3, name=EXTRA.upper()), "does not belong here"),
        "blob's name too short": (changed(3, name=EXTRA[:-1]), "does not belong here"),
        "name with a line end": (field(3, 60, b"\n"), "malformed name"),
        "name with an escape sequence": (field(3, 60, b"\x1b"), r"malformed name[\s\S]*\\x1b"),
        "name that is not UTF-8": (field(3, 60, b"\xff"), "malformed name"),
        "no name": (field(3, 0, bytes(100)), "without a name"),
        "documents swapped": (parts(lambda p: [p[1], p[0], *p[2:]]), "another member than must be here"),
        "blobs swapped": (parts(lambda p: [*p[:3], p[4], p[3], *p[5:]]), "another member than index.json"),
        "layers swapped": (parts(lambda p: [*p[:-2], p[-1], p[-2]]), "another member than index.json"),
        "blob twice": (parts(lambda p: [*p, p[-1]]), "the same member twice"),
        "manifest.json twice": (parts(lambda p: [*p, p[0]]), "does not belong here"),
        "layer missing": (parts(lambda p: p[:-1]), "members missing|another member"),
        "config missing": (parts(lambda p: [*p[:4], *p[5:]]), "not in the archive"),
        "head alone": (parts(lambda p: p[:3]), "not in the archive"),
        "nothing": (parts(lambda p: []), "members missing"),
        "blob that nobody needs": (
            inserted(named(EXTRA, size=1), b"x", 100),
            "members missing, or members that no image",
        ),
        "file that does not belong": (inserted(named("repositories", size=2), b"{}", 100), "does not belong here"),
        "padding that is not zero": (sent(_pad), "padding of manifest.json is not zero"),
        "half an end marker": (cut(lambda data: len(data) - 512), "does not end after two zero blocks"),
        "no end marker": (cut(lambda data: len(data) - 1024), "truncated"),
        "end marker that is not zero": (sent(lambda: good()[:-1] + b"x"), "not zero"),
        "bytes behind the end": (sent(lambda: good() + b"x"), "does not end after two zero blocks"),
        "zeros behind the end": (sent(lambda: good() + bytes(10240)), "does not end after two zero blocks"),
        "second archive behind the end": (sent(lambda: good() * 2), "does not end after two zero blocks"),
        "cut in the first header": (cut(lambda data: 300), "truncated"),
        "cut behind the first header": (cut(lambda data: 512), "truncated"),
        "cut in a document": (cut(lambda data: 700), "truncated"),
        "cut in the last layer": (cut(lambda data: len(data) - 1600), "truncated"),
        "empty file": (sent(lambda: b""), "truncated"),
        "compressed": (sent(lambda: frame(good())), "tar header|ustar|truncated"),
    },
)
VIEWS = table(
    "sealed views",
    archive_quick,
    FormatError,
    {
        "manifest.json: another name": (
            document(0, b"rke2-runtime:v1.2.3", b"rke2-runtime:v1.2.4"),
            "manifest.json: not what",
        ),
        "manifest.json: another config": (
            document(0, b'"Config":"blobs/sha256/', b'"Config":"blobs/sha256/0'),
            "manifest.json",
        ),
        "manifest.json: no layers": (document(0, b'"Layers":["', b'"Layers":[],"x":["'), "manifest.json"),
        "manifest.json: wrong case": (document(0, b'"Layers"', b'"layers"'), "manifest.json: not what"),
        "manifest.json: another size of a layer": (document(0, b'"size":', b'"size":1'), "manifest.json"),
        "manifest.json: another kind of layer": (document(0, b"tar+zstd", b"tar+gzip"), "manifest.json: not what"),
        "manifest.json: a field more": (document(0, b'[{"Config"', b'[{"A":1,"Config"'), "manifest.json"),
        "manifest.json: a key twice": (document(0, b'"RepoTags":', b'"RepoTags":[],"RepoTags":'), "manifest.json"),
        "manifest.json: a blank": (document(0, b'":', b'": '), "manifest.json"),
        "manifest.json: an image more": (document(0, b"[{", b"[{},{"), "manifest.json"),
        "manifest.json: empty": (whole(0, b"[]\n"), "another member|manifest.json"),
        "manifest.json: domain left out": (document(0, b"docker.io/rancher/rke2", b"rancher/rke2"), "manifest.json"),
        "oci-layout: another version": (document(1, b"1.0.0", b"1.0.1"), "oci-layout: not what"),
        "oci-layout: without a line end": (document(1, b"\n", b""), "another member|oci-layout"),
        "index.json: another name": (
            document(2, b"rke2-runtime:v1.2.3", b"rke2-runtime:v9"),
            "manifest.json|another member",
        ),
        "index.json: another ref.name": (
            document(2, b'ref.name":"docker.io/rancher/pause:3', b'ref.name":"x'),
            "index.json",
        ),
        "index.json: another digest": (document(2, b'"digest":"sha256:', b'"digest":"sha256:0'), "not a digest"),
        "index.json: another size": (document(2, b'"size":', b'"size":1'), "index.json"),
        "index.json: another schema": (document(2, b'"schemaVersion":2', b'"schemaVersion":3'), "index.json: not what"),
        "index.json: another media type": (
            document(2, b"image.manifest.v1", b"image.evil.v1"),
            "neither a manifest nor an index",
        ),
        "index.json: a platform more": (
            document(2, b'"size":', b'"platform":{"architecture":"arm64","os":"linux"},"size":'),
            "index.json",
        ),
        "index.json: an annotation more": (document(2, b'"annotations":{', b'"annotations":{"a":"b",'), "index.json"),
        "index.json: no name": (
            document(2, b"io.containerd.image.name", b"io.containerd.image.nam"),
            "not an image reference",
        ),
        "index.json: malformed name": (
            document(2, b"docker.io/rancher/pause:3", b"docker.io/RANCHER/pause:3"),
            "malformed repository",
        ),
        "index.json: look-alike letters": (
            document(2, b"rancher/pause:3", "ranch\u0435r/pause:3".encode()),
            r"\\u0435",
        ),
        "index.json: one image twice": (
            document(
                2,
                b'"manifests":[',
                b'"manifests":['
                + b'{"annotations":{"io.containerd.image.name":"docker.io/rancher/pause:3"},"digest":"sha256:'
                + b"0" * 64
                + b'","mediaType":"x","size":1},',
            ),
            "not in the archive",
        ),
        "index.json: digests without end": (
            whole(2, b'{"manifests":[' + b"[]," * 400_000 + b"[]]}"),
            "too many JSON values",
        ),
        "index.json: nested without end": (whole(2, b"[" * 200_000), "nested too deeply"),
        "index.json: empty": (whole(2, b""), "index.json"),
        "index.json: a list": (whole(2, b"[]"), "index.json"),
        "index.json: NaN": (whole(2, b'{"schemaVersion":NaN,"manifests":[]}'), "no NaN"),
        "index.json: UTF-16": (whole(2, '{"manifests":[],"schemaVersion":2}'.encode("utf-16")), "not UTF-8"),
        "index.json: byte order mark": (whole(2, b'\xef\xbb\xbf{"manifests":[],"schemaVersion":2}'), "not JSON"),
        "index.json: wrong case beside the right one": (
            document(2, b'"manifests":', b'"Manifests":[],"manifests":'),
            "wrong case",
        ),
        "index.json: no images": (whole(2, b'{"manifests":[],"schemaVersion":2}\n'), "at least one image"),
        "manifest: changed": (document(3, b"config", b"Config"), "a damaged blob"),
        "config: changed": (document(4, b"amd64", b"arm64"), "a damaged blob"),
    },
)


PLAIN = tar(PROGRAM)
# One frame of one byte that holds one byte (zstd's contrib/seekable_format).
SEEK = skippable(struct.pack("<II", 1, 1) + struct.pack("<IBI", 1, 0, 0x8F92EAB1), 0x184D2A5E)
CONTENT = table(
    "sealed layers",
    archive,
    FormatError,
    {
        "another diff id": (layered(PLAIN, PLAIN + bytes(512), oci.LAYER_TAR), "another diff id"),
        "seek table that lies": (layered(frame(PLAIN) + SEEK, PLAIN), "seek table that does not match"),
        "window of 64 MiB": (layered(window(26), b""), "zstd window too large"),
        "zstd bomb": (lambda place: layered(frame(bytes(8 << 20)) * 12, b"")(place), "unpacks to too much"),
        "frames without end": (
            lambda place: layered(skippable(b"") * 140_000, b"")(place),
            "too many compressed frames",
        ),
        "gzip called zstd": (layered(PLAIN, PLAIN, oci.LAYER_GZIP), "damaged gzip data"),
        "unknown media type": (layered(PLAIN, PLAIN, "application/x-unknown"), "unknown media type"),
        "foreign layer": (
            layered(PLAIN, PLAIN, "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip"),
            "unknown media type",
        ),
        "image for another platform": (
            layered(PLAIN, PLAIN, oci.LAYER_TAR, platform=Platform(os="linux", architecture="arm64")),
            "an image for another platform",
        ),
        "image for another system": (
            layered(PLAIN, PLAIN, oci.LAYER_TAR, platform=Platform(os="windows", architecture="amd64")),
            "an image for another platform",
        ),
        "architecture that steers a terminal": (
            layered(PLAIN, PLAIN, oci.LAYER_TAR, platform=Platform(os="linux", architecture="\x1b[2J")),
            r"platform[\s\S]*\\x1b",
        ),
        "history that is text": (
            documents(config=lambda v: v.update(history="x")),
            "unexpected JSON",
        ),
        "history without end": (
            documents(config=lambda v: v.update(history=[{}] * 300_000)),
            "too many JSON values",
        ),
        "two diff ids for one layer": (
            documents(config=lambda v: v["rootfs"]["diff_ids"].append("sha256:" + "0" * 64)),
            "do not belong together",
        ),
        "no diff ids": (documents(config=lambda v: v["rootfs"].update(diff_ids=[])), "do not belong together"),
        "manifest of another config": (
            documents(manifest=lambda v: v["config"].update(digest="sha256:" + "0" * 64)),
            "not in the archive",
        ),
        "manifest of one layer more": (
            documents(manifest=lambda v: v["layers"].append(v["layers"][0])),
            "do not belong",
        ),
        "size of a layer below zero": (
            documents(manifest=lambda v: v["layers"][0].update(size=-1)),
            "does not fit|another member",
        ),
        "program for another machine": (
            layered(
                tar(member("bin/k", program(b"", Platform(os="linux", architecture="arm64")))),
                tar(member("bin/k", program(b"", Platform(os="linux", architecture="arm64")))),
                oci.LAYER_TAR,
            ),
            "for another machine",
        ),
        "32-bit program": (entries(member("bin/x", b"\x7fELF\x01\x01" + bytes(60))), "neither a 64-bit ELF"),
        "program cut short": (entries(member("bin/x", b"\x7fELF\x02\x01")), "neither a 64-bit ELF"),
        "entry that climbs": (entries(member("bin/../../x", b"x")), "leaves the layer|climbs"),
        "absolute entry": (entries(member("/bin/x", b"x")), "leaves the layer|absolute"),
        "entry with ./": (entries(member("./bin/x", b"x")), "leaves the layer|ambiguous"),
        "entry twice": (entries(PROGRAM), "twice"),
        "hard link": (entries(hardlink("bin/x", "bin/kubelet")), "no file, folder or symlink"),
        "device": (entries(header("dev/null", typeflag=b"3")), "no file, folder or symlink"),
        "FIFO": (entries(header("bin/x", typeflag=b"6")), "no file, folder or symlink"),
        "sparse": (entries(header("bin/x", typeflag=b"S")), "no file, folder or symlink|sparse"),
        "setuid": (entries(member("bin/x", program(b""), mode=0o4755)), "special mode bits"),
        "PAX size": (entries(pax({"size": "1"}), member("bin/x", b"x")), "PAX record that does not belong"),
        "PAX sparse": (
            entries(pax({"GNU.sparse.major": "1"}), member("bin/x", b"x")),
            "PAX record that does not belong",
        ),
        "PAX header of 1 MiB": (entries(header("p", typeflag=b"x", size=1 << 20)), "PAX record too large"),
        "PAX name with an escape sequence": (
            entries(pax({"path": "bin/\x1b[2J"}), member("x", program(b""))),
            "control characters",
        ),
        "folder with a body": (entries(header("d/", typeflag=b"5", size=512), bytes(512)), "with a body"),
        "file where a folder is": (entries(folder("bin/kubelet")), "twice"),
        "entries without end": (
            lambda place: entries(*(folder(f"d{n}") for n in range(10_001)))(place),
            "too many entries",
        ),
        "cut short": (layered(PLAIN[:700], PLAIN[:700], oci.LAYER_TAR), "cut short"),
        "no end": (layered(PLAIN[: -len(END)], PLAIN[: -len(END)], oci.LAYER_TAR), "cut short"),
        "data after the end": (layered(PLAIN + GOOD, PLAIN + GOOD, oci.LAYER_TAR), "after the end"),
        "no programs": (
            layered(tar(member("charts/a", b"x")), tar(member("charts/a", b"x")), oci.LAYER_TAR),
            "no programs in /bin",
        ),
        "no programs but one that is whited out": (entries(member("bin/.wh.kubelet")), "neither a 64-bit ELF|whiteout"),
        "whiteout": (entries(member("charts/.wh.a")), "whiteout in a sealed layer"),
        "/bin as a link": (entries(symlink("charts", "/etc")), "must be a folder"),
        "file where a folder must be": (
            entries(member("bin/a/b", program(b"")), member("bin/a", program(b""))),
            "below",
        ),
        "link to nothing at all": (entries(pax({"linkpath": ""}), symlink("bin/x", "y")), "leaves /bin"),
        "link out of /bin": (entries(symlink("bin/kubectl", "/etc/passwd")), "leaves"),
        "link that climbs out": (entries(symlink("bin/kubectl", "../../etc/passwd")), "leaves"),
        "entry below a link": (entries(symlink("bin/d", "."), member("bin/d/x", program(b""))), "below"),
        "entry below a file": (entries(member("bin/kubelet/x", program(b""))), "below"),
    },
)
ATTACKS: list[Attack] = STRUCTURE + VIEWS + CONTENT
