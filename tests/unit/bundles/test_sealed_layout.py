import json

import pytest

from bundles import oci, ustar
from bundles.digest import Digest
from bundles.errors import FormatError
from bundles.platform import Platform
from bundles.reference import Reference
from bundles.sealed.documents import make_config, make_manifest
from bundles.sealed.layout import SealedLayout, index_blobs, lay_out
from bundles.sealed.opened import SealedImage, descriptor
from tests.support.sealed import EPOCH

RUNTIME = "docker.io/rancher/rke2-runtime:v1.34.4-rke2r1-classic"
PAUSE = "rancher/hardened-pause:3.6"


def image(reference: str, *layers: tuple[str, int], note: str = "") -> SealedImage:
    """An image of layers that are only names and sizes."""
    config = make_config(
        platform=Platform.parse("linux/amd64"),
        created=EPOCH,
        layers=[(Digest.of(f"diff {name}".encode()), note) for name, _ in layers],
    )
    manifest = make_manifest(
        config, [descriptor(oci.LAYER_ZSTD, Digest.of(name.encode()), size) for name, size in layers]
    )
    return SealedImage(reference=Reference.parse(reference), manifest=manifest, config=config)


def document(layout: SealedLayout, name: str) -> object:
    (entry,) = [entry for entry in layout.entries if entry.name == name]
    assert entry.content is not None
    return json.loads(entry.content)


def hex_of(data: bytes) -> str:
    return Digest.of(data).hex


def test_entries_stand_in_the_order_of_the_format_each_digest_once() -> None:
    first = image(RUNTIME, ("a", 1000), ("shared", 600))
    second = image(PAUSE, ("shared", 600), ("b", 5))
    layout = lay_out([first, second], EPOCH)
    names = ["manifest.json", "oci-layout", "index.json"]
    blobs = [first.manifest, first.config, second.manifest, second.config, b"a", b"shared", b"b"]
    assert [entry.name for entry in layout.entries] == names + [f"blobs/sha256/{hex_of(blob)}" for blob in blobs]
    assert [entry.content for entry in layout.entries[3:7]] == blobs[:4]
    assert [entry.size for entry in layout.entries[7:]] == [1000, 600, 5]


def test_bodies_follow_each_other_without_a_gap() -> None:
    layout = lay_out([image(RUNTIME, ("a", 1000), ("b", 512), ("c", 0))], EPOCH)
    at = 0
    for entry in layout.entries:
        assert entry.offset == at + ustar.BLOCK
        at = entry.offset + entry.size + ustar.padding(entry.size)
    assert layout.size == at + 2 * ustar.BLOCK
    header = ustar.parse(layout.header(layout.entries[-1]))
    assert header == ustar.Header(name=layout.entries[-1].name, mode=0o644, size=0, mtime=EPOCH)


def test_one_image_has_the_names_that_every_reader_agrees_on() -> None:
    made = image("rancher/rke2-runtime:v1.34.4-rke2r1-classic", ("a", 9), ("b", 5))
    layout = lay_out([made], EPOCH)
    layers = [{"mediaType": oci.LAYER_ZSTD, "digest": str(Digest.of(n)), "size": s} for n, s in ((b"a", 9), (b"b", 5))]
    assert document(layout, "manifest.json") == [
        {
            "Config": f"blobs/sha256/{hex_of(made.config)}",
            "RepoTags": [RUNTIME],
            "Layers": [f"blobs/sha256/{hex_of(b'a')}", f"blobs/sha256/{hex_of(b'b')}"],
            "LayerSources": {
                str(Digest.of(b"diff a")): layers[0],
                str(Digest.of(b"diff b")): layers[1],
            },
        }
    ]
    assert document(layout, "index.json") == {
        "schemaVersion": 2,
        "mediaType": oci.INDEX,
        "manifests": [
            {
                "mediaType": oci.MANIFEST,
                "digest": str(Digest.of(made.manifest)),
                "size": len(made.manifest),
                "annotations": {
                    "io.containerd.image.name": RUNTIME,
                    "org.opencontainers.image.ref.name": "v1.34.4-rke2r1-classic",
                },
            }
        ],
    }
    assert document(layout, "oci-layout") == {"imageLayoutVersion": "1.0.0"}


def test_among_several_images_the_full_name_is_the_ref_name() -> None:
    index = document(lay_out([image(RUNTIME, ("a", 1)), image(PAUSE, ("b", 1))], EPOCH), "index.json")
    assert isinstance(index, dict)
    names = [child["annotations"]["org.opencontainers.image.ref.name"] for child in index["manifests"]]
    assert names == [RUNTIME, "docker.io/" + PAUSE]


