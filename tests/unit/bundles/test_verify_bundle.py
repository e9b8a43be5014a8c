"""A whole bundle: what is not listed, missing, changed or for somebody else is refused, from a folder or packed."""

import os
import random
import shutil
import threading
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

from bundles.digest import Digest
from bundles.errors import FormatError, MissingError, SealiftError, TrustError
from bundles.index import BundleIndex
from bundles.pack import pack
from bundles.platform import Platform
from bundles.policy.judge import Verdict
from bundles.talk import SilentProgress
from bundles.trust import require
from bundles.verify import verify_bundle
from tests.support.bundles import CORE, LIST, RUNTIME, SUMS, forge, forge_archive, index_of, make_bundle, tree
from tests.support.damage import flip
from tests.support.releases import AMD64

INSECURE = require(insecure=True)
ARM64 = Platform(os="linux", architecture="arm64")


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    return make_bundle(tmp_path)


def test_a_bundle_holds_and_says_what_it_is(bundle: Path) -> None:
    report = verify_bundle(bundle, INSECURE, platform=AMD64)
    assert report.index == index_of(bundle)
    assert report.index_digest == Digest.of((bundle / "bundle.json").read_bytes())
    assert [archive.programs for archive in report.archives] == [("bin/containerd", "bin/kubelet"), ()]


