import os
import stat
from pathlib import Path

import pytest

from bundles.errors import SealiftError
from runtime.layout import NodeLayout
from runtime.manifests import chart_names, place_manifests, plan_manifests


@pytest.fixture
def charts(tmp_path: Path) -> Path:
    folder = tmp_path / "charts"
    (folder / "sub").mkdir(parents=True)
    (folder / "rke2-coredns.yaml").write_text("coredns")
    (folder / "sub" / "more.yml").write_text("more")
    (folder / "README.md").write_text("no manifest")
    (folder / ".hidden.yaml").write_text("hidden")
    (folder / "link.yaml").symlink_to("/etc/passwd")
    return folder


@pytest.fixture
def layout(tmp_path: Path) -> NodeLayout:
    return NodeLayout.at(tmp_path / "rke2")


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_only_what_differs_is_written() -> None:
    assert plan_manifests({"b": b"1", "a": b"2", "c": b"3"}, {"b": b"1", "c": b"other"}) == ("a", "c")


def test_manifests_are_yaml_files_without_links_and_hidden_ones(charts: Path) -> None:
    assert chart_names(charts) == ("rke2-coredns.yaml", "sub/more.yml")


@pytest.mark.parametrize("umask", [0o077, 0o000])
def test_folders_are_0700_and_files_0600_for_every_umask(charts: Path, layout: NodeLayout, umask: int) -> None:
    before = os.umask(umask)
    try:
        assert place_manifests(charts, layout) == ("rke2-coredns.yaml", "sub/more.yml")
    finally:
        os.umask(before)
    assert [mode(p) for p in (layout.server, layout.manifests, layout.manifests / "sub")] == [0o700] * 3
    assert mode(layout.manifests / "rke2-coredns.yaml") == mode(layout.manifests / "sub/more.yml") == 0o600


def test_the_operators_own_manifests_and_skip_files_are_kept(charts: Path, layout: NodeLayout) -> None:
    layout.manifests.mkdir(parents=True)
    (layout.manifests / "mine.yaml").write_text("mine")
    (layout.manifests / "rke2-coredns.yaml.skip").write_text("")
    place_manifests(charts, layout)
    assert (layout.manifests / "mine.yaml").read_text() == "mine"
    assert (layout.manifests / "rke2-coredns.yaml.skip").exists()


def test_changed_ones_are_replaced_and_unchanged_ones_keep_their_time(charts: Path, layout: NodeLayout) -> None:
    place_manifests(charts, layout)
    os.utime(layout.manifests / "sub/more.yml", (1, 1))
    (layout.manifests / "rke2-coredns.yaml").write_text("edited")
    assert place_manifests(charts, layout) == ("rke2-coredns.yaml",)
    assert (layout.manifests / "sub/more.yml").stat().st_mtime == 1
    assert sorted(p.name for p in layout.server.iterdir()) == ["manifests"]


def test_a_folder_in_the_place_of_a_chart_is_an_error(charts: Path, layout: NodeLayout) -> None:
    (layout.manifests / "rke2-coredns.yaml").mkdir(parents=True)
    with pytest.raises(SealiftError, match="folder"):
        place_manifests(charts, layout)
