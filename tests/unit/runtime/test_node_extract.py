import gzip
import os
import re
import shutil
import stat
import threading
from pathlib import Path

import pytest

from bundles.errors import FormatError, MissingError, SealiftError, UsageError
from runtime.layout import VersionLayout
from tests.support.nodedirs import TestNode, seen
from tests.support.releases import AMD64, CHART, FIRST, program, release
from tests.support.sealed import make_archive

SECOND = "v1.34.5-rke2r1"
REFERENCE = f"docker.io/rancher/rke2-runtime:{FIRST}-classic"

NOBODY = 65534


@pytest.fixture
def node(tmp_path: Path) -> TestNode:
    return TestNode(tmp_path / "node")


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    return release(tmp_path / "usb")


@pytest.fixture
def staged(node: TestNode, bundle: Path) -> TestNode:
    node.stage(bundle)
    return node


def mode(path: Path) -> int:
    return stat.S_IMODE(path.lstat().st_mode)


def put(node: TestNode, name: str, reference: str, programs: dict[str, bytes]) -> Path:
    """An archive in agent/images that no bundle brought."""
    node.layout.images.mkdir(parents=True, exist_ok=True)
    (node.layout.images / name).unlink(missing_ok=True)
    files = {f"bin/{key}": value for key, value in programs.items()}
    return make_archive(node.layout.images / name, {reference: files}).path


def test_a_node_looks_as_rke2_would_have_made_it(staged: TestNode) -> None:
    report = staged.extract()
    version = VersionLayout(staged.layout.versions / report.key)
    assert re.fullmatch(rf"{FIRST}-classic-[0-9a-f]{{12}}", report.key)
    assert sorted(p.name for p in version.bin.iterdir()) == ["containerd", "kubelet"]
    assert (version.bin / "kubelet").read_bytes() == program(b"kubelet " + FIRST.encode())
    assert mode(version.bin / "kubelet") == mode(version.bin) == mode(version.root) == 0o755
    assert version.marker.read_text() == f"index.docker.io/rancher/rke2-runtime:{FIRST}-classic"
    assert mode(version.marker) == 0o644
    assert os.readlink(staged.layout.bin_link) == str(version.bin)
    assert (staged.layout.manifests / "small.yaml").read_bytes() == CHART
    assert mode(staged.layout.manifests / "small.yaml") == 0o600


def test_the_key_is_the_one_the_bundle_tells(staged: TestNode, bundle: Path) -> None:
    from bundles import index

    document = index.decode((bundle / "bundle.json").read_bytes())
    report = staged.extract()
    assert report.key == document.runtime.key
    assert report.digest == document.runtime.digest


def test_extracting_twice_changes_nothing(staged: TestNode) -> None:
    assert staged.extract().unpacked
    before = seen(staged.layout.data)
    inode = staged.layout.bin_link.lstat().st_ino
    report = staged.extract()
    assert (report.unpacked, report.manifests) == (False, ())
    assert any("already unpacked" in line for line in staged.said)
    assert seen(staged.layout.data) == before
    assert staged.layout.bin_link.lstat().st_ino == inode


def test_charts_exist_also_when_the_image_has_none(node: TestNode) -> None:
    """Without the folder RKE2 never takes an extraction for done."""
    put(node, "a.tar", REFERENCE, {"kubelet": program()})
    report = node.extract()
    assert list((report.folder / "charts").iterdir()) == []
    assert not node.extract().unpacked


def test_an_image_without_programs_is_refused_and_leaves_nothing(node: TestNode) -> None:
    make_archive(ensure(node.layout.images) / "a.tar", {REFERENCE: {"charts/a.yaml": b""}})
    with pytest.raises(SealiftError, match="bin"):
        node.extract()
    assert list(node.layout.versions.iterdir()) == []
    assert not node.layout.bin_link.is_symlink()


