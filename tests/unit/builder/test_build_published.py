"""Recipes that take what somebody publishes at URLs, from lock to bundle."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from builder.errors import RecipeError
from builder.recipe.read import read_recipe
from bundles.digest import Digest
from bundles.errors import FormatError, MissingError, SealiftError
from bundles.platform import Platform
from bundles.signing.blob import write_sig
from bundles.signing.keys import generate
from tests.support.fileserver import FileServer, file_server
from tests.support.publishing import (
    MIT,
    TOOL,
    build_recipe,
    lock_recipe,
    packed,
    release_tar,
    release_zip,
    runtime_files,
    taken_recipe,
)
from tests.support.releases import program
from tests.support.tars import member, tar

LAYERS = "    - tool/tool: /bin\n    - tool/conf: /share\n"


@pytest.fixture
def server() -> Iterator[FileServer]:
    with file_server({"/v1.2.3/tool.tar.gz": packed(release_tar()), "/tool.zip": release_zip()}) as made:
        yield made


def components(server: FileServer, more: str = "") -> str:
    url = server.url("/$version/tool.tar.gz")
    return (
        f"tool:\n  url: {url}\n  version: v1.2.3\n"
        f"  files: {{tool: tool-$version/bin/tool, conf: tool-$version/etc/tool.conf}}\n{more}"
    )


def test_members_of_an_archive_become_files_of_an_image(server: FileServer, tmp_path: Path) -> None:
    more = f"zipped:\n  url: {server.url('/tool.zip')}\n  files: [win/tool]\n"
    layers = LAYERS + "    - zipped/tool: /share\n"
    recipe = taken_recipe(tmp_path / "recipe", components(server, more), layers)
    lock = lock_recipe(recipe, tmp_path / "store")
    assert [each.source for each in lock.inputs] == [
        f"url:{server.url('/v1.2.3/tool.tar.gz')}",
        f"url:{server.url('/tool.zip')}",
    ]
    first = build_recipe(recipe, tmp_path / "out", tmp_path / "store", offline=True)
    assert runtime_files(first.folder, tmp_path / "x") == {
        "/bin/tool": (TOOL, 0o755), "/share/conf": (b"a = 1\n", 0o644), "/share/tool": (TOOL, 0o755),
    }  # fmt: skip
    asked = len(server.seen)
    second = build_recipe(recipe, tmp_path / "out2", tmp_path / "store2", jobs=1)
    assert len(server.seen) == asked + 2
    assert second.index == first.index, "another store, fetched anew, one worker: the same bundle"


def test_documents_say_where_files_are_from_and_under_which_licence(server: FileServer, tmp_path: Path) -> None:
    recipe = taken_recipe(tmp_path / "recipe", components(server), LAYERS)
    lock_recipe(recipe, tmp_path / "store")
    built = build_recipe(recipe, tmp_path / "out", tmp_path / "store")
    url = server.url("/v1.2.3/tool.tar.gz")
    provenance = json.loads((built.folder / "provenance.json").read_bytes())
    found = provenance["predicate"]["buildDefinition"]["resolvedDependencies"]
    assert {"name": f"url:{url}", "uri": url} in [
        {key: each[key] for key in ("name", "uri") if key in each} for each in found
    ]
    spdx = json.loads((built.folder / "sbom.spdx.json").read_bytes())
    tar_gz = next(each for each in spdx["packages"] if each["name"] == "tool.tar.gz")
    assert tar_gz["versionInfo"] == "v1.2.3" and tar_gz["licenseDeclared"] == "MIT"
    assert "download_url=http" in tar_gz["externalRefs"][0]["referenceLocator"]


def test_a_whole_file_keeps_its_bytes_and_gets_its_name_and_mode(server: FileServer, tmp_path: Path) -> None:
    server.files["/dl"] = TOOL
    entry = f"tool:\n  url: {server.url('/dl')}?x=1\n  as: tool\n  executable: true\n"
    recipe = taken_recipe(tmp_path / "recipe", entry, "    - tool: /bin\n")
    lock_recipe(recipe, tmp_path / "store")
    built = build_recipe(recipe, tmp_path / "out", tmp_path / "store")
    assert runtime_files(built.folder, tmp_path / "x") == {"/bin/tool": (TOOL, 0o755)}


def test_sources_at_a_url_are_compiled_from_the_top_of_their_archive(server: FileServer, tmp_path: Path) -> None:
    source = tar(
        member("hello-2.0/hello.c", b"int main(void) { return 0; }\n"),
        member("hello-2.0/COPYING", MIT),
        member("hello-2.0/build.sh", b"gcc -Os -static -o hello hello.c\n", mode=0o755),
    )
    server.files["/hello-2.0.tar.gz"] = packed(source)
    entry = (
        f"hello:\n  compile: url:{server.url('/hello-$version.tar.gz')}\n  version: '2.0'\n"
        f"  sha256: {Digest.of(packed(source)).hex}\n  needs: [gcc]\n  run: [./build.sh]\n  output: [hello]\n"
    )
    recipe = taken_recipe(tmp_path / "recipe", entry, "    - hello: /bin\n")
    lock_recipe(recipe, tmp_path / "store")
    built = build_recipe(recipe, tmp_path / "out", tmp_path / "store")
    content, mode = runtime_files(built.folder, tmp_path / "x")["/bin/hello"]
    assert content.startswith(b"\x7fELF") and mode == 0o755
    spdx = json.loads((built.folder / "sbom.spdx.json").read_bytes())
    assert next(each for each in spdx["packages"] if each["name"] == "hello-2.0.tar.gz")["licenseDeclared"] == "MIT"


def test_what_changed_upstream_is_refused_until_it_is_locked_anew(server: FileServer, tmp_path: Path) -> None:
    recipe = taken_recipe(tmp_path / "recipe", components(server), LAYERS)
    first = lock_recipe(recipe, tmp_path / "store")
    server.files["/v1.2.3/tool.tar.gz"] = packed(release_tar() + bytes(512))
    with pytest.raises(SealiftError, match=r"another size|not what was locked"):
        build_recipe(recipe, tmp_path / "out", tmp_path / "store2")
    assert lock_recipe(recipe, tmp_path / "store") == first, "a lock moves only where the recipe moves"
    assert lock_recipe(recipe, tmp_path / "store", refresh=True).inputs != first.inputs, "lock --check shows the drift"


def test_a_recipe_that_says_another_sha256_than_the_lock_needs_a_new_lock(server: FileServer, tmp_path: Path) -> None:
    recipe = taken_recipe(tmp_path / "recipe", components(server), LAYERS)
    lock_recipe(recipe, tmp_path / "store")
    taken_recipe(recipe, components(server) + f"  sha256: {'a' * 64}\n", LAYERS)
    with pytest.raises(RecipeError, match="the recipe says sha256:aaaa"):
        build_recipe(recipe, tmp_path / "out", tmp_path / "store")
    with pytest.raises(FormatError, match="not the sha256 that the recipe says"):
        lock_recipe(recipe, tmp_path / "store")


def test_a_signers_key_is_part_of_what_is_locked(server: FileServer, tmp_path: Path) -> None:
    key, other = generate("ecdsa-p256"), generate("ecdsa-p256")
    server.files["/sig"] = write_sig(key.sign(server.files["/v1.2.3/tool.tar.gz"]))
    more = f"  key: ./upstream.pub\n  signature: {server.url('/sig')}\n"
    recipe = taken_recipe(tmp_path / "recipe", components(server) + more, LAYERS)
    (recipe / "upstream.pub").write_bytes(key.public.pem)
    lock = lock_recipe(recipe, tmp_path / "store")
    assert lock.inputs[0].signed == key.public.id
    build_recipe(recipe, tmp_path / "out", tmp_path / "store", offline=True)
    (recipe / "upstream.pub").write_bytes(other.public.pem)
    with pytest.raises(RecipeError, match="without a signature of this key"):
        build_recipe(recipe, tmp_path / "out", tmp_path / "store")
    with pytest.raises(SealiftError, match="does not hold"):
        lock_recipe(recipe, tmp_path / "store")


def test_a_path_that_is_not_in_the_archive_is_told_with_those_that_are(server: FileServer, tmp_path: Path) -> None:
    entry = f"tool:\n  url: {server.url('/v1.2.3/tool.tar.gz')}\n  files: [bin/tool]\n"
    recipe = taken_recipe(tmp_path / "recipe", entry, "    - tool: /bin\n")
    lock_recipe(recipe, tmp_path / "store")
    with pytest.raises(MissingError, match="not in the archive") as caught:
        build_recipe(recipe, tmp_path / "out", tmp_path / "store")
    assert "tool-v1.2.3/bin/tool" in caught.value.hint


def test_a_program_for_another_machine_is_refused(server: FileServer, tmp_path: Path) -> None:
    server.files["/dl/tool"] = program(platform=Platform.parse("linux/arm64"))
    recipe = taken_recipe(tmp_path / "recipe", f"tool:\n  url: {server.url('/dl/tool')}\n", "    - tool: /bin\n")
    lock_recipe(recipe, tmp_path / "store")
    with pytest.raises(SealiftError, match="ELF machine 183"):
        build_recipe(recipe, tmp_path / "out", tmp_path / "store")


def test_offline_and_not_fetched_says_what_is_missing(server: FileServer, tmp_path: Path) -> None:
    recipe = taken_recipe(tmp_path / "recipe", components(server), LAYERS)
    lock_recipe(recipe, tmp_path / "store")
    with pytest.raises(MissingError, match="offline") as caught:
        build_recipe(recipe, tmp_path / "out", tmp_path / "other", offline=True)
    assert "url:http" in str(caught.value)


@pytest.mark.parametrize(
    ("entry", "words"),
    [
        ("url: http://example.org/tool.tar.gz", "plain http"),
        ("url: https://user:secret@example.org/tool", "want an https"),
        ("url: https://example.org/dl/", "no file name"),
        ("url: https://example.org/tool-$version", "no version"),
        ("url: https://example.org/tool-$VERSION\n  version: v1", "only \\$version"),
        ("url: https://example.org/tool.bin\n  files: [bin/tool]", "is no archive by its name"),
        ("url: https://example.org/tool.zip\n  files: [../tool]", "want a path in the archive"),
        ("url: https://example.org/tool.zip\n  files: [a/t]\n  executable: true", "of the file itself"),
        ("url: https://example.org/tool\n  key: ./up.pub", "where the signature is"),
        ("url: https://example.org/tool\n  signature: https://example.org/sig", "nobody's key"),
        ("url: https://example.org/tool\n  sha256: abc", "64 lower-case hex digits"),
        ("url: ftp://example.org/tool", "want an https"),
        ("url: https://example.org:99999/tool", "not a URL"),
        ("compile: url:http://example.org/a.tar.gz\n  run: ['true']\n  output: [tool]", "plain http"),
    ],
)
def test_recipes_that_ask_for_what_is_not_safe_are_refused(tmp_path: Path, entry: str, words: str) -> None:
    recipe = taken_recipe(tmp_path / "recipe", f"tool:\n  {entry}\n", "    - tool: /bin\n")
    with pytest.raises(SealiftError, match=words):
        read_recipe(recipe)
