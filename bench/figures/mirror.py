"""200 published images into one archive, by us, crane and regsync, over a line on which each request takes 10 ms.

Ours is `build --lock`; of what is there already, with `--tags`: tags are asked for anew, as the others ask for them.
What `lock` and `build` cost as two commands stands in a note. Ours hashes each blob as it arrives and the archive as a
whole, and waits for the disk; the others do neither of the latter. How long the build waited once all else was done it
says itself: that is taken off the wall time and told beside it. A program by hand that takes both digests and does
nothing else is the floor.
"""

import re
import shutil
import sys
import tarfile
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from bench import mirrorjob, mirrorpeers
from bench.model import Figure, Sample, fastest
from bench.timing import Bench
from tests.support.registry import Registry, running_registry
from tests.support.tars import sha256

_WAITED = re.compile(r"waited ([0-9.]+) s for the disk")
_CUT = 20  # every so manieth body ends in its middle
_HOST = "registry.bench"  # what the recipe says; the line is its mirror


@dataclass(frozen=True)
class Run:
    """One run of ours: what it cost, what the line counted, and the archive.

    `waited`: seconds of it for the disk.
    """

    cost: Sample
    waited: float
    passed: dict[str, int]
    archive: Path


def measure(bench: Bench) -> Iterable[Figure]:
    """Cold, nothing changed, one image changed, and with every 20th body cut."""
    folder = bench.scratch / "registry"
    folder.mkdir()
    with running_registry(folder) as registry:
        publish = (sys.executable, "-m", "bench.mirrorjob", registry.host)
        bench.run(publish, cwd=bench.root)  # in a process of its own: its memory would count for ours
        ours, theirs, haulers, least = [], [], [], []
        for number in range(bench.runs):  # by turns
            ours.append(_ours(bench, registry, key := f"cold{number}"))
            theirs.append(_crane(bench, registry, f"crane{number}"))
            haulers += [one] if (one := _hauler(bench, registry)) is not None else []
            least.append(_handmade(bench, registry))
            if number:
                _forget(bench, key)
                _forget(bench, f"crane{number}")
        yield from _of_cold(ours, theirs, fastest(least), _ours(bench, registry, "two", two=True))
        _forget(bench, "two")
        if haulers:
            yield _of_hauler(ours, haulers)
        yield from _of_cuts(bench, registry, ours)
        yield from _of_changes(bench, registry)


def _of_cold(ours: Sequence[Run], theirs: list[Sample], least: Sample, two: Run) -> Iterable[Figure]:
    run, crane = min(ours, key=_net), fastest(theirs)
    best, seconds = run.cost, _net(run)
    passed, size = ours[-1].passed, ours[0].archive.stat().st_size
    yield Figure(
        what=f"{mirrorjob.IMAGES} images mirrored cold into one archive against crane, wall",
        value=seconds / crane.seconds, unit="x", reach="<=", bound=0.25,
        ours=f"{seconds:.2f} s", theirs=f"{crane.seconds:.2f} s",
        note=f"build --lock; then ours waited {run.waited:.2f} s for the disk, crane did not; 10 ms a request; "
        f"by hand, with both digests and nothing else, {least.seconds:.2f} s; "
        f"as two commands {_net(two):.2f} s, CPU {two.cost.cpu_seconds:.2f} s",
    )  # fmt: skip
    yield Figure(
        what="the same, CPU", value=best.cpu_seconds / crane.cpu_seconds, unit="x", reach="<=", bound=0.5,
        ours=f"{best.cpu_seconds:.2f} s", theirs=f"{crane.cpu_seconds:.2f} s",
        note="ours takes two sha256 of every byte, the blob's and the archive's; crane has a cache to fill; by hand "
        f"{least.cpu_seconds:.2f} s",
    )  # fmt: skip
    yield Figure(
        what="the same, bytes written per byte of the archive", value=best.written_bytes / size, unit="x",
        reach="<=", bound=1.05, ours=f"{best.written_bytes / 1e6:.0f} MB", theirs=f"{crane.written_bytes / 1e6:.0f} MB",
    )  # fmt: skip
    yield Figure(
        what="the same, requests", value=passed["requests"] / 681, unit="x", reach="<=", bound=1.0,
        ours=str(passed["requests"]), theirs="681 (regctl)", note=f"{passed['twice']} blobs asked for twice",
    )  # fmt: skip
    peak = max(one.cost.peak_bytes for one in ours) / 1e6
    yield Figure(
        what="the same, memory", value=peak, unit="MB", reach="<=", bound=64, ours=f"{peak:.0f} MB",
        theirs=f"{crane.peak_bytes / 1e6:.0f} MB",
    )  # fmt: skip


def _of_hauler(ours: Sequence[Run], theirs: list[Sample]) -> Figure:
    best, hauler = min(map(_net, ours)), fastest(theirs)
    return Figure(
        what="the same against hauler, store and archive, wall", value=best / hauler.seconds, unit="x", reach="<=",
        bound=0.5, ours=f"{best:.2f} s", theirs=f"{hauler.seconds:.2f} s",
        note=f"hauler's CPU {hauler.cpu_seconds:.2f} s; it writes {hauler.written_bytes / 1e6:.0f} MB",
    )  # fmt: skip


