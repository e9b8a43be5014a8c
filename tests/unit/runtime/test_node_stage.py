import os
import shutil
import stat
from pathlib import Path

import pytest

from bundles.errors import FormatError, MissingError, SealiftError, TrustError
from bundles.talk import SilentProgress
from bundles.trust import Trust
from runtime import admitted
from runtime.stage import stage
from tests.support.nodedirs import NOBODY, NOW, TestNode, seen
from tests.support.releases import AMD64, FIRST, program, release

SECOND = "v1.34.5-rke2r1"
RUNTIME, CORE = "rke2-runtime.linux-amd64.tar", "rke2-images-core.linux-amd64.tar"


@pytest.fixture
def node(tmp_path: Path) -> TestNode:
    return TestNode(tmp_path / "node")


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    return release(tmp_path / "usb")


@pytest.fixture
def newer(tmp_path: Path) -> Path:
    """Without the first one's core archive, with another."""
    return release(tmp_path / "usb", SECOND, more={"rke2-images-flannel": {"flannel": program(b"f")}}, sequence=2)


def images(node: TestNode) -> list[str]:
    return sorted(path.name for path in node.layout.images.iterdir())


def test_archives_are_links_of_the_kept_bundle_and_equal_the_given_one(node: TestNode, bundle: Path) -> None:
    report = node.stage(bundle)
    kept = node.layout.bundles / bundle.name
    assert (report.folder, report.copied, report.linked) == (kept, True, (CORE, RUNTIME))
    for name in (CORE, RUNTIME):
        assert (node.layout.images / name).samefile(kept / "images" / name)
        assert (node.layout.images / name).read_bytes() == (bundle / "images" / name).read_bytes()
    assert set(seen(kept)) == set(seen(bundle))


def test_the_record_says_what_is_admitted(node: TestNode, bundle: Path) -> None:
    node.stage(bundle)
    record = admitted.read(node.layout.admitted)
    assert record is not None
    assert (record.bundle, record.version, record.sequence) == (bundle.name, FIRST, 1)
    assert sorted(archive.name for archive in record.archives) == [CORE, RUNTIME]


def test_staging_twice_changes_nothing(node: TestNode, bundle: Path) -> None:
    node.stage(bundle)
    before = seen(node.layout.data)
    times = (node.layout.admitted.stat().st_mtime_ns, (node.layout.images / CORE).stat().st_ino)
    report = node.stage(bundle)
    assert (report.copied, report.linked, report.retired, report.before) == (False, (), (), bundle.name)
    assert seen(node.layout.data) == before
    assert times == (node.layout.admitted.stat().st_mtime_ns, (node.layout.images / CORE).stat().st_ino)


def test_a_newer_bundle_replaces_the_archives_and_the_older_one_stays_kept(
    node: TestNode, bundle: Path, newer: Path
) -> None:
    node.stage(bundle)
    report = node.stage(newer)
    assert (report.retired, report.before) == ((CORE,), bundle.name)
    assert images(node) == ["rke2-images-flannel.linux-amd64.tar", RUNTIME]
    assert (node.layout.images / RUNTIME).samefile(node.layout.bundles / newer.name / "images" / RUNTIME)
    assert (node.layout.bundles / bundle.name / "images" / CORE).exists()


def test_rolling_back_copies_nothing_and_needs_no_medium(node: TestNode, bundle: Path, newer: Path) -> None:
    node.stage(bundle)
    first = seen(node.layout.images)
    node.stage(newer)
    shutil.rmtree(bundle)
    report = node.stage(node.layout.bundles / bundle.name)
    assert report.copied is False
    assert seen(node.layout.images) == first


def test_a_missing_link_comes_back(node: TestNode, bundle: Path) -> None:
    node.stage(bundle)
    (node.layout.images / CORE).unlink()
    assert node.stage(bundle).linked == (CORE,)


def test_the_same_name_with_other_bytes_is_refused_and_changes_nothing(
    node: TestNode, bundle: Path, tmp_path: Path
) -> None:
    node.stage(bundle)
    before = seen(node.layout.data)
    other = release(tmp_path / "other", programs={"kubelet": program(b"another build")})
    assert other.name == bundle.name
    with pytest.raises(SealiftError, match="another bundle called"):
        node.stage(other)
    assert seen(node.layout.data) == before


