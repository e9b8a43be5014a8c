"""An image is found in what any tool wrote, the same one every time; archives that say two things are refused."""

import bz2
import gzip
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from backports import zstd

from bundles import oci
from bundles.digest import Digest
from bundles.errors import FormatError, MissingError, SealiftError, UsageError
from bundles.foreign.find import find_image
from bundles.foreign.model import FoundImage
from bundles.jsontext import encode_canonical
from bundles.reference import Reference
from bundles.region import Region
from bundles.sealed.documents import make_config, make_manifest
from bundles.sealed.layout import lay_out
from bundles.sealed.opened import SealedImage
from tests.support import tars
from tests.support.foreign import AMD64, NAME, World
from tests.support.tars import ELF_AMD64, member, tar

LAYER = tar(member("bin/kubelet", ELF_AMD64, mode=0o755))
IMAGE = tars.image(LAYER)
OTHER = tars.image(tar(member("bin/kubelet", ELF_AMD64 + b"other")))
ARM = tars.image(LAYER, arch="arm64")


def find(world: World, reference: str | None = NAME) -> FoundImage:
    wanted = Reference.parse(reference) if reference else None
    with find_image(world.images, wanted, platform=AMD64, scratch=world.root) as found:
        return found


def layered(change: Callable[[dict[str, bytes]], Any]) -> bytes:
    """A two-view archive whose files were changed."""
    files = tars.documents(IMAGE, [NAME])
    change(files)
    return tars.archive(files)


def edit(files: dict[str, bytes], name: str, change: Callable[[Any], Any]) -> None:
    value = json.loads(files[name])
    change(value)
    files[name] = tars.dump(value)


def _rename_annotation(index: Any) -> None:
    annotations = index["manifests"][0]["annotations"]
    annotations["org.opencontainers.image.ref.name"] = annotations.pop("io.containerd.image.name")


def _crane() -> bytes:
    """crane pull: `sha256:HEX` for the config, HEX.tar.gz for layers, nothing else."""
    image = tars.image(LAYER, compress="gzip")
    layer = f"{tars.sha256(image.layers[0])}.tar.gz"
    config = f"sha256:{tars.sha256(image.config_bytes)}"
    manifest = tars.dump([{"Config": config, "RepoTags": [NAME], "Layers": [layer]}])
    return tars.archive({config: image.config_bytes, layer: image.layers[0], "manifest.json": manifest})


def _ref_name_only() -> bytes:
    def change(files: dict[str, bytes]) -> None:
        edit(files, "index.json", _rename_annotation)
        del files["manifest.json"]

    return layered(change)


def _nested(*images: tars.Image) -> bytes:
    """An index of platforms below index.json; blobs of all images but the first are left out."""
    files = tars.documents(images[0], [NAME])
    inner = tars.dump({"schemaVersion": 2, "manifests": [tars.entry(image.manifest_bytes, "x") for image in images]})
    files[f"blobs/sha256/{tars.sha256(inner)}"] = inner
    outer = {**tars.entry(inner, NAME), "mediaType": "application/vnd.oci.image.index.v1+json"}
    files["index.json"] = tars.dump({"schemaVersion": 2, "manifests": [outer]})
    return tars.archive(files)


SHAPES = {
    "docker save before 25": tars.old_docker(IMAGE, [NAME]),
    "docker save before 25, repeated layers as links": tars.old_docker(tars.image(LAYER, tar(), tar()), [NAME]),
    "docker save since 25": tars.new_docker(IMAGE, NAME),
    "docker save of gzip layers": tars.new_docker(tars.image(LAYER, compress="gzip"), NAME),
    "crane pull": _crane(),
    "OCI layout alone": tars.archive(tars.documents(IMAGE, [NAME], docker=False)),
    "OCI layout alone, name in ref.name": _ref_name_only(),
    "manifest.json over blobs, no index": tars.archive(tars.documents(IMAGE, [NAME], layout=False)),
    "sorted names": tars.archive(sorted(tars.documents(IMAGE, [NAME]).items())),
    "RepoTags without a domain": tars.new_docker(IMAGE, "rancher/rke2-runtime:v1.34.4-rke2r1"),
    "RepoTags of index.docker.io": tars.new_docker(IMAGE, "index.docker.io/rancher/rke2-runtime:v1.34.4-rke2r1"),
    "nested index, other platforms absent": _nested(IMAGE, ARM),
}
OUTER: dict[str, Callable[[bytes], bytes]] = {
    "a.tar": bytes,
    "a.TAR": bytes,
    "sub/deep/a.tar": bytes,
    "a.tar.gz": gzip.compress,
    "a.tgz": gzip.compress,
    "a.tar.zst": zstd.compress,
    "a.tzst": zstd.compress,
    "a.tar.bz2": bz2.compress,
    "a.tbz": bz2.compress,
}


