"""Small whole bundles for the readers' tests, and forgers of them."""

import os
import random
from collections.abc import Callable
from pathlib import Path

import msgspec

from bundles import index, jsontext, ustar
from bundles.digest import Digest
from bundles.index import BundleIndex, File
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


def add_documents(bundle: Path) -> None:
    """Puts a provenance and both SBOMs into the bundle, listed, of the smallest form that a reader takes."""
    document = index_of(bundle)
    subjects = [{"name": one.path, "digest": {"sha256": one.sha256.hex}} for one in document.archives]
    provenance = {
        "_type": "https://in-toto.io/Statement/v1",
        "subject": subjects,
        "predicateType": "https://slsa.dev/provenance/v1",
        "predicate": {
            "buildDefinition": {"buildType": "test", "externalParameters": {}},
            "runDetails": {"builder": {"id": "test"}},
        },
    }
    documents = {
        "provenance.json": provenance,
        "sbom.spdx.json": {"spdxVersion": "SPDX-2.3", "SPDXID": "SPDXRef-DOCUMENT", "name": "test"},
        "sbom.cdx.json": {"bomFormat": "CycloneDX", "specVersion": "1.6"},
    }
    files = []
    for name, plain in documents.items():
        data = jsontext.encode_canonical(plain)
        (bundle / name).write_bytes(data)
        files.append(File(path=name, size=len(data), sha256=Digest.of(data)))
    forge(bundle, lambda before: msgspec.structs.replace(before, files=[*before.files, *files]))


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
