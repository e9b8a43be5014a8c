"""Go's module files as values."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from builder.errors import StepError
from builder.recipe.model import GoComponent
from builder.sources.environment import client_environment
from builder.sources.goclient import download_error
from builder.sources.gomod import (
    Module,
    disagreements,
    matches_prefix,
    parse_downloads,
    parse_mod,
    parse_sums,
    wrapper,
)
from builder.sources.modhash import folder_hash
from builder.sources.verified import Verified
from builder.store import Store
from bundles.errors import FormatError, MissingError, SealiftError

H1 = "h1:" + "A" * 43 + "="
APP = GoComponent(
    name="app",
    module="example.test/App",
    version="v1.2.0",
    folder=None,
    packages={"app": "cmd/app", "root": ""},
    replace={"example.test/lib/*": "v1.0.0"},
)


def mod(**more: object) -> bytes:
    plain = {"Require": [{"Path": "example.test/App", "Version": "v1.2.0"}], **more}
    return json.dumps(plain).encode()


def test_capitals_are_escaped_in_file_names() -> None:
    module = Module.parse("github.com/Azure/Go@v1.0.0-RC.1")
    assert module.escaped == "github.com/!azure/!go@v1.0.0-!r!c.1"
    assert module.escaped_zip == "github.com/!azure/!go/@v/v1.0.0-!r!c.1.zip"


@pytest.mark.parametrize("text", ["", "path", "path@", "@v1"])
def test_half_a_module_is_none(text: str) -> None:
    with pytest.raises(FormatError):
        Module.parse(text)


def test_go_sum_gives_the_content_hashes_only() -> None:
    text = f"a.test/x v1.0.0 {H1}\na.test/x v1.0.0/go.mod {H1}\nb.test/y v0.1.0/go.mod {H1}\n"
    assert parse_sums(text, "go.sum") == {Module(path="a.test/x", version="v1.0.0"): H1}


@pytest.mark.parametrize("line", ["a.test/x v1.0.0", f"a.test/x v1.0.0 {H1} more", "a.test/x v1.0.0 sha256:00"])
def test_other_lines_in_go_sum_are_refused_with_their_number(line: str) -> None:
    with pytest.raises(FormatError, match=r"go\.sum:2"):
        parse_sums(f"a.test/x v1.0.0 {H1}\n{line}\n", "go.sum")


def test_two_hashes_for_one_module_are_refused() -> None:
    with pytest.raises(FormatError, match="two hashes"):
        parse_sums(f"a.test/x v1.0.0 {H1}\na.test/x v1.0.0 {H1.replace('A', 'B')}\n", "go.sum")


def test_a_wrapper_agrees_with_the_recipe_it_was_made_from() -> None:
    files = wrapper(APP, "1.24.0", {"example.test/lib/alpha": "v1.0.0"})
    assert files["go.mod"].decode() == (
        "module sealift.build/app\n\ngo 1.24.0\n\nrequire example.test/App v1.2.0\n\n"
        "replace (\n\texample.test/lib/alpha => example.test/lib/alpha v1.0.0\n)\n"
    )
    alpha = {"Old": {"Path": "example.test/lib/alpha"}, "New": {"Path": "example.test/lib/alpha", "Version": "v1.0.0"}}
    parsed = parse_mod(mod(Replace=[alpha]), "go.mod")
    assert disagreements(APP, parsed, files["tools.go"].decode()) == []


def test_every_disagreement_with_the_recipe_is_told() -> None:
    other = {"Old": {"Path": "other.test/z"}, "New": {"Path": "other.test/z", "Version": "v2.0.0"}}
    parsed = parse_mod(mod(Replace=[other]), "go.mod")
    told = disagreements(replace(APP, version="v1.3.0"), parsed, '_ "example.test/App"\n')
    assert told == [
        "go.mod requires v1.2.0, the recipe wants example.test/App@v1.3.0",
        "tools.go does not import example.test/App/cmd/app",
        "go.mod replaces nothing that matches example.test/lib/*",
        "go.mod replaces other.test/z, the recipe does not",
    ]


@pytest.mark.parametrize("new", [{"Path": "./local"}, {"Path": "evil.test/x", "Version": "v1.0.0"}])
def test_a_replace_by_a_folder_or_another_module_is_refused(new: dict[str, str]) -> None:
    with pytest.raises(FormatError, match="something else"):
        parse_mod(mod(Replace=[{"Old": {"Path": "a.test/x"}, "New": new}]), "go.mod")


def test_downloads_are_objects_one_after_the_other() -> None:
    text = b'{"Path": "a", "Version": "v1", "Sum": "h1:x"}\n{"Path": "b", "Version": "v2", "Error": "404"}\n'
    found = parse_downloads(text)
    assert [(str(each.module), each.sum, each.error) for each in found] == [("a@v1", "h1:x", ""), ("b@v2", "", "404")]
    assert parse_downloads(b"") == []
    with pytest.raises(FormatError):
        parse_downloads(b'{"Path": ')


@pytest.mark.parametrize(
    ("patterns", "path", "matches"),
    [
        ("a.test/x", "a.test/x", True),
        ("a.test/x", "a.test/x/y", True),
        ("a.test/x", "a.test/xy", False),
        ("*.test/x, b.test", "a.test/x", True),
        ("*.test", "a.test/x/y", True),
        ("a.test/*/z", "a.test/x", False),
        ("", "a.test/x", False),
    ],
)
def test_patterns_name_modules_by_their_first_elements(patterns: str, path: str, matches: bool) -> None:
    assert matches_prefix(patterns, path) is matches


@pytest.mark.parametrize(
    ("words", "kind", "hint"),
    [
        ("Get https://x: dial tcp: lookup x: no such host", MissingError, "network"),
        ("a@v1: verifying module: checksum mismatch\nSECURITY ERROR", FormatError, "find out why"),
        ("a@v1: verifying module: a@v1: reading x/lookup/a@v1: 404 Not Found", MissingError, "sumdb: false"),
        ("a@v1: invalid version: unknown revision v1", StepError, "spelled"),
    ],
)
def test_what_go_says_becomes_what_to_do(words: str, kind: type[SealiftError], hint: str) -> None:
    error = download_error(words, "a@v1", "component a")
    assert type(error) is kind and hint in error.hint and words in error.got


def test_the_hash_of_a_folder_is_go_s_own(tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir()
    (tmp_path / "go.mod").write_text("module a.test/x\n")
    (tmp_path / "sub/b.go").write_text("package b\n")
    # The value is what `go mod download -json` prints as Sum for a zip of these two files.
    assert folder_hash(tmp_path, "a.test/x@v1.0.0") == "h1:C47HjH4imFQWRJToiH4xYCW68GFSBtkARb/8ZnFCPmM="
    (tmp_path / "link").symlink_to("go.mod")
    with pytest.raises(FormatError, match="not a regular file"):
        folder_hash(tmp_path, "a.test/x@v1.0.0")


def test_clients_see_how_to_reach_the_network_and_nothing_else() -> None:
    host = {"PATH": "/bin", "HOME": "/h", "HTTPS_PROXY": "p", "GOPROXY": "x", "SECRET": "s", "LANG": "de", "GOOS": "js"}
    assert client_environment(host, {"A": "1"}) == {
        "PATH": "/bin", "HOME": "/h", "HTTPS_PROXY": "p", "GOPROXY": "x", "LC_ALL": "C", "A": "1",
    }  # fmt: skip


def test_a_receipt_of_a_source_holds_while_its_files_look_untouched(tmp_path: Path) -> None:
    store = Store(tmp_path)
    verified, path = Verified(store), store.go_mod / "zip"
    path.write_bytes(b"one")
    assert not verified.holds("key", "want")
    verified.note("key", "want", [path])
    assert verified.holds("key", "want") and Verified(Store(tmp_path)).holds("key", "want")
    assert not verified.holds("key", "other") and not verified.holds("other", "want")
    path.write_bytes(b"two!")
    assert not verified.holds("key", "want")
    verified.note("key", "want", [path])
    path.unlink()
    assert not verified.holds("key", "want")
    for receipt in (store.sources / "verified").iterdir():
        receipt.write_bytes(b"{")
    assert not verified.holds("key", "want")


@pytest.mark.parametrize("data", [b"[]", b'"x"', b"5", b'{"Require":[5]}', b'{"Replace":[{}]}', b'{"Require":{}}'])
def test_what_is_no_go_mod_is_refused(data: bytes) -> None:
    with pytest.raises(FormatError):
        parse_mod(data, "go.mod")


@pytest.mark.parametrize("data", [b"[]", b'"x"', b'{"Path":5}', b"{} x", b"[" * 100_000])
def test_what_go_did_not_say_of_downloads_is_refused(data: bytes) -> None:
    with pytest.raises(FormatError):
        parse_downloads(data)


@pytest.mark.parametrize(
    "text", ["a.b/c v1 h1:x\x0cd.e/f v2 h1:y\n", "a@b v1 h1:x\n", "a v1@v2 h1:x\n", "\n", "a v1 h1:x\n\n"]
)
def test_a_go_sum_that_go_would_read_otherwise_is_refused(text: str) -> None:
    with pytest.raises(FormatError):
        parse_sums(text, "go.sum")
