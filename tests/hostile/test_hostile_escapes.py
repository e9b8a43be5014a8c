"""Whatever `filter='data'` or tarsafe calls an escape, ours does; and a harmless tree arrives as it is.

The archives are generated: files, folders and links over one and two layers, with names that climb now and then.
"""

import io
import os
import tarfile
import tempfile
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import pytest
import tarsafe
from hypothesis import given, settings
from hypothesis import strategies as st

from bundles.errors import FormatError
from bundles.extraction.model import ExtractReport
from tests.support.foreign import World
from tests.support.tars import ELF_AMD64, folder, hardlink, header, member, symlink, tar

HAS_FILTER = hasattr(tarfile, "data_filter")  # Debian 12's Python 3.11.2 has none
# What the others call an escape: leaving the folder by name or by link, and devices. Modes and owners are no escape.
ESCAPES = ("OutsideDestinationError", "LinkOutsideDestinationError", "AbsoluteLinkError", "AbsolutePathError")
SPECIAL = "SpecialFileError"


@dataclass(frozen=True)
class Thing:
    """One member: kind, name, and target of a link."""

    kind: str
    name: str
    target: str = ""

    def encoded(self) -> bytes:
        if self.kind == "file":
            return member(self.name, ELF_AMD64, mode=0o755)
        if self.kind == "folder":
            return folder(self.name)
        if self.kind == "symlink":
            return symlink(self.name, self.target)
        if self.kind == "hardlink":
            return hardlink(self.name, self.target)
        return header(self.name, typeflag={"char": b"3", "block": b"4", "fifo": b"6"}[self.kind])


# Folders and leaves have names of their own, so that most trees are possible and what decides is where links lead.
INSIDE = st.builds("bin/{}{}".format, st.sampled_from(["", "", "d/", "d/e/"]), st.sampled_from(["a", "b", "c", "l"]))
EVIL_NAMES = st.sampled_from(["../x", "bin/../../x", "/bin/x", "bin/d/../../../x", "bin/..", "bin/l/x", "bin/d/l/x"])
LEADS = st.sampled_from(
    ["a", "b", "l", "d", "d/e", "kubelet", "d/a", "./a", "../a", "../kubelet", "../../kubelet", ".", "d/.."]
)
EVIL_TARGETS = st.sampled_from(
    ["/etc/passwd", "/bin/a", "..", "../..", "../../x", "../../../etc/passwd", "d/../../x", "l/../.."]
)