def ensure(folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def test_agents_leave_the_manifests_alone(staged: TestNode) -> None:
    report = staged.extract(agent=True)
    assert report.manifests == ()
    assert not staged.layout.server.exists()


def test_a_folder_without_marker_is_unpacked_anew_without_its_stale_files(staged: TestNode) -> None:
    version = VersionLayout(staged.extract().folder)
    version.marker.unlink()
    (version.bin / "stale").write_text("from an interrupted RKE2")
    report = staged.extract()
    assert report.unpacked
    assert not (version.bin / "stale").exists()
    assert version.marker.exists()


def test_a_folder_that_rke2_made_is_taken_with_a_warning_and_replaced_when_asked(staged: TestNode) -> None:
    version = VersionLayout(staged.extract().folder)
    version.record.unlink()
    (version.bin / "kubelet").write_text("something else")
    report = staged.extract()
    assert (report.unpacked, report.digest) == (False, None)
    assert any("cannot be verified" in line for line in staged.said)
    report = staged.extract(replace=True)
    assert report.unpacked
    assert (version.bin / "kubelet").read_bytes() == program(b"kubelet " + FIRST.encode())


def test_another_image_of_the_same_name_is_refused_and_swapped_when_asked(node: TestNode) -> None:
    put(node, "a.tar", REFERENCE, {"kubelet": program(b"one"), "gone": program()})
    folder = node.extract().folder
    before = seen(node.layout.versions)
    put(node, "a.tar", REFERENCE, {"kubelet": program(b"two")})
    with pytest.raises(SealiftError, match="--replace"):
        node.extract()
    assert seen(node.layout.versions) == before
    assert node.extract(replace=True).unpacked
    assert (folder / "bin/kubelet").read_bytes() == program(b"two")
    assert not (folder / "bin/gone").exists()
    assert [path.name for path in node.layout.versions.iterdir()] == [folder.name]


def test_an_image_that_was_not_admitted_is_refused_under_the_admitted_name(staged: TestNode) -> None:
    archive = staged.layout.images / "rke2-runtime.linux-amd64.tar"
    archive.unlink()
    put(staged, archive.name, REFERENCE, {"kubelet": program(b"evil")})
    with pytest.raises(FormatError, match="not the image that was admitted"):
        staged.extract()
    with pytest.raises(FormatError, match="not the image that was admitted"):
        staged.extract(runtime_image=REFERENCE, replace=True)
    assert not staged.layout.bin_link.is_symlink()


def test_a_missing_or_cut_program_is_noticed_and_replaced_when_asked(staged: TestNode) -> None:
    """RKE2 looks at the marker alone and starts a node without a kubelet."""
    folder = staged.extract().folder
    os.truncate(folder / "bin/kubelet", 3)
    with pytest.raises(SealiftError, match=r"kubelet has 3 bytes"):
        staged.extract()
    (folder / "bin/kubelet").unlink()
    with pytest.raises(SealiftError, match=r"kubelet is missing"):
        staged.extract()
    staged.extract(replace=True)
    assert (folder / "bin/kubelet").read_bytes() == program(b"kubelet " + FIRST.encode())


def test_what_is_unpacked_stays_usable_without_its_archive(staged: TestNode) -> None:
    staged.extract()
    for archive in staged.layout.images.iterdir():
        archive.unlink()
    assert not staged.extract().unpacked
    with pytest.raises(MissingError):
        staged.extract(replace=True)


def test_a_real_folder_called_bin_is_never_touched(staged: TestNode) -> None:
    staged.layout.bin_link.mkdir()
    (staged.layout.bin_link / "mine").write_text("mine")
    with pytest.raises(SealiftError, match="real folder"):
        staged.extract()
    assert (staged.layout.bin_link / "mine").exists()
    assert not staged.layout.versions.exists()


def test_an_upgrade_moves_the_link_and_removes_the_old_version_unless_a_shim_runs(
    staged: TestNode, tmp_path: Path
) -> None:
    old = staged.extract().folder
    task = ensure(staged.shims / "0123")
    (task / "shim-binary-path").write_text(str(old / "bin/containerd-shim-runc-v2"))
    staged.stage(release(tmp_path / "usb", SECOND, sequence=2))
    report = staged.extract()
    assert os.readlink(staged.layout.bin_link) == str(report.folder / "bin")
    assert report.cleaned.kept == (old.name,)
    assert old.exists()
    shutil.rmtree(task)
    assert staged.extract().cleaned.removed == (old.name,)
    assert [path.name for path in staged.layout.versions.iterdir()] == [report.key]


def test_the_only_runtime_image_is_found_without_a_bundle_and_several_are_listed(node: TestNode) -> None:
    put(node, "a.tar", REFERENCE, {"kubelet": program()})
    assert node.extract().reference == REFERENCE
    put(node, "b.tar", f"docker.io/rancher/rke2-runtime:{SECOND}", {"kubelet": program()})
    with pytest.raises(UsageError, match=SECOND):
        node.extract()
    assert node.extract(configured_image=f"rancher/rke2-runtime:{SECOND}").key.startswith(f"{SECOND}-")


def test_a_typed_reference_makes_the_key_of_its_spelling(staged: TestNode) -> None:
    short = staged.extract().key
    typed = staged.extract(runtime_image=REFERENCE)
    assert typed.unpacked
    assert typed.key != short


def test_a_tag_that_rke2_refuses_is_refused(node: TestNode) -> None:
    put(node, "a.tar", "docker.io/rancher/rke2-runtime:dev", {"kubelet": program()})
    with pytest.raises(UsageError, match="v and a digit"):
        node.extract()


def test_an_image_for_another_machine_is_refused(node: TestNode) -> None:
    put(node, "a.tar", REFERENCE, {"kubelet": program()})
    node.platform = type(AMD64)(os="linux", architecture="arm64")
    with pytest.raises(FormatError, match="platform"):
        node.extract()


def test_a_data_directory_with_a_typo_is_not_made(node: TestNode) -> None:
    with pytest.raises(MissingError, match="no such data directory"):
        node.extract()
    assert not node.layout.data.exists()


def test_unreadable_neighbours_are_warnings(staged: TestNode) -> None:
    (staged.layout.images / "broken.tar").write_bytes(b"no tar")
    assert staged.extract().unpacked
    assert any("broken.tar" in line for line in staged.said)


def test_compressed_archives_of_others_are_taken_too_and_leave_nothing_beside(node: TestNode) -> None:
    plain = put(node, "a.tar", REFERENCE, {"kubelet": program(b"k")})
    (node.layout.images / "b.TAR.GZ").write_bytes(gzip.compress(plain.read_bytes()))
    plain.unlink()
    assert (node.extract().folder / "bin/kubelet").read_bytes() == program(b"k")
    assert [path.name for path in node.layout.ours.iterdir()] == ["lock"]


def test_a_damaged_archive_changes_nothing(node: TestNode) -> None:
    archive = put(node, "a.tar", REFERENCE, {"kubelet": program(os.urandom(200_000))})
    data = bytearray(archive.read_bytes())
    data[len(data) // 2] ^= 1
    archive.write_bytes(data)
    with pytest.raises(SealiftError):
        node.extract()
    assert list(node.layout.versions.iterdir()) == []


@pytest.mark.parametrize("umask", [0o077, 0o000])
def test_modes_do_not_depend_on_the_umask(tmp_path: Path, bundle: Path, umask: int) -> None:
    """The link and the record name nothing of the umask either."""
    found = []
    for mask in (0o022, umask):
        node = TestNode(tmp_path / f"{mask:03o}")
        before = os.umask(mask)
        try:
            node.stage(bundle)
            node.extract()
        finally:
            os.umask(before)
        found.append({name: what for name, what in seen(node.layout.data).items() if name != "bin"})
    assert found[0] == found[1]


def test_two_at_once_take_turns(staged: TestNode) -> None:
    reports = []
    threads = [threading.Thread(target=lambda: reports.append(staged.extract())) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(report.unpacked for report in reports) == [False, False, False, True]


def test_a_data_directory_that_cannot_be_written_is_named(staged: TestNode, tmp_path: Path) -> None:
    """Nothing is read-only for root: a child process without root's capabilities tries."""
    assert staged.shims.is_dir()
    for folder in (tmp_path, *tmp_path.parents[:3]):
        folder.chmod(0o755)  # somebody else has to get as far as the data directory
    staged.layout.ours.chmod(0o500)
    child = os.fork()
    if child == 0:
        if os.geteuid() == 0:
            os.setuid(NOBODY)
        try:
            staged.extract()
        except SealiftError as exc:
            os._exit(0 if "permissions" in str(exc) else 2)
        except BaseException:
            os._exit(4)
        os._exit(3)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
