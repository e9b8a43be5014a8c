"""Whole bundles with something wrong in them, the sums true to it where they can be."""

import atexit
import contextlib
import functools
import json
import os
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from bundles import index, ustar
from bundles.digest import Digest
from bundles.errors import SealiftError
from bundles.jsontext import encode_canonical
from bundles.pack import pack
from bundles.sums import sums_text
from tests.hostile.corpus_model import Place
from tests.support.bundles import SUMS, make_bundle

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
    return bundle(lambda folder: rewrite(folder / "bundle.json", change))


def rewrite(path: Path, change: Callable[[bytes], bytes]) -> None:
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


def swap(first: str, second: str) -> Callable[[Path], None]:
    def swap(folder: Path) -> None:
        one, two = (folder / name for name in (first, second))
        data = one.read_bytes()
        one.write_bytes(two.read_bytes())
        two.write_bytes(data)

    return swap


def linked(name: str) -> Callable[[Path], None]:
    """Moved into the canary, a link in its place."""

    def link(folder: Path) -> None:
        target = folder.parents[1] / "canary" / "moved"
        shutil.move(folder / name, target)
        (folder / name).symlink_to(target)

    return link


def fifo(name: str) -> Callable[[Path], None]:
    def make(folder: Path) -> None:
        (folder / name).unlink(missing_ok=True)
        os.mkfifo(folder / name)

    return make


def folder(name: str) -> Callable[[Path], None]:
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


def many(folder: Path) -> None:
    (folder / "more").mkdir()
    for number in range(10_010):
        (folder / "more" / str(number)).touch()
