"""Images out of archives of other tools: bytes kept where they have a manifest, made the same way where not."""

import gzip
import json
import tarfile
from collections.abc import Mapping
from pathlib import Path

import pytest
from backports import zstd

from builder.recipe.read import read_recipe
from builder.why import reasons
from bundles import jsontext, oci
from bundles.digest import Digest
from bundles.errors import FormatError, MissingError, SealiftError
from bundles.index import decode
from tests.support.fileserver import file_server
from tests.support.publishing import BUNDLE, TOOL, build_recipe, lock_recipe, taken_recipe
from tests.support.tars import Image, archive, documents, image, member, new_docker, old_docker, tar

ONE, TWO = "docker.io/some/app:v1", "docker.io/some/other:v2"
LAYER = tar(member("app", b"the app" * 1000))
APP = image(LAYER, tar(member("etc/app.conf", b"a=1\n")))
SQUEEZED = image(LAYER, compress="gzip")
SQUEEZED.media = oci.LAYER_GZIP
BUNDLE_TWO = BUNDLE + "  apps: [app]\n"


def recipe_with(folder: Path, entry: str, components: str = "") -> Path:
    more = f"app:\n  {entry}\n"
    components = f"tool:\n  file: ./tool\n  executable: true\n{components}"
    taken_recipe(folder, components, "    - tool: /bin\n", bundle=BUNDLE_TWO, more=more)
    (folder / "tool").write_bytes(TOOL)
    return folder


def built(folder: Path, data: bytes, entry: str, name: str = "app.tar", store: str = "store") -> Path:
    """Builds a recipe with this archive; the bundle's folder."""
    recipe = recipe_with(folder / "recipe", entry)
    (recipe / name).write_bytes(data)
    lock_recipe(recipe, folder / store)
    return build_recipe(recipe, folder / f"out-{store}", folder / store).folder


def digest_in(bundle: Path) -> Digest:
    found = decode((bundle / "bundle.json").read_bytes(), where="bundle.json")
    return next(one.digest for one in found.images if one.reference == ONE)


def manifest_in(bundle: Path) -> oci.Manifest:
    with tarfile.open(bundle / "images/apps.linux-amd64.tar") as found:
        file = found.extractfile(f"blobs/sha256/{digest_in(bundle).hex}")
        assert file is not None
        return jsontext.decode(file.read(), oci.Manifest, where="manifest")


@pytest.mark.parametrize("made", [APP, SQUEEZED], ids=["plain", "gzip"])
def test_an_archive_with_manifests_keeps_every_byte(tmp_path: Path, made: Image) -> None:
    bundle = built(tmp_path, new_docker(made, ONE), f"archive: ./app.tar\n  image: {ONE}")
    assert digest_in(bundle) == Digest.of(made.manifest_bytes)
    assert [layer.digest for layer in manifest_in(bundle).layers] == [Digest.of(layer) for layer in made.layers]


def test_docker_saves_of_old_get_the_same_manifest_every_time(tmp_path: Path) -> None:
    data = old_docker(APP, [ONE])
    first = built(tmp_path, data, "archive: ./app.tar\n  image: some/app:v1")
    again = built(tmp_path, data, "archive: ./app.tar\n  image: some/app:v1", store="store2")
    packed = built(tmp_path / "gz", gzip.compress(data), "archive: ./app.tgz\n  image: some/app:v1", "app.tgz")
    assert digest_in(first) == digest_in(again) == digest_in(packed)
    manifest = manifest_in(first)
    assert {layer.media_type for layer in manifest.layers} == {oci.LAYER_ZSTD}
    assert manifest.config.digest == Digest.of(APP.config_bytes)