def mostly(good: st.SearchStrategy[str], evil: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    """Nine of ten times good: an archive with one fault is the interesting one."""
    return st.integers(0, 9).flatmap(lambda number: evil if number == 9 else good)


NAMES = mostly(INSIDE, EVIL_NAMES)
THINGS = st.one_of(
    st.builds(Thing, st.sampled_from(["file", "file", "folder"]), NAMES),
    st.builds(Thing, st.just("symlink"), NAMES, mostly(LEADS, EVIL_TARGETS)),
    st.builds(Thing, st.just("symlink"), NAMES, mostly(LEADS, EVIL_TARGETS)),
    st.builds(Thing, st.just("hardlink"), NAMES, mostly(st.just("bin/kubelet"), NAMES)),
    st.builds(Thing, mostly(st.just("file"), st.sampled_from(["char", "block", "fifo"])), NAMES),
)
LAYERS = st.lists(st.lists(THINGS, max_size=4, unique_by=lambda thing: thing.name), min_size=1, max_size=2)


@settings(max_examples=120, deadline=None)
@given(LAYERS)
def test_every_escape_that_the_others_see_is_refused(layers: list[list[Thing]]) -> None:
    with tempfile.TemporaryDirectory() as name:
        root = Path(name).resolve()
        if extracted(layers, root) is None:
            return
        for things in layers:
            # Links stay within /bin here, which is stricter than within the layer: what we took is inside for all.
            assert not data_filter_escapes(things, root / "data"), things
            assert not tarsafe_escapes(things, root / "safe"), things


@settings(max_examples=120, deadline=None)
@given(LAYERS)
def test_what_is_taken_stays_inside_wherever_its_links_lead(layers: list[list[Thing]]) -> None:
    with tempfile.TemporaryDirectory() as name:
        root = Path(name).resolve()
        report = extracted(layers, root)
        if report is None:
            return
        top = root / "node/staging/bin"
        for path, folders, files in os.walk(top):
            for entry in folders + files:
                assert Path(os.path.realpath(os.path.join(path, entry))).is_relative_to(top)
        assert {file.path for file in report.files} >= {"/bin/kubelet"}


SAFE_TARGETS = st.sampled_from(["kubelet", "./kubelet", "sub", "sub/", "sub/tool", "sub/deep/../tool", "sub/deep"])


@settings(max_examples=60, deadline=None)
@given(st.dictionaries(st.sampled_from(["l1", "l2", "l3"]), SAFE_TARGETS, min_size=1), st.booleans())
def test_harmless_relative_links_pass_and_lead_where_they_say(links: dict[str, str], deeper: bool) -> None:
    things = [Thing("folder", "bin/sub/deep"), Thing("file", "bin/sub/tool")]
    things += [Thing("symlink", f"bin/{name}", target) for name, target in links.items()]
    if deeper:
        things += [Thing("symlink", f"bin/sub/deep/{name}", f"../../{target}") for name, target in links.items()]
    with tempfile.TemporaryDirectory() as name:
        root = Path(name).resolve()
        report = extracted([things], root)
        assert report is not None
        assert len(report.links) == len(links) * (2 if deeper else 1)
        for link in report.links:
            assert (root / "node/staging" / link.path.lstrip("/")).exists()


def extracted(layers: Sequence[Iterable[Thing]], root: Path) -> ExtractReport | None:
    """The layers over a good program, by our reader; None when it refuses, and then nothing was written."""
    world = World(root)
    good = tar(member("bin/kubelet", ELF_AMD64, mode=0o755))
    world.put_layers(good, *(tar(*(thing.encoded() for thing in things)) for things in layers))
    try:
        report = world.extract()
    except FormatError:
        world.assert_nothing_was_written()
        return None
    world.assert_nothing_escaped()
    return report


def data_filter_escapes(things: Iterable[Thing], target: Path) -> bool:
    """Whether `tarfile.data_filter` calls one of the members an escape or a device."""
    target.mkdir(exist_ok=True)
    for info in infos(things) if HAS_FILTER else ():
        try:
            tarfile.data_filter(info, str(target))
        except tarfile.FilterError as exc:
            assert type(exc).__name__ in (*ESCAPES, SPECIAL)
            return True
    return False


def tarsafe_escapes(things: Iterable[Thing], target: Path) -> bool:
    """Whether tarsafe calls it an escape; it takes any `..` in a link for one, so links count by where they lead."""
    kept = [thing for thing in things if thing.kind != "symlink" or leaves(thing)]
    with tarsafe.TarSafe(fileobj=io.BytesIO(tar(*(thing.encoded() for thing in kept)))) as archive:
        try:
            archive._safetar_check(str(target))
        except tarsafe.TarSafeException:
            return True
        except KeyError:
            return False  # a hard link to what another layer holds
    return False


def leaves(thing: Thing) -> bool:
    """By the link's text alone."""
    depth = len(PurePosixPath(thing.name).parts) - 1
    for part in thing.target.split("/"):
        depth += -1 if part == ".." else part not in ("", ".")
        if depth < 0:
            return True
    return thing.target.startswith("/")


def infos(things: Iterable[Thing]) -> list[tarfile.TarInfo]:
    with tarfile.open(fileobj=io.BytesIO(tar(*(thing.encoded() for thing in things)))) as archive:
        return archive.getmembers()


ATTACKS = {
    "name that climbs": [Thing("file", "bin/../../x")],
    "absolute name": [Thing("file", "/etc/x")],
    "absolute link": [Thing("symlink", "bin/a", "/etc/passwd")],
    "link that climbs": [Thing("symlink", "bin/a", "../../x")],
    "hard link that climbs": [Thing("hardlink", "bin/a", "../../x")],
    "character device": [Thing("char", "bin/a")],
    "FIFO": [Thing("fifo", "bin/a")],
}


@pytest.mark.parametrize("attack", ATTACKS)
def test_the_comparison_sees_what_the_others_see(attack: str, tmp_path: Path) -> None:
    """Else the properties above would compare nothing."""
    assert extracted([ATTACKS[attack]], tmp_path) is None
    if HAS_FILTER and attack != "absolute name":  # it strips the slash instead
        assert data_filter_escapes(ATTACKS[attack], tmp_path / "data")
    if attack not in ("hard link that climbs", "FIFO"):
        assert tarsafe_escapes(ATTACKS[attack], tmp_path / "safe") or attack == "absolute name"
