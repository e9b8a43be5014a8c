"""Readers: `verify` against openssl and the best C tools, `extract` and RKE2's own reader against RKE2's archives."""

import os
import shutil
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from bench.model import Figure, Sample, fastest
from bench.rke2way import release_archive
from bench.synthetic import synthetic_bundle
from bench.timing import Bench, Command
from bundles import index
from bundles.region import open_region
from bundles.sealed.read import read_sealed
from tests.support.gotools import go_tool

NEIGHBOURS = 1_000_000_000  # bytes of other images beside the runtime's
LARGE = 2_000_000_000  # bytes of a bundle whose start-up does not count
RUNTIME = "rke2-runtime.linux-amd64.tar"
# The same checks by the best C tools: every blob's digest and every diff id, two at a time, the largest first.
FLOOR = """
{ ls -S "$1"/* | sed 's/.*/zstd -dcq "&" | openssl dgst -sha256/'
  ls -S "$2"/*.tar | sed 's/.*/openssl dgst -sha256 "&"/'; } | tr '\\n' '\\0' | xargs -0 -P 2 -n 1 sh -c
"""
# What of it is decompression: nobody who checks diff ids is faster than this.
INFLATE = """ls -S "$1"/* | sed 's/.*/zstd -dcq "&" > \\/dev\\/null/' | tr '\\n' '\\0' | xargs -0 -P 2 -n 1 sh -c"""


def measure(bench: Bench) -> Iterable[Figure]:
    """verify, quick, extract, wharfie."""
    yield from _verify(bench)
    yield from _quick_large(bench)
    yield from _extract(bench)


def by_turns(bench: Bench, commands: Sequence[Command], *, without: Sequence[Path] = ()) -> list[Sample]:
    """The fastest run of each, in turns, after one that warms the cache; `without` is removed before each run."""

    def once(command: Command) -> Sample:
        for folder in without:
            shutil.rmtree(folder, ignore_errors=True)
        return bench.run(command)

    for command in commands:
        once(command)
    found = [[once(command) for command in commands] for _ in range(bench.runs)]
    return [fastest([samples[at] for samples in found]) for at in range(len(commands))]


def _faster(what: str, ours: Sample, theirs: Sample, bound: float, note: str = "") -> Figure:
    return Figure(
        what=what,
        value=theirs.seconds / ours.seconds,
        unit="x",
        reach=">=",
        bound=bound,
        ours=f"{ours.seconds:.2f} s",
        theirs=f"{theirs.seconds:.2f} s",
        note=note,
    )


def _verify(bench: Bench) -> Iterable[Figure]:
    layers = _stored_layers(bench)
    verify = (bench.program("sealift"), "verify", bench.bundle, "--insecure-no-signature", "--progress", "none")
    openssl = ("openssl", "dgst", "-sha256", *_files(bench.bundle))
    floor = ("sh", "-c", FLOOR, "sh", layers, bench.bundle / "images")
    inflate = ("sh", "-c", INFLATE, "sh", layers)
    full, quick, hashed, best, inflated = by_turns(bench, [verify, (*verify, "--quick"), openssl, floor, inflate])
    shutil.rmtree(layers)
    ceiling = hashed.seconds / inflated.seconds
    note = f"openssl reads what is stored, one core; the zstd program alone, two at a time, reaches {ceiling:.2f}x"
    yield _faster("verify against openssl of the files", full, hashed, 0.5, note)
    yield _faster(
        "verify against the same checks by zstd and openssl", full, best, 1.0, "two at a time; start-up counts"
    )
    yield _faster("verify --quick against openssl of the files", quick, hashed, 1.5, "start-up counts")


def _quick_large(bench: Bench) -> Iterable[Figure]:
    made = bench.scratch / "large"
    bundle = synthetic_bundle(bench, made, LARGE)
    quick = (bench.program("sealift"), "verify", bundle, "--quick", "--insecure-no-signature", "--progress", "none")
    ours, theirs = by_turns(bench, [quick, ("openssl", "dgst", "-sha256", *_files(bundle))])
    shutil.rmtree(made)
    yield _faster("verify --quick of 2 GB against openssl of the files", ours, theirs, 1.5)


@dataclass(frozen=True, slots=True)
class _Folders:
    """The same images twice: sealed archives in a data directory, and one archive of RKE2's kind in `theirs`."""

    data: Path
    ours: Path
    theirs: Path


def _extract(bench: Bench) -> Iterable[Figure]:
    reference = index.decode((bench.bundle / index.INDEX_NAME).read_bytes()).runtime.reference
    folders = _folders(bench)
    wharfie = go_tool("wharfie")
    out = bench.scratch / "out"
    node = (bench.program("sealift-node"), "extract", "--data-dir", folders.data, "--runtime-image", reference)
    stock = [(wharfie, images, reference, out / "bin", out / "charts") for images in (folders.ours, folders.theirs)]
    unpacked = (out, folders.data / "data")
    ours, on_ours, on_theirs = by_turns(bench, [node, *stock], without=unpacked)
    note = "1 GB of other images in the directory; RKE2's reader verifies nothing and flushes nothing"
    yield _faster("extract, all verified, against RKE2's reader on its archive", ours, on_theirs, 15, note)
    yield _faster("RKE2's reader on our archive against on its own", on_ours, on_theirs, 20, note)


def _folders(bench: Bench) -> _Folders:
    folders = _Folders(bench.scratch / "node", bench.scratch / "node/agent/images", bench.scratch / "theirs")
    folders.ours.mkdir(parents=True)
    folders.theirs.mkdir()
    made = synthetic_bundle(bench, bench.scratch / "made", NEIGHBOURS * 4 // 3)  # three quarters are not the runtime
    runtime, other = folders.ours / RUNTIME, folders.ours / "rke2-images-other.linux-amd64.tar"
    shutil.copyfile(bench.bundle / "images" / RUNTIME, runtime)
    (made / "images/rke2-images-core.linux-amd64.tar").rename(other)
    shutil.rmtree(made.parent)
    release_archive([other, runtime], folders.theirs / "rke2-images.linux-amd64.tar.zst", gzip_levels={other.name: 0})
    return folders


def _stored_layers(bench: Bench) -> Path:
    """Each layer of the bundle as a file, for tools that cannot look into archives."""
    folder = bench.scratch / "layers"
    folder.mkdir()
    for path in sorted((bench.bundle / "images").glob("*.tar")):
        with open_region(path) as region:
            for digest, entry in read_sealed(region).layout.blobs():
                if entry.content is None:
                    with (folder / f"{path.name}-{digest.hex}.zst").open("wb") as file:
                        file.writelines(region.chunks(entry.offset, entry.size))
    return folder


def _files(bundle: Path) -> list[str]:
    return sorted(os.path.join(folder, name) for folder, _, names in os.walk(bundle) for name in names)
