"""Small whole bundles for the readers' tests, and forgers of them."""

import os
import random
from collections.abc import Callable
from pathlib import Path

import msgspec

from bundles import index, ustar
from bundles.digest import Digest
from bundles.index import BundleIndex
from bundles.sums import sums_text
from tests.support.releases import program, release

RUNTIME = "images/rke2-runtime.linux-amd64.tar"
CORE = "images/rke2-images-core.linux-amd64.tar"
LIST = "lists/rke2-images-core.linux-amd64.txt"
SUMS = "sha256sum-amd64.txt"


def make_bundle(folder: Path, *, big: int = 200_000) -> Path:
    """A bundle below `folder`: runtime archive with one program of `big` bytes more, core archive, list, sums."""
    noise = random.Random(7).randbytes(big)
    return release(folder, programs={"kubelet": program(b"kubelet" + noise), "containerd": program(b"small")})


def index_of(bundle: Path) -> BundleIndex:
    return index.decode((bundle / index.INDEX_NAME).read_bytes())


def forge(bundle: Path, change: Callable[[BundleIndex], BundleIndex]) -> None:
    """Changes the index and makes the sums fit, as somebody would who may write to the folder."""
    document = change(index_of(bundle))
    data = index.encode(document)
    (bundle / index.INDEX_NAME).write_bytes(data)
    (bundle / index.sums_name(document.platform)).write_text(sums_text(document, Digest.of(data)))


def forge_archive(bundle: Path, path: str, data: bytes) -> None:
    """Puts other bytes in place of an archive, and size and digest of them into index and sums."""
    (bundle / path).write_bytes(data)

    def change(document: BundleIndex) -> BundleIndex:
        archives = [
            msgspec.structs.replace(one, size=len(data), sha256=Digest.of(data)) if one.path == path else one
            for one in document.archives
        ]
        return msgspec.structs.replace(document, archives=archives)

    forge(bundle, change)


def members(data: bytes) -> list[tuple[ustar.Header, bytes]]:
    """The members of a sealed archive, body included."""
    found = []
    at = 0
    while any(data[at : at + ustar.BLOCK]):
        header = ustar.parse(data[at : at + ustar.BLOCK])
        at += ustar.BLOCK
        found.append((header, data[at : at + header.size]))
        at += header.size + ustar.padding(header.size)
    return found


def joined(parts: list[tuple[ustar.Header, bytes]]) -> bytes:
    """Members -> an archive, whatever they are."""
    body = b"".join(ustar.encode(header) + data + bytes(ustar.padding(len(data))) for header, data in parts)
    return body + bytes(2 * ustar.BLOCK)


def tree(folder: Path) -> dict[str, bytes]:
    """Every file below `folder` with its content."""
    return {os.path.relpath(path, folder): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}
