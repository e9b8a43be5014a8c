import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

import pytest

from runtime.layout import NodeLayout
from runtime.versions import CleanReport, names_in_use, plan_removal, remove_old_versions

CURRENT = "v1.34.4-rke2r1-aaaaaaaaaaaa"
OLD = "v1.33.1-rke2r1-bbbbbbbbbbbb"


@pytest.fixture
def layout(tmp_path: Path) -> NodeLayout:
    layout = NodeLayout.at(tmp_path / "rke2")
    for name in (CURRENT, OLD, "v1.2", "0" * 64, "notes"):
        (layout.versions / name / "bin").mkdir(parents=True)
    return layout


@pytest.fixture
def shims(tmp_path: Path) -> Path:
    folder = tmp_path / "shims"
    folder.mkdir()
    return folder


@pytest.fixture
def no_processes(tmp_path: Path) -> Path:
    folder = tmp_path / "proc"
    folder.mkdir()
    return folder


def left(layout: NodeLayout) -> list[str]:
    return sorted(path.name for path in layout.versions.iterdir())


def shim_runs_from(shims: Path, program: Path | str) -> None:
    (shims / "0123").mkdir(exist_ok=True)
    (shims / "0123" / "shim-binary-path").write_text(f"{program}")


def test_old_versions_go_and_digest_named_and_foreign_folders_stay(
    layout: NodeLayout, shims: Path, no_processes: Path
) -> None:
    report = remove_old_versions(layout, CURRENT, shims=shims, processes=no_processes)
    assert report == CleanReport(removed=("v1.2", OLD), kept=())
    assert left(layout) == sorted(["0" * 64, "notes", CURRENT])


def test_a_version_stays_while_a_shim_runs_from_it(layout: NodeLayout, shims: Path, no_processes: Path) -> None:
    shim_runs_from(shims, layout.versions / OLD / "bin/containerd-shim-runc-v2")
    report = remove_old_versions(layout, CURRENT, shims=shims, processes=no_processes)
    assert (report.removed, report.kept) == (("v1.2",), (OLD,))
    assert OLD in left(layout)


def test_paths_are_compared_by_components(layout: NodeLayout, shims: Path, no_processes: Path) -> None:
    """RKE2 compares prefixes: a shim of v1.2xyz would keep v1.2."""
    shim_runs_from(shims, layout.versions / "v1.2xyz/bin/containerd-shim-runc-v2")
    assert "v1.2" in remove_old_versions(layout, CURRENT, shims=shims, processes=no_processes).removed


def test_everything_stays_when_what_runs_cannot_be_found_out(layout: NodeLayout, tmp_path: Path) -> None:
    report = remove_old_versions(layout, CURRENT, shims=tmp_path / "missing", processes=tmp_path)
    assert report.removed == ()
    assert report.kept == ("v1.2", OLD)
    assert "missing" in report.why_all


def test_everything_stays_when_one_shim_file_cannot_be_read(
    layout: NodeLayout, shims: Path, no_processes: Path
) -> None:
    (shims / "0123" / "shim-binary-path").mkdir(parents=True)  # reading a directory fails for root too
    report = remove_old_versions(layout, CURRENT, shims=shims, processes=no_processes)
    assert report.removed == ()
    assert report.why_all


@pytest.fixture
def running(layout: NodeLayout) -> Iterator[Path]:
    """A real process whose program lies in the old version."""
    sleep = shutil.which("sleep")
    assert sleep
    program = layout.versions / OLD / "bin" / "containerd-shim-runc-v2"
    shutil.copy(Path(sleep).resolve(), program)
    process = subprocess.Popen([program, "600"])
    yield program
    process.kill()
    process.wait()


def test_a_version_stays_while_any_process_runs_from_it(layout: NodeLayout, shims: Path, running: Path) -> None:
    assert running.exists()
    report = remove_old_versions(layout, CURRENT, shims=shims)
    assert (report.removed, report.kept) == (("v1.2",), (OLD,))


def test_a_data_directory_behind_a_symlink_is_recognised(
    layout: NodeLayout, shims: Path, running: Path, tmp_path: Path
) -> None:
    assert running.exists()
    (tmp_path / "link").symlink_to(layout.data)
    report = remove_old_versions(NodeLayout.at(tmp_path / "link"), CURRENT, shims=shims)
    assert report.kept == (OLD,)


def test_nothing_is_asked_when_there_is_nothing_to_remove(tmp_path: Path) -> None:
    layout = NodeLayout.at(tmp_path)
    assert remove_old_versions(layout, CURRENT, shims=tmp_path / "missing") == CleanReport(removed=(), kept=())


def test_only_version_folders_are_candidates() -> None:
    names = ["v1.2", "V1", "vx", "0abc", ".sealift-v1.2.x", CURRENT]
    assert plan_removal(names=names, current=CURRENT, in_use=()) == ("v1.2",)


def test_programs_elsewhere_keep_nothing() -> None:
    versions = [PurePosixPath("/d/data")]
    programs = [PurePosixPath(p) for p in ("/d/data", "/d/data2/v1/bin/x", "/usr/bin/x", "", "/d/data/v3/bin/x")]
    assert names_in_use(versions, programs) == {"v3"}
