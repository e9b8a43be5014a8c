"""The job of the mirror figures: 200 images in a real registry, behind a line on which each request takes 10 ms.

Each image has a layer of its own (10 MB, half of it programs of this machine, half random) and three that groups of ten
share; one in ten is an index of two platforms. About 1450 MB in 660 blobs, all from one seed.
"""

import argparse
import contextlib
import gzip
import json
import os
import random
import subprocess
import urllib.request
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from tests.support.gotools import go_tool
from tests.support.published import Layer, Published, push, push_index
from tests.support.registry import Registry
from tests.support.tars import END, member, sha256

IMAGES: Final = 200
GROUP: Final = 10
SHARED: Final = (3_000_000, 1_000_000, 65_536)  # bytes, unpacked
OWN: Final = 10_000_000
_KIND: Final = "application/vnd.oci.image.layer.v1.tar+gzip"


@dataclass(frozen=True)
class Line:
    """The way to the registry: its address, and what passed since it was asked the last time."""

    host: str

    def told(self) -> dict[str, int]:
        """Counts by name; they begin anew."""
        with urllib.request.urlopen(f"http://{self.host}/-/line") as answer:
            found: dict[str, int] = json.load(answer)
            return found


def name(number: int) -> str:
    """Where an image lies."""
    return f"bench/image-{number:03}"


def publish(registry: Registry, count: int = IMAGES) -> int:
    """Puts the job into a registry; returns the bytes of its blobs, each once."""
    programs = _programs()
    sizes: dict[str, int] = {}
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        groups = [
            list(pool.map(lambda at: _layer(programs, f"shared {at}", SHARED[at[1]]), [(g, n) for n in range(3)]))
            for g in range((count + GROUP - 1) // GROUP)
        ]
        for number, own in enumerate(pool.map(lambda at: _layer(programs, f"own {at}", OWN), range(count))):
            layers = [*groups[number // GROUP], own]
            image = _image(registry, number, layers)
            sizes |= {one.diff_id: len(one.data) for one in layers}
            sizes |= {str(image.digest): len(image.manifest) + len(image.config)}
    return sum(sizes.values())


def change(registry: Registry, number: int) -> None:
    """One image gets another layer of its own under the same tag."""
    programs = _programs()
    shared = [_layer(programs, f"shared {(number // GROUP, at)}", SHARED[at]) for at in range(3)]
    _image(registry, number, [*shared, _layer(programs, f"changed {number}", OWN)])


@contextlib.contextmanager
def line(registry: Registry, *, cut: int = 0, program: Path | None = None) -> Iterator[Line]:
    """A way to the registry that takes 10 ms a request; with `cut`, every so manieth body ends in its middle."""
    command: list[str | Path] = [program or go_tool("slowline"), "-upstream", registry.host, "-cut", str(cut)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            yield Line(process.stdout.readline().strip())
        finally:
            process.terminate()


def recipe(folder: Path, host: str, count: int = IMAGES) -> Path:
    """The recipe that mirrors the job by way of `host` into one archive."""
    folder.mkdir()
    names = [f"image-{number:03}" for number in range(count)]
    (folder / "bundle.yaml").write_text(
        "sealift: 1\nname: job\nversion: v1.0.0\nsequence: 1\nplatforms: [linux/amd64]\narchives:\n"
        f"  rke2-runtime: [rke2-runtime]\n  images: [{', '.join(names)}]\n"
    )
    (folder / "components.yaml").write_text("tool:\n  file: ./tool\n  executable: true\n")
    (folder / "tool").write_text("#!/bin/sh\nexit 0\n")
    rows = [f"{key}:\n  mirror: {host}/{name(number)}:v1\n" for number, key in enumerate(names)]
    runtime = "rke2-runtime:\n  name: rancher/rke2-runtime\n  layers:\n    - tool: /bin\n"
    (folder / "images.yaml").write_text(runtime + "".join(rows))
    return folder


def _image(registry: Registry, number: int, layers: Sequence[Layer]) -> Published:
    if number % GROUP:
        return push(registry, name(number), "v1", layers)
    image = push(registry, name(number), None, layers)
    other = push(registry, name(number), None, [layers[2]], architecture="arm64")
    push_index(registry, name(number), "v1", [image, other])
    return image


def _layer(programs: bytes, seed: Any, size: int) -> Layer:
    """One file: slices of programs and random bytes by turns, 64 KiB each."""
    chance = random.Random(str(seed))
    parts = []
    for at in range(0, size, 1 << 17):
        start = chance.randrange(len(programs) - (1 << 16))
        parts += [
            programs[start : start + min(1 << 16, size - at)],
            chance.randbytes(max(0, min(1 << 16, size - at - (1 << 16)))),
        ]
    tar = member(f"opt/{str(seed).replace(' ', '-')}", b"".join(parts)) + END
    return Layer(gzip.compress(tar, 6, mtime=0), _KIND, f"sha256:{sha256(tar)}")


def _programs() -> bytes:
    """Some tens of megabytes of this machine's largest programs."""
    found = sorted(Path("/usr/bin").iterdir(), key=lambda path: path.name)
    data = bytearray()
    for path in found:
        if path.is_file() and path.stat().st_size > 500_000 and len(data) < 48 << 20:
            data += path.read_bytes()
    return bytes(data)


def main() -> None:
    """`python -m bench.mirrorjob HOST [--change N]`: puts the job there, or changes an image of it."""
    parser = argparse.ArgumentParser()
    parser.add_argument("host")
    parser.add_argument("--change", type=int)
    options = parser.parse_args()
    registry = Registry(options.host)
    if options.change is None:
        publish(registry)
    else:
        change(registry, options.change)


if __name__ == "__main__":
    main()