def test_one_of_several_images_is_chosen_by_its_name_and_gets_another(tmp_path: Path) -> None:
    other = image(tar(member("other", b"x")))
    files = documents(APP, [ONE]) | documents(other, [TWO])
    files["manifest.json"] = json.dumps(
        [*json.loads(documents(APP, [ONE])["manifest.json"]), *json.loads(documents(other, [TWO])["manifest.json"])]
    ).encode()
    files["index.json"] = json.dumps(
        {
            "schemaVersion": 2,
            "manifests": [
                *json.loads(documents(APP, [ONE])["index.json"])["manifests"],
                *json.loads(documents(other, [TWO])["index.json"])["manifests"],
            ],
        }
    ).encode()
    bundle = built(tmp_path, archive(files), f"archive: ./app.tar\n  image: {TWO}\n  name: some/app:v1")
    assert digest_in(bundle) == Digest.of(other.manifest_bytes)
    with pytest.raises(FormatError, match="several images: say which"):
        built(tmp_path / "x", archive(files), "archive: ./app.tar\n  name: some/app:v1")
    with pytest.raises(MissingError, match="not in the archive"):
        built(tmp_path / "y", archive(files), "archive: ./app.tar\n  image: some/none:v1\n  name: some/app:v1")


def test_the_archive_may_come_from_a_url(tmp_path: Path) -> None:
    with file_server({"/app.tar.zst": zstd.compress(new_docker(APP, ONE))}) as server:
        entry = f"{server.url('/app.tar.zst')}"
        recipe = recipe_with(tmp_path / "recipe", f"archive: saved\n  image: {ONE}", f"saved:\n  url: {entry}\n")
        lock = lock_recipe(recipe, tmp_path / "store")
        assert not lock.image_sources and [each.component for each in lock.inputs] == ["saved", "tool"]
        bundle = build_recipe(recipe, tmp_path / "out", tmp_path / "store").folder
        assert digest_in(bundle) == Digest.of(APP.manifest_bytes)
        spdx = json.loads((bundle / "sbom.spdx.json").read_bytes())
        ids = {each["SPDXID"]: each["name"] for each in spdx["packages"]}
        made = {ids.get(each["relatedSpdxElement"]): ids.get(each["spdxElementId"]) for each in spdx["relationships"]}
        assert made["app.tar.zst"] == "docker.io/some/app"
        assert reasons(read_recipe(recipe), "saved")[0] == "saved <- the archive of image app"


def test_a_changed_archive_needs_a_new_lock(tmp_path: Path) -> None:
    entry = f"archive: ./app.tar\n  image: {ONE}"
    built(tmp_path, new_docker(APP, ONE), entry)
    (tmp_path / "recipe/app.tar").write_bytes(new_docker(image(LAYER), ONE))
    with pytest.raises(SealiftError, match=r"archive:app\.tar changed"):
        build_recipe(tmp_path / "recipe", tmp_path / "out2", tmp_path / "store")


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"index.json": b"{}"}, "index.json|missing|required"),
        ({f"blobs/sha256/{Digest.of(LAYER).hex}": b"other"}, "a wrong size"),
        ({f"blobs/sha256/{Digest.of(APP.config_bytes).hex}": b"{}"}, "config|missing|required"),
        ({"../x": b"x"}, "climbs"),
    ],
)
def test_an_archive_that_lies_is_refused(tmp_path: Path, change: Mapping[str, bytes], words: str) -> None:
    data = archive(documents(APP, [ONE]) | dict(change))
    with pytest.raises(SealiftError, match=words):
        built(tmp_path, data, f"archive: ./app.tar\n  image: {ONE}")


def test_an_image_for_another_platform_is_not_in_it(tmp_path: Path) -> None:
    with pytest.raises(MissingError, match="for linux/amd64"):
        built(tmp_path, new_docker(image(LAYER, arch="arm64"), ONE), f"archive: ./app.tar\n  image: {ONE}")


@pytest.mark.parametrize(
    ("entry", "words"),
    [
        ("archive: ./none.tar\n  image: a/b:c", "no file none.tar"),
        ("archive: nobody\n  image: a/b:c", "no component nobody"),
        ("archive: ./tool", "nothing says what the image is called"),
        ("archive: ./tool\n  image: a/b", "no tag"),
        ("archive: ../tool\n  image: a/b:c", "want ./file"),
        ("engine: ./none\n  name: a/b:c", "no folder none"),
        ("engine: ./x", "name: the key is missing"),
        ("engine: ./x\n  archive: ./tool", "two kinds at once"),
    ],
)
def test_recipes_that_name_no_image_are_refused(tmp_path: Path, entry: str, words: str) -> None:
    with pytest.raises(SealiftError, match=words):
        read_recipe(recipe_with(tmp_path / "recipe", entry))