@pytest.mark.parametrize("quick", [False, True])
def test_every_blob_corrupted_in_turn_is_named_and_refused(bundle: Path, quick: bool) -> None:
    tried = 0
    for archive in index_of(bundle).archives:
        for blob in archive.blobs:
            flip(bundle / archive.path, blob.offset + blob.size // 2)
            with pytest.raises(FormatError) as caught:
                verify_bundle(bundle, INSECURE, quick=quick)
            assert blob.digest.hex in caught.value.where and archive.path in caught.value.where
            flip(bundle / archive.path, blob.offset + blob.size // 2)
            tried += 1
    assert tried == 6
    assert verify_bundle(bundle, INSECURE)


@pytest.mark.parametrize("name", ["bundle.json", SUMS, LIST, RUNTIME, CORE])
def test_random_flips_in_each_file_are_noticed(bundle: Path, name: str) -> None:
    generator = random.Random(5)
    size = (bundle / name).stat().st_size
    for _ in range(120):
        at, bit = generator.randrange(size), 1 << generator.randrange(8)
        flip(bundle / name, at, bit)
        with pytest.raises(SealiftError):
            verify_bundle(bundle, INSECURE)
        flip(bundle / name, at, bit)


def test_random_flips_in_a_packed_bundle_are_noticed(bundle: Path, tmp_path: Path) -> None:
    packed = tmp_path / "b.sealift"
    pack(bundle, packed)
    assert verify_bundle(packed, INSECURE).index == index_of(bundle)
    generator = random.Random(6)
    # The start holds small files and many headers: looked at more closely.
    places = [generator.randrange(packed.stat().st_size) for _ in range(100)]
    places += [generator.randrange(6000) for _ in range(100)]
    for at in places:
        bit = 1 << generator.randrange(8)
        flip(packed, at, bit)
        with pytest.raises(SealiftError):
            verify_bundle(packed, INSECURE)
        flip(packed, at, bit)


@pytest.mark.parametrize("change", [lambda data: data[:-1], lambda data: data + b"\0" * 512, lambda data: data[:-1024]])
def test_a_packed_bundle_of_another_length_is_refused(
    bundle: Path, tmp_path: Path, change: Callable[[bytes], bytes]
) -> None:
    packed = tmp_path / "b.sealift"
    pack(bundle, packed)
    packed.write_bytes(change(packed.read_bytes()))
    with pytest.raises(FormatError):
        verify_bundle(packed, INSECURE)


@pytest.mark.parametrize("name", ["bundle.json", SUMS, LIST, RUNTIME, CORE])
def test_a_missing_file_is_named(bundle: Path, name: str) -> None:
    (bundle / name).unlink()
    with pytest.raises((MissingError, FormatError)) as caught:
        verify_bundle(bundle, INSECURE)
    assert name in str(caught.value)


@pytest.mark.parametrize("name", ["images/extra.tar", "images/pull.txt", "x", ".hidden", "lists/a/b.txt", "provenance"])
def test_an_unlisted_file_is_named(bundle: Path, name: str) -> None:
    (bundle / name).parent.mkdir(exist_ok=True)
    (bundle / name).write_bytes(b"")
    with pytest.raises(FormatError) as caught:
        verify_bundle(bundle, INSECURE)
    assert name in str(caught.value)


SIGNATURES = [
    "bundle.json.sig",
    "bundle.json.0123456789abcdef.sigstore.json",
    "sbom.cdx.0123456789abcdef.sigstore.json",
]


@pytest.mark.parametrize("name", SIGNATURES)
def test_signatures_are_never_listed_and_never_in_the_way(bundle: Path, name: str, tmp_path: Path) -> None:
    (bundle / name).write_bytes(b"signature")
    staged = tmp_path / "staged"
    staged.mkdir()
    verify_bundle(bundle, INSECURE, stage_to=staged)
    assert (staged / name).read_bytes() == b"signature"


@pytest.mark.parametrize("name", ["bundle.json", SUMS, LIST, RUNTIME])
def test_a_symlink_is_refused_even_to_the_right_content(bundle: Path, name: str, tmp_path: Path) -> None:
    shutil.move(bundle / name, tmp_path / "elsewhere")
    (bundle / name).symlink_to(tmp_path / "elsewhere")
    with pytest.raises(FormatError, match="symbolic link"):
        verify_bundle(bundle, INSECURE)


def test_a_symlinked_folder_is_refused(bundle: Path, tmp_path: Path) -> None:
    shutil.move(bundle / "images", tmp_path / "elsewhere")
    (bundle / "images").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(FormatError, match="symbolic link"):
        verify_bundle(bundle, INSECURE)


def test_a_fifo_is_refused_and_does_not_block(bundle: Path) -> None:
    for name in ("extra", LIST, "bundle.json"):
        (bundle / name).unlink(missing_ok=True)
        os.mkfifo(bundle / name)
        with pytest.raises(FormatError):
            verify_bundle(bundle, INSECURE)


def test_an_empty_folder_is_refused(bundle: Path) -> None:
    (bundle / "more").mkdir()
    with pytest.raises(FormatError, match=r"not listed in .*: more/"):
        verify_bundle(bundle, INSECURE)


def test_a_bundle_for_another_platform_is_refused(bundle: Path) -> None:
    with pytest.raises(FormatError, match="another platform"):
        verify_bundle(bundle, INSECURE, platform=ARM64)


def test_rollback_and_expiry_are_matters_of_trust(bundle: Path) -> None:
    def decide(document: BundleIndex, verdict: Verdict, where: str) -> None:
        if document.sequence < 2:
            raise TrustError("an older bundle than this node has had", where=where)

    with pytest.raises(TrustError, match="older"):
        verify_bundle(bundle, INSECURE, decide=decide)
    forge(bundle, lambda document: msgspec.structs.replace(document, expires=1000))
    assert verify_bundle(bundle, INSECURE) and verify_bundle(bundle, INSECURE, now=999)
    with pytest.raises(TrustError, match="expired"):
        verify_bundle(bundle, INSECURE, now=1000)


def _replaced(**fields: object) -> Callable[[BundleIndex], BundleIndex]:
    return lambda document: msgspec.structs.replace(document, **fields)


def _archive(document: BundleIndex, **fields: object) -> BundleIndex:
    first, *rest = document.archives
    return msgspec.structs.replace(document, archives=[msgspec.structs.replace(first, **fields), *rest])


def _image(document: BundleIndex, **fields: object) -> BundleIndex:
    first, *rest = document.images
    return msgspec.structs.replace(document, images=[msgspec.structs.replace(first, **fields), *rest])


def _file(document: BundleIndex, **fields: object) -> BundleIndex:
    return msgspec.structs.replace(document, files=[msgspec.structs.replace(document.files[0], **fields)])


def _runtime(document: BundleIndex, **fields: object) -> BundleIndex:
    return msgspec.structs.replace(document, runtime=msgspec.structs.replace(document.runtime, **fields))


OTHER = Digest.of(b"other")
LIES: dict[str, Callable[[BundleIndex], BundleIndex]] = {
    "created": _replaced(created=5),
    "platform": _replaced(platform="linux/arm64"),
    "no archives": _replaced(archives=[]),
    "no images": _replaced(images=[]),
    "archive size": lambda document: _archive(document, size=1024),
    "archive path climbs": lambda document: _archive(document, path="images/../x.tar"),
    "archive path absolute": lambda document: _archive(document, path="/etc/x.tar"),
    "archive elsewhere": lambda document: _archive(document, path="lists/x.tar"),
    "archive is the index": lambda document: _archive(document, path="bundle.json"),
    "archive blobs": lambda document: _archive(document, blobs=[]),
    "archive images": lambda document: _archive(document, images=[]),
    "image digest": lambda document: _image(document, digest=OTHER),
    "image archive": lambda document: _image(document, archive=CORE),
    "image name": lambda document: _image(document, reference="docker.io/rancher/x:y"),
    "file digest": lambda document: _file(document, sha256=OTHER),
    "file size": lambda document: _file(document, size=3),
    "file path": lambda document: _file(document, path="a/./b"),
    "file in images": lambda document: _file(document, path="images/list.txt"),
    "file is the sums": lambda document: _file(document, path=SUMS),
    "runtime digest": lambda document: _runtime(document, digest=OTHER),
    "runtime key": lambda document: _runtime(document, key="v1-000000000000"),
    "runtime absent": lambda document: _runtime(document, reference="docker.io/rancher/rke2-runtime:v9"),
}


@pytest.mark.parametrize("lie", LIES)
def test_an_index_that_lies_is_refused_though_the_sums_fit(bundle: Path, lie: str) -> None:
    forge(bundle, LIES[lie])
    with pytest.raises(SealiftError):
        verify_bundle(bundle, INSECURE)


def test_archives_swapped_for_each_other_are_refused(bundle: Path) -> None:
    forge_archive(bundle, CORE, (bundle / RUNTIME).read_bytes())
    with pytest.raises(FormatError, match=r"bundle\.json says"):
        verify_bundle(bundle, INSECURE)


def test_another_format_is_refused_before_anything_else(bundle: Path) -> None:
    path = bundle / "bundle.json"
    path.write_bytes(path.read_bytes().replace(b'"format":"1.0"', b'"format":"2.0"'))
    with pytest.raises(FormatError, match="unknown bundle format"):
        verify_bundle(bundle, INSECURE)


@pytest.mark.parametrize("packed", [False, True])
def test_staging_copies_exactly_what_was_checked(bundle: Path, tmp_path: Path, packed: bool) -> None:
    source = bundle
    if packed:
        source = tmp_path / "b.sealift"
        pack(bundle, source)
    staged = tmp_path / "staged"
    staged.mkdir()
    old = os.umask(0o077)
    try:
        verify_bundle(source, INSECURE, stage_to=staged)
    finally:
        os.umask(old)
    assert tree(staged) == tree(bundle)
    assert {path.stat().st_mode & 0o7777 for path in staged.rglob("*") if path.is_file()} == {0o644}


def test_a_file_that_changes_while_it_is_read_is_noticed_or_copied_as_it_was(bundle: Path, tmp_path: Path) -> None:
    """Another process writes to the source all the time: what was staged is what was checked, or nothing passed."""
    good = tree(bundle)
    archive = index_of(bundle).archives[0]
    blob = archive.blobs[-1]
    stop = threading.Event()

    def disturb() -> None:
        while not stop.is_set():
            flip(bundle / archive.path, blob.offset + blob.size // 2)

    thread = threading.Thread(target=disturb)
    thread.start()
    try:
        for number in range(20):
            staged = tmp_path / f"staged{number}"
            staged.mkdir()
            try:
                verify_bundle(bundle, INSECURE, stage_to=staged)
            except FormatError:
                continue
            assert tree(staged) == good
    finally:
        stop.set()
        thread.join()


def test_progress_adds_up_to_the_archives(bundle: Path) -> None:
    class Count(SilentProgress):
        def __init__(self) -> None:
            self.told: list[tuple[str, int | None]] = []
            self.done = 0

        def begin(self, name: str, total_bytes: int | None) -> None:
            self.told.append((name, total_bytes))

        def advance(self, count: int) -> None:
            self.done += count

    count = Count()
    verify_bundle(bundle, INSECURE, progress=count)
    assert [total for _, total in count.told] == [archive.size for archive in index_of(bundle).archives]
    assert count.done == sum(archive.size for archive in index_of(bundle).archives)
