"""Every blob of a real bundle, damaged in turn: `verify` names it and refuses; nothing is staged."""

import shutil
from pathlib import Path

import pytest

from bundles import index
from tests.support.damage import flip
from tests.support.node import sealift, sealift_node

pytestmark = pytest.mark.real


@pytest.mark.parametrize("which", ["rke2_bundle", "hello_bundle"])
def test_every_blob_damaged_in_turn_is_named_and_refused(
    which: str, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    source: Path = request.getfixturevalue(which)
    bundle = tmp_path / source.name
    shutil.copytree(source, bundle)
    document = index.decode((bundle / index.INDEX_NAME).read_bytes())
    tried = 0
    for archive in document.archives:
        for blob in archive.blobs:
            offset = blob.offset + blob.size // 2
            flip(bundle / archive.path, offset)
            done = sealift("verify", bundle, "--insecure-no-signature", check=False)
            assert done.returncode == 1 and blob.digest.hex in done.stderr, f"{blob.digest}: {done.stderr}"
            flip(bundle / archive.path, offset)
            tried += 1
    assert tried == sum(len(archive.blobs) for archive in document.archives) > 4
    assert sealift("verify", bundle, "--insecure-no-signature").returncode == 0


def test_a_damaged_bundle_is_not_staged(hello_bundle: Path, tmp_path: Path) -> None:
    bundle = tmp_path / hello_bundle.name
    shutil.copytree(hello_bundle, bundle)
    document = index.decode((bundle / index.INDEX_NAME).read_bytes())
    blob = document.archives[0].blobs[-1]
    flip(bundle / document.archives[0].path, blob.offset + blob.size // 3)
    data = tmp_path / "data"
    done = sealift_node("stage", bundle, "--data-dir", data, "--insecure-no-signature", check=False)
    assert done.returncode == 1 and blob.digest.hex in done.stderr
    assert not [path for path in data.rglob("*") if path.is_file() and path.suffix in (".tar", ".json")]