@pytest.mark.parametrize("name", OUTER)
@pytest.mark.parametrize("shape", SHAPES)
def test_every_shape_in_every_compression_is_extracted(shape: str, name: str, tmp_path: Path) -> None:
    world = World(tmp_path)
    world.put(OUTER[name](SHAPES[shape]), name)
    assert [file.path for file in world.extract().files] == ["/bin/kubelet"]
    world.assert_nothing_escaped()


@pytest.mark.parametrize("spelling", [NAME, NAME.removeprefix("docker.io/"), f"index.{NAME}", None])
def test_every_spelling_of_the_name_finds_it(spelling: str | None, tmp_path: Path) -> None:
    world = World(tmp_path)
    world.put(SHAPES["docker save before 25"])
    found = find(world, spelling)
    assert found.reference.name == NAME
    assert found.identity == found.config_digest == Digest.of(IMAGE.config_bytes)


def test_identity_is_the_manifest_where_there_is_one(tmp_path: Path) -> None:
    world = World(tmp_path)
    world.put(SHAPES["docker save before 25"], "a.tar")
    path = world.put(SHAPES["docker save since 25"], "b.tar")
    found = find(world)
    assert found.identity == found.manifest_digest == Digest.of(IMAGE.manifest_bytes)
    assert found.archive == path


def test_a_digest_reference_finds_the_manifest(tmp_path: Path) -> None:
    world = World(tmp_path)
    world.put(SHAPES["docker save since 25"])
    digest = f"sha256:{tars.sha256(IMAGE.manifest_bytes)}"
    assert find(world, f"rancher/rke2-runtime@{digest}").archive.name == "runtime.tar"
    with pytest.raises(MissingError):
        find(world, f"rancher/other@{digest}")


@pytest.mark.parametrize("keep_index", [False, True])
def test_a_sealed_archive_is_read_too(keep_index: bool, tmp_path: Path) -> None:
    stored = zstd.compress(LAYER)
    config = make_config(platform=AMD64, created=0, layers=[(Digest.of(LAYER), "bin")])
    described = oci.Descriptor(media_type=oci.LAYER_ZSTD, digest=Digest.of(stored), size=len(stored))
    manifest = make_manifest(config, [described])
    target = oci.Descriptor(media_type=oci.MANIFEST, digest=Digest.of(manifest), size=len(manifest))
    index = encode_canonical(oci.Index(schema_version=2, manifests=[target])) if keep_index else None
    layout = lay_out(
        [
            SealedImage(reference=Reference.parse(name), manifest=manifest, config=config, index=index)
            for name in (NAME, NAME + "-second")
        ],
        mtime=0,
    )
    parts = []
    for item in layout.entries:
        body = stored if item.content is None else item.content
        parts.append(layout.header(item) + tars.padded(body))
    world = World(tmp_path)
    world.put(tar(*parts))
    found = find(world)
    assert found.identity == Digest.of(manifest) and found.layers[0].digest == Digest.of(stored)
    assert [file.path for file in world.extract(NAME + "-second").files] == ["/bin/kubelet"]


def test_a_small_index_that_names_a_large_one_often_is_bounded(tmp_path: Path) -> None:
    files = tars.documents(IMAGE, [NAME])
    inner = tars.dump({"schemaVersion": 2, "manifests": [], "annotations": {"x": "y" * (1 << 20)}})
    files[f"blobs/sha256/{tars.sha256(inner)}"] = inner
    outer = {**tars.entry(inner, NAME), "mediaType": "application/vnd.oci.image.index.v1+json"}
    files["index.json"] = tars.dump({"schemaVersion": 2, "manifests": [outer] * 10_000})
    world = World(tmp_path)
    world.put(tars.archive(files))
    with pytest.raises(MissingError, match="too many indexes"):
        find(world)


