"""Files out of published images: what a node would see there, pinned by the manifest, or a clear refusal."""

import gzip
import json
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from bundles import oci
from bundles.digest import Digest
from bundles.errors import FormatError, MissingError, SealiftError
from bundles.platform import Platform
from tests.support.fakeregistry import FakeRegistry, fake_registry
from tests.support.publishing import build_recipe, lock_recipe, runtime_files, taken_recipe
from tests.support.releases import program
from tests.support.tars import Image, folder, hardlink, header, image, member, symlink, tar

BOTH = "    - etcd/etcd: /bin\n    - etcd/conf: /share\n"
NAME = "rancher/hardened-etcd"
NEW, OLD = program(b"etcd"), program(b"old etcd")
ARM64 = Platform.parse("linux/arm64")
LOWER = tar(
    folder("usr"), folder("usr/bin"), member("usr/bin/etcd", OLD, mode=0o755), member("usr/bin/gone", OLD, mode=0o755),
    member("etcd.conf", b"a = 1\n"), header("dev", typeflag=b"3"), symlink("sbin", "usr/bin"),
)  # fmt: skip
UPPER = tar(member("usr/bin/etcd", NEW, mode=0o755), member("usr/bin/.wh.gone"))


@pytest.fixture
def registry() -> Iterator[FakeRegistry]:
    with fake_registry() as made:
        yield made


def push(registry: FakeRegistry, made: Image, tag: str = "v1", *, index: bool = False) -> Digest:
    """The image under a tag; with `index`, as one platform of two."""
    for data in (made.config_bytes, *made.layers):
        registry.add(NAME, data)
    digest = registry.add_manifest(NAME, tag, json.loads(made.manifest_bytes))
    if index:
        other = image(tar(member("x", b"x")), arch="arm64")
        listed = [
            {"mediaType": oci.MANIFEST, "digest": str(Digest.of(data)), "size": len(data),
             "platform": {"os": "linux", "architecture": arch}}
            for arch, data in (("arm64", other.manifest_bytes), ("amd64", registry.manifests[NAME, str(digest)][1]))
        ]  # fmt: skip
        registry.add_manifest(NAME, tag, {"schemaVersion": 2, "mediaType": oci.INDEX, "manifests": listed})
    return digest


def recipe_with(registry: FakeRegistry, folder_: Path, files: str, layers: str = "    - etcd: /bin\n") -> Path:
    entry = f"etcd:\n  image: {registry.host}/{NAME}:v1\n  files: {files}\n"
    return taken_recipe(folder_, entry, layers)


def files_of(registry: FakeRegistry, tmp_path: Path, files: str) -> Mapping[str, tuple[bytes, int]]:
    recipe = recipe_with(registry, tmp_path / "recipe", files)
    lock_recipe(recipe, tmp_path / "store")
    built = build_recipe(recipe, tmp_path / "out", tmp_path / "store")
    return runtime_files(built.folder, tmp_path / "x")


@pytest.mark.parametrize("index", [False, True])
@pytest.mark.parametrize("compress", ["", "gzip"])
def test_files_are_those_of_the_upper_layers(
    registry: FakeRegistry, tmp_path: Path, index: bool, compress: str
) -> None:
    digest = push(registry, image(LOWER, UPPER, compress=compress), index=index)
    recipe = recipe_with(registry, tmp_path / "recipe", "{etcd: /usr/bin/etcd, conf: etcd.conf}", BOTH)
    lock = lock_recipe(recipe, tmp_path / "store")
    (locked,) = lock.inputs
    assert locked.source == f"image:{registry.host}/{NAME}:v1#linux/amd64"
    assert [file.name for file in locked.files] == ["manifest", "config", "layer-1", "layer-2"]
    assert locked.files[0].digest == digest, "the platform's manifest, also where the tag names an index"
    assert lock_recipe(recipe, tmp_path / "store") == lock
    first = build_recipe(recipe, tmp_path / "out", tmp_path / "store")
    assert runtime_files(first.folder, tmp_path / "x") == {
        "/bin/etcd": (NEW, 0o755),
        "/share/conf": (b"a = 1\n", 0o644),
    }
    second = build_recipe(recipe, tmp_path / "out2", tmp_path / "store2", jobs=1)
    assert first.index == second.index
    asked = len(registry.seen)
    build_recipe(recipe, tmp_path / "out3", tmp_path / "store2", offline=True)
    assert len(registry.seen) == asked
    provenance = json.loads((first.folder / "provenance.json").read_bytes())
    found = provenance["predicate"]["buildDefinition"]["resolvedDependencies"]
    said = next(each for each in found if each["name"] == locked.source)
    assert said["digest"] == {"sha256": digest.hex} and said["uri"].startswith("pkg:oci/hardened-etcd@sha256")


def test_a_tag_that_moved_changes_nothing_that_is_locked(registry: FakeRegistry, tmp_path: Path) -> None:
    push(registry, image(LOWER, UPPER))
    recipe = recipe_with(registry, tmp_path / "recipe", "[/usr/bin/etcd]")
    lock = lock_recipe(recipe, tmp_path / "store")
    push(registry, image(LOWER))
    built = build_recipe(recipe, tmp_path / "out", tmp_path / "store2")
    assert runtime_files(built.folder, tmp_path / "x")["/bin/etcd"][0] == NEW
    assert lock_recipe(recipe, tmp_path / "store", refresh=True) != lock, "lock --check shows the drift"


