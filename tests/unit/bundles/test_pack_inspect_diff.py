"""One file of a bundle, and what bundles say of themselves and of each other."""

import json
import tarfile
from pathlib import Path

import pytest

from bundles.diff import diff
from bundles.diff import render as render_diff
from bundles.errors import FormatError, MissingError, UsageError
from bundles.inspect import inspect
from bundles.inspect import render as render_inspect
from bundles.pack import pack
from tests.support.bundles import CORE, RUNTIME, index_of, make_bundle, tree
from tests.support.releases import program, release


def test_a_packed_bundle_is_a_tar_of_its_folder_index_and_signatures_first(tmp_path: Path) -> None:
    bundle = make_bundle(tmp_path)
    (bundle / "bundle.json.sig").write_bytes(b"sig")
    pack(bundle, tmp_path / "b.sealift")
    with tarfile.open(tmp_path / "b.sealift") as tar:
        names = tar.getnames()
        assert names[:2] == ["bundle.json", "bundle.json.sig"] and names[2:] == sorted(names[2:])
        assert {name: tar.extractfile(name).read() for name in names} == tree(bundle)  # type: ignore[union-attr]
        assert {(member.mode, member.uid, member.mtime) for member in tar} == {(0o644, 0, index_of(bundle).created)}


def test_packing_twice_gives_the_same_bytes(tmp_path: Path) -> None:
    bundle = make_bundle(tmp_path)
    pack(bundle, tmp_path / "a.sealift")
    (bundle / RUNTIME).chmod(0o600)
    pack(bundle, tmp_path / "b.sealift")
    assert (tmp_path / "a.sealift").read_bytes() == (tmp_path / "b.sealift").read_bytes()


def test_a_packed_bundle_is_never_called_tar(tmp_path: Path) -> None:
    bundle = make_bundle(tmp_path)
    with pytest.raises(UsageError):
        pack(bundle, tmp_path / "b.tar")


def test_only_what_is_listed_is_packed(tmp_path: Path) -> None:
    bundle = make_bundle(tmp_path)
    (bundle / "notes").write_bytes(b"mine")
    with pytest.raises(FormatError, match="notes"):
        pack(bundle, tmp_path / "b.sealift")
    (bundle / "notes").unlink()
    (bundle / CORE).unlink()
    with pytest.raises(MissingError):
        pack(bundle, tmp_path / "b.sealift")
    assert not (tmp_path / "b.sealift").exists()


def test_inspect_says_the_same_of_a_folder_and_its_packed_file(tmp_path: Path) -> None:
    bundle = make_bundle(tmp_path)
    pack(bundle, tmp_path / "b.sealift")
    seen = inspect(bundle)
    assert seen == inspect(tmp_path / "b.sealift")
    document = index_of(bundle)
    assert seen["kind"] == "bundle" and seen["runtime"]["digest"] == str(document.runtime.digest)
    json.dumps(seen)
    text = render_inspect(seen)
    assert all(image.reference in text for image in document.images)


def test_inspect_of_an_archive_says_its_images_and_layers(tmp_path: Path) -> None:
    bundle = make_bundle(tmp_path)
    seen = inspect(bundle / RUNTIME)
    (image,) = seen["images"]
    document = index_of(bundle)
    assert seen["kind"] == "archive" and image["digest"] == str(document.runtime.digest)
    offsets = {str(blob.digest): blob.offset for blob in document.archives[0].blobs}
    assert all(offsets[layer["digest"]] == layer["offset"] for layer in image["layers"])
    json.dumps(seen)
    assert image["reference"] in render_inspect(seen)


def test_diff_counts_new_bytes_by_digest(tmp_path: Path) -> None:
    old = release(tmp_path, "v1.34.4-rke2r1")
    new = release(tmp_path, "v1.34.5-rke2r1", sequence=2, more={"rke2-images-core": {"pause": program(b"pause")}})
    found = diff(old, new)
    assert not found["same"] and found["fields"]["version"] == ["v1.34.4-rke2r1", "v1.34.5-rke2r1"]
    runtime = "docker.io/rancher/rke2-runtime"
    assert list(found["images"]["added"])[-1] == f"{runtime}:v1.34.5-rke2r1-classic"
    # The pause image is the same under another tag: its blobs do not travel again.
    had = {blob.digest for archive in index_of(old).archives for blob in archive.blobs}
    has = {blob.digest: blob.size for archive in index_of(new).archives for blob in archive.blobs}
    assert found["carry"]["new_bytes"] == sum(size for digest, size in has.items() if digest not in had) > 0
    assert found["carry"]["kept_blobs"] == len(had & has.keys()) >= 3
    assert "v1.34.5" in render_diff(found)
    json.dumps(found)


def test_a_bundle_does_not_differ_from_itself(tmp_path: Path) -> None:
    bundle = make_bundle(tmp_path)
    pack(bundle, tmp_path / "b.sealift")
    found = diff(bundle, tmp_path / "b.sealift")
    assert found["same"] and found["carry"]["new_bytes"] == 0 and render_diff(found) == "the same bundle"
