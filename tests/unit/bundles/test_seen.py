"""What was read before is not decompressed again, and nothing is taken on trust for it that a digest does not say."""

import dataclasses
from pathlib import Path

import msgspec
import pytest

from bundles.digest import Digest
from bundles.errors import FormatError
from bundles.index import BundleIndex
from bundles.sealed import verify
from bundles.sealed.report import LayerReport
from bundles.seen import Seen
from bundles.trust import require
from bundles.verify import verify_bundle
from tests.support.bundles import CORE, RUNTIME, forge, index_of, make_bundle
from tests.support.damage import flip

INSECURE = require(insecure=True)


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    return make_bundle(tmp_path)


def layers_of(bundle: Path) -> dict[Digest, LayerReport]:
    report = verify_bundle(bundle, INSECURE)
    images = [image for archive in report.archives for image in archive.images]
    return {layer.digest: layer for image in images for layer in image.layers}


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The archives whose layers are decompressed from now on."""
    found: list[str] = []
    whole = verify._check_content

    def counted(job: verify._Job, *rest: object) -> object:
        found.append(job.where.partition(": ")[0].rpartition("/")[2])
        return whole(job, *rest)  # type: ignore[arg-type]

    monkeypatch.setattr(verify, "_check_content", counted)
    return found


def test_a_layer_read_before_is_hashed_and_reported_the_same(bundle: Path, opened: list[str]) -> None:
    whole = verify_bundle(bundle, INSECURE)
    seen = Seen(layers=layers_of(bundle))
    opened.clear()
    assert verify_bundle(bundle, INSECURE, seen=seen).archives == whole.archives
    assert RUNTIME.rpartition("/")[2] in opened and CORE.rpartition("/")[2] not in opened  # programs are looked at


@pytest.mark.parametrize("path", [RUNTIME, CORE])
def test_a_damaged_layer_is_refused_although_it_was_read_before(bundle: Path, path: str) -> None:
    seen = Seen(layers=layers_of(bundle))
    blobs = next(archive.blobs for archive in index_of(bundle).archives if archive.path == path)
    flip(bundle / path, blobs[-1].offset + blobs[-1].size // 2)
    with pytest.raises(FormatError, match="damaged blob"):
        verify_bundle(bundle, INSECURE, seen=seen)


def test_a_note_of_another_content_makes_the_layer_be_read(bundle: Path, opened: list[str]) -> None:
    lies = {
        digest: dataclasses.replace(layer, diff_id=Digest.of(b"another")) for digest, layer in layers_of(bundle).items()
    }
    opened.clear()
    verify_bundle(bundle, INSECURE, seen=Seen(layers=lies))
    assert CORE.rpartition("/")[2] in opened


def test_an_index_with_other_frames_is_refused_although_the_layer_was_read_before(bundle: Path) -> None:
    seen = Seen(layers=layers_of(bundle))

    def other_frames(document: BundleIndex) -> BundleIndex:
        archives = []
        for archive in document.archives:
            blobs = [
                msgspec.structs.replace(blob, frames=[(size, content - 1) for size, content in blob.frames])
                if blob.frames
                else blob
                for blob in archive.blobs
            ]
            archives.append(msgspec.structs.replace(archive, blobs=blobs))
        return msgspec.structs.replace(document, archives=archives)

    forge(bundle, other_frames)
    with pytest.raises(FormatError, match="other frames"):
        verify_bundle(bundle, INSECURE, seen=seen)


def test_an_archive_that_nobody_touched_still_has_its_place_and_size(bundle: Path) -> None:
    seen = Seen(archives=[CORE])
    assert len(verify_bundle(bundle, INSECURE, seen=seen).archives) == 1
    with (bundle / CORE).open("ab") as file:
        file.write(bytes(512))
    with pytest.raises(FormatError, match="another size"):
        verify_bundle(bundle, INSECURE, seen=seen)


def test_a_node_reads_everything() -> None:
    root = Path(__file__).resolve().parents[3]
    for path in [*root.glob("runtime/**/*.py"), *root.glob("builder/commands/*.py")]:
        assert "seen=" not in path.read_text(), path