def _of_cuts(bench: Bench, registry: Registry, clean: Sequence[Run]) -> Iterable[Figure]:
    cut, base = _ours(bench, registry, "cut", cut=_CUT), fastest([one.cost for one in clean])
    assert _content(clean[0].archive) == _content(cut.archive), "other bytes after cuts"
    _forget(bench, "cut")
    yield Figure(
        what=f"every {_CUT}th body cut, wall", value=cut.cost.seconds / base.seconds, unit="x", reach="<=", bound=1.5,
        ours=f"{cut.cost.seconds:.2f} s", theirs=f"{base.seconds:.2f} s without cuts",
        note=f"{cut.passed['cuts']} cuts, {cut.passed['ranges']} times a blob was gone on with; the same bytes",
    )  # fmt: skip
    sent, needed = cut.passed["bytes"], clean[0].passed["bytes"]
    yield Figure(
        what="the same, bytes fetched", value=sent / needed, unit="x", reach="<=", bound=1.01,
        ours=f"{sent / 1e6:.1f} MB", theirs=f"{needed / 1e6:.1f} MB without cuts",
    )  # fmt: skip


def _of_changes(bench: Bench, registry: Registry) -> Iterable[Figure]:
    """On what the first cold run left."""
    again = [_ours(bench, registry, "cold0", tags=True) for _ in range(bench.runs)]
    best = fastest([one.cost for one in again])
    yield Figure(
        what="mirrored again, nothing changed", value=best.seconds, unit="s", reach="<=", bound=0.75,
        ours=f"{best.seconds:.2f} s",
        note=f"every tag asked for: {again[-1].passed['requests']} requests; "
        f"{best.written_bytes / 1e6:.1f} MB written",
    )  # fmt: skip
    _regsync(bench, registry)
    bench.run((sys.executable, "-m", "bench.mirrorjob", registry.host, "--change", "7"), cwd=bench.root)
    one, regsync = _ours(bench, registry, "cold0", tags=True), _regsync(bench, registry)
    crane, seconds = _crane(bench, registry, "crane0"), _net(one)
    yield Figure(
        what="one of them changed, against regsync with its layout", value=seconds / regsync.seconds,
        unit="x", reach="<=", bound=0.75, ours=f"{seconds:.2f} s", theirs=f"{regsync.seconds:.2f} s",
        note=f"{one.passed['bytes'] / 1e6:.0f} MB fetched, in {one.passed['requests']} requests; then ours waited "
        f"{one.waited:.2f} s for the disk; crane with its cache {crane.seconds:.2f} s",
    )  # fmt: skip


def _ours(bench: Bench, registry: Registry, key: str, *, cut: int = 0, tags: bool = False, two: bool = False) -> Run:
    """With a recipe, store and output of its own, or those that are there already; `tags`: that are asked for anew.

    `two`: as two commands, each a process.
    """
    folder = bench.scratch / key
    recipe, store = folder / "recipe", {"SEALIFT_STORE": str(folder / "store")}
    if not folder.is_dir():
        folder.mkdir()
        mirrorjob.recipe(recipe, _HOST)
    with mirrorjob.line(registry, cut=cut) as way:
        mirror = ("--mirror", f"{_HOST}={way.host}")
        sealift = bench.program("sealift")
        anew = ("--lock", *(("--tags", "--same-version") if tags else ()))
        lock = bench.run((sealift, "lock", recipe, *mirror), env=store) if two else None
        out = ("--output", folder / "out", "--replace")
        cost = bench.run((sealift, "build", recipe, *(() if two else anew), "--quick", *mirror, *out), env=store)
        (archive,) = (folder / "out").glob("*/images/images.*.tar")
        waited = sum(map(float, _WAITED.findall((bench.scratch / "output.log").read_text())))
        return Run(cost=_both(lock, cost) if lock else cost, waited=waited, passed=way.told(), archive=archive)


def _content(archive: Path) -> list[tuple[str, int, str]]:
    """What an archive holds: of two that were locked at two times, the headers tell the time."""
    with tarfile.open(archive) as tar:
        return [(one.name, one.offset_data, sha256(tar.extractfile(one).read())) for one in tar]  # type: ignore[union-attr]


def _crane(bench: Bench, registry: Registry, cache: str) -> Sample:
    with mirrorjob.line(registry) as way:
        return mirrorpeers.crane(bench, way, bench.scratch / cache)


def _regsync(bench: Bench, registry: Registry) -> Sample:
    with mirrorjob.line(registry) as way:
        return mirrorpeers.regsync(bench, way, bench.scratch / "regsync")


def _hauler(bench: Bench, registry: Registry) -> Sample | None:
    with mirrorjob.line(registry) as way:
        return mirrorpeers.hauler(bench, way)


def _handmade(bench: Bench, registry: Registry) -> Sample:
    with mirrorjob.line(registry) as way:
        return mirrorpeers.handmade(bench, way)


def _net(run: Run) -> float:
    """Seconds without the wait for the disk, which no other does."""
    return run.cost.seconds - run.waited


def _both(one: Sample, two: Sample) -> Sample:
    return Sample(
        seconds=one.seconds + two.seconds,
        cpu_seconds=one.cpu_seconds + two.cpu_seconds,
        peak_bytes=max(one.peak_bytes, two.peak_bytes),
        written_bytes=one.written_bytes + two.written_bytes,
    )


def _forget(bench: Bench, key: str) -> None:
    shutil.rmtree(bench.scratch / key)