def test_two_references_of_one_image_share_all_blobs() -> None:
    layout = lay_out([image(RUNTIME, ("a", 1)), image(PAUSE, ("a", 1))], EPOCH)
    manifest, index = document(layout, "manifest.json"), document(layout, "index.json")
    assert isinstance(manifest, list) and isinstance(index, dict)
    assert [entry["RepoTags"] for entry in manifest] == [[RUNTIME, "docker.io/" + PAUSE]]
    assert len(index["manifests"]) == 2
    assert len(layout.entries) == 3 + 3


def test_a_kept_index_is_what_index_json_points_at() -> None:
    made = image(PAUSE, ("a", 1))
    children = [
        {"mediaType": oci.DOCKER_MANIFEST, "digest": str(Digest.of(made.manifest)), "size": len(made.manifest)},
        {"mediaType": oci.DOCKER_MANIFEST, "digest": str(Digest.of(b"arm64")), "size": 7},
    ]
    index = json.dumps({"schemaVersion": 2, "mediaType": oci.DOCKER_INDEX, "manifests": children}).encode()
    kept = SealedImage(reference=made.reference, manifest=made.manifest, config=made.config, index=index)
    layout = lay_out([kept], EPOCH)
    assert [entry.content for entry in layout.entries[3:6]] == [index, made.manifest, made.config]
    target = document(layout, "index.json")
    assert isinstance(target, dict)
    assert target["manifests"][0]["digest"] == str(Digest.of(index))
    assert target["manifests"][0]["mediaType"] == oci.DOCKER_INDEX


def test_an_index_that_does_not_list_the_manifest_is_refused() -> None:
    made = image(PAUSE, ("a", 1))
    index = b'{"schemaVersion":2,"manifests":[]}'
    with pytest.raises(FormatError, match="does not list"):
        lay_out([SealedImage(reference=made.reference, manifest=made.manifest, config=made.config, index=index)], EPOCH)


@pytest.mark.parametrize(
    "lie",
    [
        {"size": 1},
        {"mediaType": oci.CONFIG},
        {"platform": {"os": "unknown", "architecture": "unknown"}},
    ],
    ids=["size", "kind", "platform of an attestation"],
)
def test_an_index_whose_manifest_other_readers_pass_over_is_refused(lie: dict[str, object]) -> None:
    made = image(PAUSE, ("a", 1))
    child = {"digest": str(Digest.of(made.manifest)), "size": len(made.manifest), "mediaType": oci.MANIFEST}
    told = {"schemaVersion": 2, "manifests": [child, child | lie]}
    index = json.dumps(told).encode()
    with pytest.raises(FormatError, match="tells the platform's manifest wrongly"):
        lay_out([SealedImage(reference=made.reference, manifest=made.manifest, config=made.config, index=index)], EPOCH)


def test_what_no_archive_can_hold_is_refused() -> None:
    made = image(PAUSE, ("a", 1))
    other = image(PAUSE, ("b", 1))
    tagless = Reference.parse(f"rancher/x@{Digest.of(b'')}")
    for images in (
        [],
        [made, other],
        [SealedImage(reference=made.reference, manifest=made.manifest, config=other.config)],
        [SealedImage(reference=tagless, manifest=made.manifest, config=made.config)],
        [image(RUNTIME, ("a", 1)), image(PAUSE, ("a", 2))],
        [image(RUNTIME, ("huge", 8 << 30))],
    ):
        with pytest.raises(FormatError):
            lay_out(images, EPOCH)


def test_the_same_images_give_the_same_layout() -> None:
    assert lay_out([image(RUNTIME, ("a", 1))], EPOCH) == lay_out([image(RUNTIME, ("a", 1))], EPOCH)


def test_the_index_lists_every_blob_with_the_frames_that_are_known() -> None:
    layout = lay_out([image(RUNTIME, ("a", 9), ("b", 5))], EPOCH)
    blobs = index_blobs(layout, {Digest.of(b"a"): [(9, 20)]}.get)
    assert [(blob.digest, blob.offset, blob.size) for blob in blobs] == [
        (entry.digest, entry.offset, entry.size) for entry in layout.entries[3:]
    ]
    assert [blob.frames for blob in blobs] == [None, None, [(9, 20)], None]


def test_configs_and_manifests_are_canonical_and_know_no_clock() -> None:
    made = image(RUNTIME, ("a", 9), note="layer runc")
    assert made.config == (
        b'{"architecture":"amd64","created":"2023-11-14T22:13:20Z",'
        b'"history":[{"created":"2023-11-14T22:13:20Z","created_by":"layer runc"}],"os":"linux",'
        b'"rootfs":{"diff_ids":["' + str(Digest.of(b"diff a")).encode() + b'"],"type":"layers"}}\n'
    )
    manifest = json.loads(made.manifest)
    assert manifest["config"] == {
        "mediaType": oci.CONFIG,
        "digest": str(Digest.of(made.config)),
        "size": len(made.config),
    }
    assert manifest["mediaType"] == oci.MANIFEST and manifest["schemaVersion"] == 2
