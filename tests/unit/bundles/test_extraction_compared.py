"""Against tarfile's `data` filter and tarsafe: what they refuse is refused here, and what is taken stays inside."""

import io
import os
import tarfile
import tempfile
from pathlib import Path

import pytest
import tarsafe
from hypothesis import given, settings
from hypothesis import strategies as st

from bundles.errors import FormatError
from tests.support.foreign import World
from tests.support.hostile import GOOD, LAYERS
from tests.support.tars import folder, hardlink, header, member, symlink, tar

HAS_FILTER = hasattr(tarfile, "data_filter")  # Debian 12's Python 3.11.2 has none
# tarfile would fill the disk or the address space with these.
TOO_MUCH_FOR_TARFILE = {"sparse of 1 TiB, PAX", "PAX size of 1 EiB", "base-256 size beyond any disk"}


def data_filter_refuses(layer: bytes, target: Path) -> bool:
    """Whether `extractall(filter='data')` raises; nobody relies on where it writes."""
    target.mkdir()
    if not HAS_FILTER:
        return False
    try:
        with tarfile.open(fileobj=io.BytesIO(layer)) as archive:
            for name in archive.getmembers():
                tarfile.data_filter(name, str(target))
    except (tarfile.TarError, OSError, ValueError, KeyError, RecursionError):
        return True
    return False


def tarsafe_refuses(layer: bytes, target: Path) -> bool:
    """Whether tarsafe's look at the whole archive raises; nothing is extracted, some attacks would pass it."""
    try:
        with tarsafe.TarSafe(fileobj=io.BytesIO(layer)) as archive:
            archive._safetar_check(str(target))
    except (tarsafe.TarSafeException, tarfile.TarError, OSError, ValueError, KeyError, RecursionError):
        return True
    return False


def ours_refuses(layer: bytes, root: Path) -> bool:
    world = World(root)
    world.put_layers(layer)
    try:
        world.extract()
    except FormatError:
        world.assert_nothing_was_written()
        return True
    world.assert_nothing_escaped()
    for path, folders, files in os.walk(world.staging):
        for name in folders + files:
            real = Path(os.path.realpath(os.path.join(path, name)))
            assert real.is_relative_to(world.staging), f"{name} leads to {real}"
    return False


def test_the_corpus_holds_attacks_that_the_others_know_and_some_that_they_do_not(tmp_path: Path) -> None:
    refused_by_data, refused_by_tarsafe = set(), set()
    for number, attack in enumerate(sorted(LAYERS.keys() - TOO_MUCH_FOR_TARFILE)):
        layer, _ = LAYERS[attack]
        if data_filter_refuses(layer, tmp_path / str(number)):
            refused_by_data.add(attack)
        if tarsafe_refuses(layer, tmp_path / str(number)):
            refused_by_tarsafe.add(attack)
    assert {"climbing name", "link out, climbing", "FIFO", "character device"} <= refused_by_data or not HAS_FILTER
    assert {"climbing name", "link out, climbing", "character device"} <= refused_by_tarsafe
    assert len(LAYERS.keys() - refused_by_data - refused_by_tarsafe) > 20


NAMES = st.sampled_from(
    ["bin/a", "bin/b", "bin/s", "bin/s/x", "bin/a/x", "bin/d", "bin/d/e", "../x", "bin/../../x", "/bin/x", "charts/c"]
)
TARGETS = st.sampled_from([".", "..", "a", "s", "d/..", "s/..", "../..", "/etc", "../charts/c", "d/e", "b/../.."])
MEMBERS = st.one_of(
    st.builds(lambda name: member(name, b"x"), NAMES),
    st.builds(symlink, NAMES, TARGETS),
    st.builds(hardlink, NAMES, NAMES),
    st.builds(folder, NAMES),
    st.builds(lambda name, kind: header(name, typeflag=kind), NAMES, st.sampled_from([b"3", b"4", b"6"])),
)


@settings(max_examples=200, deadline=None)
@given(st.lists(MEMBERS, max_size=6))
def test_what_the_data_filter_refuses_is_refused_and_all_else_stays_inside(members: list[bytes]) -> None:
    layer = tar(GOOD, *members)
    with tempfile.TemporaryDirectory() as name:
        root = Path(name).resolve()
        (root / "world").mkdir()
        if not ours_refuses(layer, root / "world"):
            assert not data_filter_refuses(layer, root / "data")
            # tarsafe takes every `..` in a link for an escape: see below.
            assert has_links(members) or not tarsafe_refuses(layer, root / "safe")


def has_links(members: list[bytes]) -> bool:
    return any(block[156:157] == b"2" for block in members)


@pytest.mark.parametrize("name", ["bin/sub/link", "bin/a"])
def test_a_harmless_link_one_level_down_is_taken_where_tarsafe_refuses_it(name: str, tmp_path: Path) -> None:
    target = "../kubelet" if "sub" in name else "kubelet"
    layer = tar(GOOD, symlink(name, target))
    assert not ours_refuses(layer, tmp_path)
