"""Layers and images from receipts."""

import hashlib
import io
import json
import random
import tarfile
from dataclasses import replace
from pathlib import Path, PurePosixPath

import pytest
from backports import zstd

from builder.errors import StepError
from builder.plan.model import Receipt, content_id
from builder.recipe.model import AssembleImage, Placement
from builder.steps import image, layer
from builder.steps.image import CONFIG, MANIFEST
from builder.store import Store
from bundles import oci
from bundles.digest import Digest
from bundles.reference import Reference
from tests.support.stepping import AMD64, EPOCH, a_recipe, run_job, stored

BIN, CHARTS = PurePosixPath("/bin"), PurePosixPath("/charts")
BIG = random.Random(1).randbytes(300_000) + bytes(20 << 20)
IMAGE = AssembleImage(
    name="rke2-runtime",
    reference=Reference.parse("rancher/rke2-runtime:v1.0.0"),
    layers=(
        (Placement(component="big", output=None, folder=BIN), Placement(component="many", output="b", folder=BIN)),
        (Placement(component="charts", output=None, folder=CHARTS),),
    ),
    user="65535:65535",
    entrypoint=("/bin/a",),
    command=("--help",),
    environment={"B": "2", "A": "1"},
    workdir="/bin",
    labels={"z": "1", "a": "2"},
)


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "store")


def receipts(store: Store) -> dict[str, Receipt]:
    return {
        "component big": stored(store, a=BIG),
        "component many": stored(store, b=b"bee", c=b"sea"),
        "chart dns": stored(store, dns_tgz=b"packed", dns_yaml=b"kind: HelmChart\n"),
    }


def build_layer(store: Store, number: int, *, jobs: int = 2, one: AssembleImage = IMAGE) -> Receipt:
    job = layer.describe(one, number, charts=("dns",), epoch=EPOCH, level=3, size=len(BIG))
    needed = {name: receipt for name, receipt in receipts(store).items() if name in job.step.needs}
    return run_job(job, a_recipe(Path("/nowhere")), store, needed=needed, jobs=jobs)


def content(store: Store, receipt: Receipt) -> bytes:
    framed = layer.framed_layer(receipt)
    pieces = []
    for part in framed.parts:
        with store.open(part.digest) as blob:
            blob.seek(part.offset)
            pieces.append(blob.read(part.size))
    data = b"".join(pieces)
    assert (Digest.of(data), len(data)) == (framed.digest, framed.size)
    unpacked = b"".join(zstd.ZstdFile(io.BytesIO(data)))
    assert (Digest.of(unpacked), len(unpacked)) == (framed.diff_id, framed.content_size)
    return unpacked


def members(tar: bytes) -> dict[str, tuple[int, str]]:
    with tarfile.open(fileobj=io.BytesIO(tar)) as archive:
        return {member.name: (member.mode, "dir" if member.isdir() else sha(archive, member)) for member in archive}


def sha(archive: tarfile.TarFile, member: tarfile.TarInfo) -> str:
    file = archive.extractfile(member)
    assert file is not None and member.mtime == EPOCH
    return hashlib.sha256(file.read()).hexdigest()


def test_a_layer_holds_what_is_placed_and_nothing_else(store: Store) -> None:
    found = members(content(store, build_layer(store, 0)))
    assert found == {
        "bin": (0o755, "dir"),
        "bin/a": (0o755, hashlib.sha256(BIG).hexdigest()),
        "bin/b": (0o755, hashlib.sha256(b"bee").hexdigest()),
    }


def test_the_charts_layer_holds_the_manifests_alone(store: Store) -> None:
    assert set(members(content(store, build_layer(store, 1)))) == {"charts", "charts/dns.yaml"}


def test_every_part_of_a_layer_is_an_output_of_its_receipt(store: Store) -> None:
    receipt = build_layer(store, 0)
    parts = {part.digest for part in layer.framed_layer(receipt).parts}
    assert {output.digest for output in receipt.outputs.values()} == parts


def test_any_number_of_jobs_gives_the_same_bytes(tmp_path: Path) -> None:
    found = [build_layer(Store(tmp_path / str(jobs)), 0, jobs=jobs) for jobs in (1, 2, 8)]
    assert found[0] == found[1] == found[2]


def test_a_layer_is_the_same_with_and_without_cached_frames(tmp_path: Path) -> None:
    store = Store(tmp_path / "one")
    cold = build_layer(store, 0)
    assert build_layer(store, 0) == cold == build_layer(Store(tmp_path / "two"), 0)


def test_two_files_at_one_path_are_refused(store: Store) -> None:
    both = (Placement(component="many", output="b", folder=BIN), Placement(component="many", output=None, folder=BIN))
    with pytest.raises(StepError, match="two components put a file at one path") as caught:
        build_layer(store, 0, one=replace(IMAGE, layers=(both,)))
    assert "/bin/b" in str(caught.value)


def test_an_image_describes_its_layers(store: Store) -> None:
    layers = [build_layer(store, 0), build_layer(store, 1)]
    job = image.describe(IMAGE, EPOCH, AMD64)
    needed = dict(zip(job.step.needs, layers, strict=True))
    documents = run_job(job, a_recipe(Path("/nowhere")), store, needed=needed).facts["documents"]
    config, manifest = json.loads(documents[CONFIG]), json.loads(documents[MANIFEST])
    framed = [layer.framed_layer(receipt) for receipt in layers]
    assert config["rootfs"]["diff_ids"] == [str(one.diff_id) for one in framed]
    assert (config["os"], config["architecture"], config["created"]) == ("linux", "amd64", "2026-02-20T00:00:00Z")
    assert config["config"] == {
        "User": "65535:65535",
        "Entrypoint": ["/bin/a"],
        "Cmd": ["--help"],
        "Env": ["A=1", "B=2"],
        "WorkingDir": "/bin",
        "Labels": {"a": "2", "z": "1"},
    }
    assert len(config["history"]) == 2
    assert [(one["mediaType"], one["digest"], one["size"]) for one in manifest["layers"]] == [
        (oci.LAYER_ZSTD, str(one.digest), one.size) for one in framed
    ]
    assert manifest["config"]["digest"] == str(Digest.of(documents[CONFIG].encode()))


def test_an_image_that_runs_nothing_has_no_config_of_a_container(store: Store) -> None:
    bare = AssembleImage(name="bare", reference=IMAGE.reference, layers=IMAGE.layers[:1])
    job = image.describe(bare, EPOCH, AMD64)
    needed = {job.step.needs[0]: build_layer(store, 0)}
    documents = run_job(job, a_recipe(Path("/nowhere")), store, needed=needed).facts["documents"]
    assert "Entrypoint" not in documents[CONFIG] and "User" not in documents[CONFIG]


def test_a_layers_content_id_follows_its_needs_its_places_and_its_compression() -> None:
    one, other = Digest.of(b"1"), Digest.of(b"2")
    job = layer.describe(IMAGE, 0, charts=(), epoch=EPOCH, level=3, size=1)
    same = layer.describe(IMAGE, 0, charts=(), epoch=EPOCH, level=3, size=99)
    needs = {"component big": one, "component many": one}
    base = content_id(job.step, needs)
    assert content_id(same.step, needs) == base
    assert content_id(job.step, {**needs, "component many": other}) != base
    for changed in (
        layer.describe(IMAGE, 0, charts=(), epoch=EPOCH, level=4, size=1),
        layer.describe(IMAGE, 0, charts=(), epoch=EPOCH + 1, level=3, size=1),
    ):
        assert content_id(changed.step, needs) != base