def test_no_byte_of_an_uncompressed_layer_is_read_to_find_an_image(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    image = tars.image(tar(member("bin/x", bytes(8 << 20))))
    world = World(tmp_path)
    world.put(tars.new_docker(image, NAME))
    total = 0
    read = Region.read

    def counted(self: Region, offset: int, count: int) -> bytes:
        nonlocal total
        total += count
        return read(self, offset, count)

    monkeypatch.setattr(Region, "read", counted)
    find(world)
    assert total < 64 << 10


def test_dot_files_linked_folders_and_other_suffixes_are_passed_over(tmp_path: Path) -> None:
    world = World(tmp_path)
    elsewhere = tmp_path / "node/staging"
    (elsewhere / "a.tar").write_bytes(SHAPES["docker save since 25"])
    (world.images / "linked").symlink_to(elsewhere)
    for name in (".hidden.tar", ".dir/a.tar", "a.tar.xz", "a.txt"):
        world.put(SHAPES["docker save since 25"], name)
    with pytest.raises(MissingError, match="no image") as caught:
        find(world)
    assert "unreadable" not in str(caught.value)


def test_unreadable_neighbours_are_warnings(tmp_path: Path) -> None:
    world = World(tmp_path)
    world.put(b"not a tar", "a.tar")
    world.put(b"\x04\x22\x4d\x18", "b.tar.lz4")
    world.put(tar(member("./manifest.json", b"[]")), "c.tar")
    world.put(SHAPES["docker save since 25"], "d.tar")
    (world.images / "e.tar").symlink_to("/nowhere")
    warnings = find(world).warnings
    assert [Path(text.split(":")[0]).name for text in warnings] == ["a.tar", "b.tar.lz4", "c.tar", "e.tar"]
    assert "lz4 -d" in warnings[1] and "./" in warnings[2]


def test_unreadable_neighbours_are_named_when_the_image_is_not_found(tmp_path: Path) -> None:
    world = World(tmp_path)
    world.put(b"not a tar", "a.tar")
    world.put(tars.new_docker(IMAGE, "docker.io/rancher/other:v1"), "b.tar")
    with pytest.raises(MissingError, match=r"(?s)unreadable.*a\.tar.*got: docker\.io/rancher/other:v1"):
        find(world)


def test_a_bare_tag_is_no_name_but_is_told(tmp_path: Path) -> None:
    def change(files: dict[str, bytes]) -> None:
        edit(files, "index.json", lambda index: index["manifests"][0].update(annotations=_bare("v1.34.4-rke2r1")))
        del files["manifest.json"]

    world = World(tmp_path)
    world.put(layered(change))
    with pytest.raises(MissingError, match=r"tagged 'v1\.34\.4-rke2r1' only"):
        find(world)


def _bare(tag: str) -> dict[str, str]:
    return {"org.opencontainers.image.ref.name": tag}


def test_two_archives_with_one_tag_for_two_images_are_refused(tmp_path: Path) -> None:
    world = World(tmp_path)
    world.put(tars.new_docker(IMAGE, NAME), "a.tar")
    world.put(tars.old_docker(OTHER, [NAME]), "b.tar")
    with pytest.raises(FormatError, match="two images are called"):
        find(world)


def test_two_archives_with_one_tag_for_two_platforms_are_refused(tmp_path: Path) -> None:
    world = World(tmp_path)
    world.put(tars.new_docker(IMAGE, NAME), "a.tar")
    world.put(tars.new_docker(ARM, NAME), "b.tar")
    with pytest.raises(FormatError, match="two images are called"):
        find(world)


def test_another_platform_is_refused(tmp_path: Path) -> None:
    world = World(tmp_path)
    world.put(tars.new_docker(ARM, NAME))
    with pytest.raises(FormatError, match="another platform"):
        find(world)


def test_several_runtime_tags_are_listed(tmp_path: Path) -> None:
    world = World(tmp_path)
    world.put(tars.new_docker(IMAGE, NAME), "a.tar")
    world.put(tars.new_docker(OTHER, "docker.io/rancher/rke2-runtime:v1.35.0-rke2r1"), "b.tar")
    with pytest.raises(UsageError, match=r"v1\.34\.4-rke2r1, .*v1\.35\.0-rke2r1"):
        find(world, None)


def _swap_layer(files: dict[str, bytes]) -> None:
    """manifest.json takes another image's layer and config, both present."""
    for data in (OTHER.config_bytes, *OTHER.layers):
        files[f"blobs/sha256/{tars.sha256(data)}"] = data
    files["manifest.json"] = tars.documents(OTHER, [NAME])["manifest.json"]


def _two_layers_in_manifest(value: Any) -> None:
    value[0]["Layers"] *= 2


def _source(value: Any) -> None:
    diff_id = f"sha256:{tars.sha256(LAYER)}"
    described = {"mediaType": "x", "digest": f"sha256:{'0' * 64}", "size": len(LAYER)}
    value[0]["LayerSources"] = {diff_id: described}


def _lie_config(files: dict[str, bytes]) -> None:
    files[f"blobs/sha256/{tars.sha256(IMAGE.config_bytes)}"] = OTHER.config_bytes


def _lie_manifest(files: dict[str, bytes]) -> None:
    data = IMAGE.manifest_bytes
    files[f"blobs/sha256/{tars.sha256(data)}"] = data.replace(b"schemaVersion", b"schemaversion")


CONTRADICTIONS: dict[str, tuple[bytes, str]] = {
    "two views, two images": (layered(_swap_layer), "disagree"),
    "two views, two names": (
        layered(lambda files: edit(files, "manifest.json", lambda value: value[0].update(RepoTags=[NAME + "x"]))),
        "disagree on names",
    ),
    "two views, an index of nothing": (
        layered(lambda files: edit(files, "index.json", lambda value: value.update(manifests=[]))),
        "disagree",
    ),
    "more layers than diff ids": (
        layered(lambda files: edit(files, "manifest.json", _two_layers_in_manifest)),
        "another number of layers",
    ),
    "LayerSources with another digest": (
        layered(lambda files: edit(files, "manifest.json", _source)),
        "LayerSources and Layers",
    ),
    "config with a wrong digest": (layered(_lie_config), "wrong digest"),
    "manifest with a wrong digest": (layered(_lie_manifest), "wrong digest"),
    "index names a blob that is not there": (
        layered(lambda files: files.pop(f"blobs/sha256/{tars.sha256(IMAGE.manifest_bytes)}")),
        "not there",
    ),
    "layer is not there": (
        layered(lambda files: files.pop(f"blobs/sha256/{tars.sha256(LAYER)}")),
        "not in the archive",
    ),
    "index with a wrong size": (
        layered(lambda files: edit(files, "index.json", lambda value: value["manifests"][0].update(size=1))),
        "wrong size",
    ),
    "malformed RepoTags": (tars.old_docker(IMAGE, [NAME, "Rancher/UPPER:v1"]), "malformed RepoTags"),
    "RepoTags without a tag": (tars.old_docker(IMAGE, ["rancher/rke2-runtime"]), "malformed RepoTags"),
    "RepoTags with a newline": (tars.old_docker(IMAGE, [NAME + "\n"]), "malformed RepoTags"),
    "RepoTags by digest": (tars.old_docker(IMAGE, [f"rancher/x@sha256:{'0' * 64}"]), "malformed RepoTags"),
    "RepoTags that are no list": (
        layered(lambda files: edit(files, "manifest.json", lambda value: value[0].update(RepoTags=NAME))),
        "unexpected JSON",
    ),
    "JSON key twice": (
        layered(
            lambda files: files.update({"manifest.json": files["manifest.json"].replace(b"{", b'{"Config":"x",', 1)})
        ),
        "duplicate JSON key",
    ),
    "JSON key in another case": (
        layered(
            lambda files: files.update({"manifest.json": files["manifest.json"].replace(b"{", b'{"config":"x",', 1)})
        ),
        "wrong case",
    ),
    "something after the JSON": (
        layered(lambda files: files.update({"manifest.json": files["manifest.json"] + b"[]"})),
        "not JSON",
    ),
    "JSON nested deeply": (layered(lambda files: files.update({"manifest.json": b"[" * 100_000})), "nested too deeply"),
    "one tag for two images in one archive": (
        layered(
            lambda files: (
                files.pop("index.json"),
                files.update(
                    {
                        **{f"blobs/sha256/{tars.sha256(data)}": data for data in (OTHER.config_bytes, *OTHER.layers)},
                        "manifest.json": tars.dump(
                            [json.loads(tars.documents(one, [NAME])["manifest.json"])[0] for one in (IMAGE, OTHER)]
                        ),
                    }
                ),
            )
        ),
        "one tag for two images",
    ),
    "member twice": (
        tars.archive([*tars.documents(IMAGE, [NAME]).items(), ("manifest.json", b"[]")]),
        "twice",
    ),
    "name with ./": (tar(member("./manifest.json", b"[]")), "ambiguous"),
    "absolute name": (tar(member("/manifest.json", b"[]")), "absolute"),
    "climbing name": (tar(member("../manifest.json", b"[]")), "climbs"),
    "hard link": (tar(member("a", b"[]"), tars.hardlink("manifest.json", "a")), "links and special"),
    "device": (tar(tars.header("manifest.json", typeflag=b"3")), "links and special"),
    "symlink that leaves the archive": (tar(tars.symlink("manifest.json", "../../etc/passwd")), "leaves the archive"),
    "absolute symlink": (tar(tars.symlink("manifest.json", "/etc/passwd")), "leaves the archive"),
    "manifest.json that is a link": (
        tar(member("a", b"[]"), tars.symlink("manifest.json", "a")),
        "must be a regular file",
    ),
    "config with an escape sequence for a platform": (
        tars.new_docker(tars.image(LAYER, arch="amd64\x1b[2J"), NAME),
        "not a platform",
    ),
    "sparse member": (tar(tars.header("x", typeflag=b"S")), "sparse"),
    "truncated": (tars.new_docker(IMAGE, NAME)[:-1024], "truncated"),
    "trailing garbage": (tars.new_docker(IMAGE, NAME) + b"x" * 512, "after the end"),
    "neither view": (tar(member("hello", b"x")), "neither manifest.json"),
    "nothing": (b"", "truncated"),
    "body beyond the file": (tars.header("manifest.json", size=1 << 40), "truncated"),
}


@pytest.mark.parametrize("suffix", [".tar", ".tar.zst"])
@pytest.mark.parametrize("attack", CONTRADICTIONS)
def test_an_archive_that_is_ambiguous_or_damaged_is_refused(attack: str, suffix: str, tmp_path: Path) -> None:
    data, words = CONTRADICTIONS[attack]
    world = World(tmp_path)
    world.put(zstd.compress(data) if suffix == ".tar.zst" else data, f"a{suffix}")
    with pytest.raises(SealiftError, match=words):
        world.extract()
    world.assert_nothing_was_written()


@pytest.mark.parametrize("name", ["a.tar.gz", "a.tar.zst", "a.tar.bz2"])
@pytest.mark.parametrize("damage", ["truncated", "garbage behind", "flipped", "empty", "of another kind"])
def test_a_damaged_outside_is_refused(name: str, damage: str, tmp_path: Path) -> None:
    data = OUTER[name](tars.new_docker(tars.image(tar(member("bin/x", ELF_AMD64))), NAME))
    middle = len(data) // 2
    broken = {
        "truncated": data[:-5],
        "garbage behind": data + b"garbage behind",
        "flipped": data[:middle] + bytes([data[middle] ^ 0x40]) + data[middle + 1 :],
        "empty": b"",
        "of another kind": b"PK\x03\x04" + bytes(100),
    }[damage]
    world = World(tmp_path)
    world.put(broken, name)
    with pytest.raises(MissingError, match="unreadable"):
        world.extract()
    world.assert_nothing_was_written()


def test_a_window_of_more_than_32_mib_is_refused(tmp_path: Path) -> None:
    options: dict[int, int] = {zstd.CompressionParameter.window_log: 27, zstd.CompressionParameter.content_size_flag: 0}
    packer = zstd.ZstdCompressor(options=options)
    data = packer.compress(tars.new_docker(IMAGE, NAME)) + packer.flush()
    world = World(tmp_path)
    world.put(data, "a.tar.zst")
    with pytest.raises(MissingError, match="window"):
        find(world)
