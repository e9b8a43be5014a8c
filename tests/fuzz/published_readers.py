"""What upstream publishes, as the builder reads it: archives, indexes of charts, lists of sums, Containerfiles."""

import gzip
import io
import lzma
import os
import re
import tempfile
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Final

from builder.engine.containerfile import bases, pinned
from builder.sources import chartrepo
from builder.sources.witness import listed
from builder.steps.packed import packed
from builder.update.versions import newest_tag
from bundles.digest import Digest
from bundles.reference import Reference
from bundles.registry.place import Endpoint
from bundles.registry.tags import Listing
from tests.fuzz.model import taken
from tests.support import tars

Reader = Callable[[bytes], bool]


def _members(data: bytes, name: str) -> bool:
    """Every name is one that can be written below a folder, each once, and bodies have the size that they say."""

    def read(path: Path) -> list[str]:
        found = []
        with packed(path, name) as members:
            for one in members:
                body = sum(len(piece) for piece in one.body()) if one.member.kind == "file" else 0
                assert body == one.member.size
                found.append(one.member.name)
        return found

    with tempfile.TemporaryDirectory(dir="/dev/shm" if os.path.isdir("/dev/shm") else None) as folder:
        path = Path(folder, "input")
        path.write_bytes(data)
        names = taken(read, path)
    for each in names or ():
        assert each and not each.startswith("/") and ".." not in each.split("/")
    return names is not None


def _zip(data: bytes) -> bool:
    return _members(data, "a.zip")


def _tar(data: bytes) -> bool:
    return _members(data, "a.tar")


def _packed(data: bytes) -> bool:
    return any([_members(data, "a.tar.xz"), _members(data, "a.tar.gz")])


def _index(data: bytes) -> bool:
    return taken(chartrepo.find, data, "a", "1.0.0", "index") is not None


def _listed(data: bytes, link: str | None) -> list[str]:
    listing = Listing(Endpoint(origin="https://a.io", path="b", host="a.io"))
    listing.take(data, link)
    return listing.tags


def _tags(data: bytes) -> bool:
    """A registry's list: what an update writes into a recipe has the form of what stood there."""
    link = '</v2/b/tags/list?last=x>; rel="next"' if data[-1:] == b" " else None
    tags = taken(_listed, data, link)
    for old in ("v1.2.3", "v3.6.7-k3s1-build20260126"):
        new = newest_tag(old, tags or ())
        assert re.sub("[0-9]+", "#", new) == re.sub("[0-9]+", "#", old), new
    return tags is not None


def _sums(data: bytes) -> bool:
    return taken(listed, data, "tool", "sums") is not None


def _containerfile(data: bytes) -> bool:
    text = data.decode("utf-8", "replace")
    names = taken(bases, text, "f")
    if names is None:
        return False
    made = pinned(text, dict.fromkeys(names, Digest.of(b"x")), "f")
    assert all(Reference.parse(name).digest == Digest.of(b"x") for name in taken(bases, made, "f") or ())
    return True


READERS: Final[dict[str, Reader]] = {
    "zip": _zip,
    "tar": _tar,
    "packed": _packed,
    "index": _index,
    "tags": _tags,
    "sums": _sums,
    "containerfile": _containerfile,
}
_TREE: Final = tars.tar(
    tars.folder("a"), tars.member("a/b", b"x", mode=0o755), tars.symlink("a/l", "b"), tars.hardlink("a/h", "a/b")
)


def _zipped() -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data, mode in (("a/", b"", 0o040755), ("a/b", b"x" * 50, 0o100755), ("a/l", b"b", 0o120777)):
            info = zipfile.ZipInfo(name)
            info.create_system, info.external_attr = 3, mode << 16
            archive.writestr(info, data)
    return buffer.getvalue()


SEEDS: Final[dict[str, list[bytes]]] = {
    "zip": [_zipped()],
    "tar": [_TREE],
    "packed": [gzip.compress(_TREE, mtime=0), lzma.compress(_TREE)],
    "index": [
        b"apiVersion: v1\nentries:\n  b:\n  - {version: 2.0.0, urls: [x]}\n  a:\n  - version: 1.0.0\n    digest: "
        + b"ab" * 32
        + b"\n    urls:\n    - a.tgz\n    more: [{x: y}]\n",
    ],
    "tags": [b'{"name":"b","tags":["latest","v1.2.4","v1.2.10-rc1","v3.6.7-k3s1-build20260301"]} ', b'{"tags":null}'],
    "sums": [b"ab" * 32 + b"  tool\n", b"SHA256 (tool) = " + b"cd" * 32 + b"\n"],
    "containerfile": [
        b"FROM a:1 AS b\nCOPY --from=c:2 /x /\nFROM --platform=linux/amd64 d/e:3\nRUN --mount=from=f:4,x=y \\\n z\n"
    ],
}
