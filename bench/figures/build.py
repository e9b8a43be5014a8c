"""Builds: one changed component against RKE2's release way, nothing changed, and the bytes written below --output."""

import shutil
from collections.abc import Iterable
from pathlib import Path

from bench.model import Figure, fastest
from bench.rebuild import Rebuild
from bench.rke2way import pack_command, release_layout
from bench.timing import Bench

# Neither the smallest nor the largest: one image with one program of 75 MB, in the largest archive.
COMPONENT = "coredns"
# Compressing what changed and packing the whole: what is left of RKE2's way when compiling does not count.
_THEIRS = 'gzip -n -6 < "$1" > "$2"; shift 2; exec "$@"'


def measure(bench: Bench) -> Iterable[Figure]:
    """The three figures of a build, from one store."""
    rebuild = Rebuild(bench, bench.scratch / "ours")
    yield _written(bench, rebuild)
    yield _unchanged(bench, rebuild)
    yield _changed(bench, rebuild)


def _written(bench: Bench, rebuild: Rebuild) -> Figure:
    """The first build into an empty folder, with everything in the store: what it writes are the archives."""
    bench.run(rebuild.build(rebuild.recipe))  # layers that an older build compressed otherwise are made anew
    shutil.rmtree(rebuild.output)
    sample = bench.run(rebuild.build(rebuild.recipe))
    size = sum(path.stat().st_size for path in rebuild.output.rglob("*") if path.is_file())
    return Figure(
        what="bytes written for each byte of the bundle",
        value=sample.written_bytes / size,
        unit="x",
        reach="<=",
        bound=1.05,
        ours=f"{sample.written_bytes / 1e6:.1f} MB",
        theirs=f"{size / 1e6:.1f} MB",
        note="as the kernel counts a process' dirtied pages (0 where the filesystem shares extents)",
    )


def _unchanged(bench: Bench, rebuild: Rebuild) -> Figure:
    ours = fastest([bench.run(rebuild.build(rebuild.recipe)) for _ in range(bench.runs)])
    return Figure(
        what="rebuild with nothing changed",
        value=ours.seconds,
        unit="s",
        reach="<=",
        bound=1,
        ours=f"{ours.seconds:.2f} s",
        note="judged by size, mtime and inode of every file; `verify` reads them",
    )


def _changed(bench: Bench, rebuild: Rebuild) -> Figure:
    layout, blob = bench.scratch / "theirs", bench.scratch / "layer.gz"
    release_layout(sorted((bench.bundle / "images").glob("*.tar")), layout)
    (program,) = rebuild.programs(COMPONENT)
    theirs_command = ("sh", "-ec", _THEIRS, "sh", program, blob, *pack_command(layout, bench.scratch / "theirs.zst"))
    ours, theirs = [], []
    for _ in range(bench.runs):
        recipe = rebuild.change(COMPONENT)
        ours.append(bench.run(rebuild.build(recipe)))
        theirs.append(bench.run(theirs_command))
    mine, other = fastest(ours), fastest(theirs)
    return Figure(
        what="rebuild after one changed component, compile excluded, against RKE2's release way",
        value=other.seconds / mine.seconds,
        unit="x",
        reach=">=",
        bound=20,
        ours=f"{mine.seconds:.2f} s",
        theirs=f"{other.seconds:.2f} s",
        note=f"{COMPONENT}: {_size(program)} changed in every MB; theirs: gzip -6 of it, save, zstd -T0 -16 --long=25",
    )


def _size(program: Path) -> str:
    return f"{program.stat().st_size / 1e6:.0f} MB"
