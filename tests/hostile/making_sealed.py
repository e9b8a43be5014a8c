"""Sealed archives with a true sha256 and something false inside."""

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
from bundles.jsontext import encode_canonical
from bundles.platform import Platform
from bundles.reference import Reference
from bundles.sealed.documents import make_config, make_manifest
from bundles.sealed.layout import lay_out
from bundles.sealed.opened import SealedImage
from tests.hostile.corpus_model import Place
from tests.hostile.rows_packings import skippable
from tests.support.bundles import joined, members
from tests.support.releases import AMD64, program
from tests.support.sealed import EPOCH, make_archive
from tests.support.tars import member, tar

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
        start = starts(data)[position]
        block = data[start : start + 512]
        block[at : at + len(value)] = value
        if resum:
            block[148:156] = b" " * 8
            block[148:156] = b"%06o\x00 " % sum(block)
        data[start : start + 512] = block
        return bytes(data)

    return sent(make)


def starts(data: bytes | bytearray) -> list[int]:
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
    return sent(lambda: sealed(stored, content, kind, platform))


def sealed(stored: bytes, content: bytes, kind: str, platform: Platform) -> bytes:
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
        found = members(sealed(PLAIN, PLAIN, oci.LAYER_TAR, AMD64))
        values = {at: json.loads(found[at][1]) for at in (2, 3, 4)}
        if config is not None:
            config(values[4])
        values[3]["config"] |= described(encode_canonical(values[4]))
        if manifest is not None:
            manifest(values[3])
        values[2]["manifests"][0] |= described(encode_canonical(values[3]))
        for at, value in values.items():
            data = encode_canonical(value)
            name = found[at][0].name if at == 2 else f"blobs/sha256/{Digest.of(data).hex}"
            found[at] = (replace(found[at][0], name=name, size=len(data)), data)
        return joined(found)

    return sent(make)


def described(data: bytes) -> dict[str, object]:
    return {"digest": str(Digest.of(data)), "size": len(data)}


def entries(*found: bytes) -> Send:
    """A plain layer of the runtime image with these entries after a good program."""
    data = tar(PROGRAM, *found)
    return layered(data, data, oci.LAYER_TAR)


def pad() -> bytes:
    data = bytearray(good())
    size = ustar.parse(data[:512]).size
    data[512 + size] = 1
    return bytes(data)


PLAIN = tar(PROGRAM)
# One frame of one byte that holds one byte (zstd's contrib/seekable_format).
SEEK = skippable(struct.pack("<II", 1, 1) + struct.pack("<IBI", 1, 0, 0x8F92EAB1), 0x184D2A5E)