def flip(path: Path) -> None:
    """Flips one bit in the middle of a file, in place."""
    with path.open("r+b") as file:
        file.seek(path.stat().st_size // 2)
        byte = file.read(1)
        file.seek(-1, os.SEEK_CUR)
        file.write(bytes([byte[0] ^ 1]))


def test_a_damaged_bundle_is_refused_and_leaves_nothing(node: TestNode, bundle: Path) -> None:
    flip(bundle / "images" / RUNTIME)
    with pytest.raises(FormatError, match=RUNTIME):
        node.stage(bundle)
    assert list(node.layout.bundles.iterdir()) == []
    assert images(node) == []
    assert not node.layout.admitted.exists()


def test_a_damaged_kept_copy_is_replaced_and_linked_anew(node: TestNode, bundle: Path) -> None:
    node.stage(bundle)
    before = seen(node.layout.data)
    flip(node.layout.bundles / bundle.name / "images" / RUNTIME)
    report = node.stage(bundle)
    assert report.copied
    assert any("damaged" in line for line in node.said)
    assert seen(node.layout.data) == before


def test_a_damaged_kept_copy_without_another_is_an_error(node: TestNode, bundle: Path) -> None:
    node.stage(bundle)
    kept = node.layout.bundles / bundle.name
    flip(kept / "images" / CORE)
    with pytest.raises(FormatError, match=CORE):
        node.stage(kept)


def test_a_kept_copy_that_lost_its_index_is_replaced(node: TestNode, bundle: Path) -> None:
    node.stage(bundle)
    (node.layout.bundles / bundle.name / "bundle.json").write_text("{")
    assert node.stage(bundle).copied


def test_files_of_the_operator_are_kept(node: TestNode, bundle: Path, newer: Path) -> None:
    node.layout.images.mkdir(parents=True)
    (node.layout.images / "mine.tar").write_bytes(b"mine")
    node.stage(bundle)
    node.stage(newer)
    assert (node.layout.images / "mine.tar").read_bytes() == b"mine"


def test_a_file_of_the_operator_under_an_archives_name_stops_it(node: TestNode, bundle: Path) -> None:
    node.layout.images.mkdir(parents=True)
    (node.layout.images / CORE).write_bytes(b"mine")
    with pytest.raises(SealiftError, match=CORE):
        node.stage(bundle)
    assert images(node) == [CORE]
    assert not node.layout.admitted.exists()


def test_a_bundle_for_another_platform_is_refused_before_anything_is_written(node: TestNode, bundle: Path) -> None:
    node.platform = type(AMD64)(os="linux", architecture="arm64")
    with pytest.raises(FormatError, match="platform"):
        node.stage(bundle)
    assert not node.layout.data.exists()


def test_an_unsigned_bundle_is_refused_before_anything_is_written(node: TestNode, bundle: Path) -> None:
    trust = Trust(kind="key", path=Path("a.pub"))
    with pytest.raises(TrustError, match="not signed"):
        stage(bundle, node.layout, trust, platform=AMD64, now=NOW, progress=SilentProgress(), say=print)
    assert not node.layout.data.exists()


def test_trust_is_decided_before_the_index_is_parsed(node: TestNode, bundle: Path) -> None:
    (bundle / "bundle.json").write_text("no json at all")
    with pytest.raises(TrustError):
        stage(
            bundle,
            node.layout,
            Trust(kind="policy", path=Path("p")),
            platform=AMD64,
            now=NOW,
            progress=SilentProgress(),
            say=print,
        )


def test_a_missing_bundle_is_named(node: TestNode, tmp_path: Path) -> None:
    with pytest.raises(MissingError, match="nowhere"):
        node.stage(tmp_path / "nowhere")


@pytest.mark.parametrize("umask", [0o077, 0o000])
def test_modes_do_not_depend_on_the_umask_or_the_source(tmp_path: Path, bundle: Path, umask: int) -> None:
    plain = TestNode(tmp_path / "plain")
    plain.stage(bundle)
    for path in bundle.rglob("*"):
        path.chmod(0o700 if path.is_dir() else 0o400)
    other = TestNode(tmp_path / "other")
    before = os.umask(umask)
    try:
        other.stage(bundle)
    finally:
        os.umask(before)
    assert seen(other.layout.data) == seen(plain.layout.data)
    assert stat.S_IMODE((other.layout.bundles / bundle.name).stat().st_mode) == 0o755


def test_one_packed_file_is_staged_like_the_folder(tmp_path: Path, bundle: Path) -> None:
    from bundles.pack import pack

    packed = tmp_path / f"{bundle.name}.sealift"
    pack(bundle, packed)
    plain, from_file = TestNode(tmp_path / "plain"), TestNode(tmp_path / "file")
    plain.stage(bundle)
    from_file.stage(packed)
    assert seen(from_file.layout.data) == seen(plain.layout.data)


def test_no_space_is_said_before_anything_is_copied(
    node: TestNode, bundle: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    usage = type(shutil.disk_usage("/"))
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage(100 << 20, 99 << 20, 1 << 20))
    with pytest.raises(SealiftError, match="not enough space"):
        node.stage(bundle)
    assert list(node.layout.bundles.iterdir()) == []


def test_a_record_that_cannot_be_read_says_what_to_do(node: TestNode, bundle: Path) -> None:
    node.stage(bundle)
    node.layout.admitted.write_text("[]")
    with pytest.raises(FormatError, match="stage the bundle again"):
        node.stage(bundle)
    node.layout.admitted.unlink()
    node.stage(bundle)
    assert NOBODY.insecure