@pytest.mark.parametrize(
    ("layers", "path", "words"),
    [
        ((LOWER, UPPER), "/usr/bin/gone", "not in the image"),
        ((LOWER, UPPER), "/usr/bin/none", "not in the image"),
        ((LOWER, UPPER), "/usr/bin", "a folder, not a file"),
        ((LOWER, UPPER), "/sbin/etcd", "leads through a link"),
        ((LOWER, tar(symlink("usr/bin/etcd", "/etc/passwd"))), "/usr/bin/etcd", "a symlink, not a file"),
        ((LOWER, tar(hardlink("usr/bin/etcd", "etcd.conf"))), "/usr/bin/etcd", "a hardlink, not a file"),
        ((LOWER, tar(header("usr/bin/etcd", typeflag=b"3"))), "/usr/bin/etcd", "a special, not a file"),
        ((LOWER, tar(member(".wh.usr"))), "/usr/bin/etcd", "not in the image"),
        ((LOWER, tar(member("usr/.wh..wh..opq"))), "/usr/bin/etcd", "not in the image"),
        ((LOWER, tar(member(".wh..wh..opq"))), "/usr/bin/etcd", "not in the image"),
        ((LOWER, tar(member("usr", b"a file"))), "/usr/bin/etcd", "leads through a link"),
        ((LOWER, tar(symlink("usr/bin", "../x"))), "/usr/bin/etcd", "leads through a link"),
        ((LOWER, tar(symlink("usr/bin", "x"), member("usr/bin/etcd", NEW))), "/usr/bin/etcd", "below what is no f"),
        ((LOWER, tar(member("../etcd", NEW))), "/usr/bin/etcd", "climbs"),
        ((LOWER, UPPER + b"x"), "/usr/bin/etcd", "truncated|after the end"),
        ((LOWER, tar(member("a", b"1"), member("a", b"2"))), "/usr/bin/etcd", "one name twice"),
        ((tar(member("usr/bin/etcd", program(platform=ARM64))),), "/usr/bin/etcd", "ELF machine 183"),
    ],
)  # fmt: skip
def test_what_is_no_plain_file_of_the_image_is_refused(
    registry: FakeRegistry, tmp_path: Path, layers: tuple[bytes, ...], path: str, words: str
) -> None:
    push(registry, image(*layers))
    with pytest.raises(SealiftError, match=words):
        files_of(registry, tmp_path, f"{{etcd: {path}}}")


def test_a_whiteout_hides_nothing_of_its_own_layer(registry: FakeRegistry, tmp_path: Path) -> None:
    push(registry, image(LOWER, tar(member("usr/bin/etcd", NEW, mode=0o755), member("usr/.wh..wh..opq"))))
    assert files_of(registry, tmp_path, "[/usr/bin/etcd]")["/bin/etcd"][0] == NEW


def test_a_folder_that_comes_back_after_a_link_is_a_folder(registry: FakeRegistry, tmp_path: Path) -> None:
    back = tar(folder("usr/bin"), member("usr/bin/etcd", NEW, mode=0o755))
    push(registry, image(LOWER, tar(symlink("usr/bin", "../x")), back))
    assert files_of(registry, tmp_path, "[/usr/bin/etcd]")["/bin/etcd"][0] == NEW


def test_an_image_for_another_machine_is_refused_when_it_is_locked(registry: FakeRegistry, tmp_path: Path) -> None:
    push(registry, image(LOWER, arch="arm64"))
    with pytest.raises(FormatError, match="another platform"):
        lock_recipe(recipe_with(registry, tmp_path / "recipe", "[/usr/bin/etcd]"), tmp_path / "store")


def test_a_layer_that_lies_about_its_content_is_refused(registry: FakeRegistry, tmp_path: Path) -> None:
    made = image(LOWER, UPPER)
    made.layers = (LOWER, gzip.compress(LOWER, mtime=0))
    push(registry, made)
    with pytest.raises(FormatError, match="wrong diff id"):
        files_of(registry, tmp_path, "[/usr/bin/etcd]")


def test_an_edited_lock_of_other_layers_is_refused(registry: FakeRegistry, tmp_path: Path) -> None:
    push(registry, image(LOWER, UPPER))
    recipe = recipe_with(registry, tmp_path / "recipe", "[/usr/bin/etcd]")
    lock = lock_recipe(recipe, tmp_path / "store")
    text = (recipe / "lock.yaml").read_text()
    layer = next(line for line in text.splitlines() if "layer-2" in line)
    (recipe / "lock.yaml").write_text(text.replace(f"{layer}\n", ""))
    assert len(lock.inputs[0].files) == 4
    with pytest.raises(FormatError, match="other blobs than the manifest"):
        build_recipe(recipe, tmp_path / "out", tmp_path / "store")


def test_offline_an_image_that_was_not_fetched_is_missing(registry: FakeRegistry, tmp_path: Path) -> None:
    push(registry, image(LOWER, UPPER))
    recipe = recipe_with(registry, tmp_path / "recipe", "[/usr/bin/etcd]")
    lock_recipe(recipe, tmp_path / "store")
    with pytest.raises(MissingError, match="offline"):
        build_recipe(recipe, tmp_path / "out", tmp_path / "store2", offline=True)
