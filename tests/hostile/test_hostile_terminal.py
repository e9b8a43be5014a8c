"""What others wrote is shown, never obeyed: no command prints a byte that steers a terminal or forges a line."""

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from builder import cli as builder_cli
from bundles import index
from bundles.errors import FormatError, Problem, ProblemsError, printable
from bundles.jsontext import encode_canonical
from bundles.talk import error_json, error_text
from runtime import cli as node_cli
from tests.support import tars
from tests.support.bundles import make_bundle
from tests.support.hostile import GOOD

STEERING = ["\x1b[2J", "\x1b]0;title\x07", "\x9b31m", "\r", "\x08", "\u202e", "\u200b", "\u2028", "\udcff", "\x00"]
Run = Callable[[list[str]], int]


@pytest.mark.parametrize("text", STEERING, ids=ascii)
def test_an_error_shows_what_it_cannot_print(text: str) -> None:
    error = FormatError(f"a{text}b", where=f"x{text}", got=f"y{text}", want=f"z{text}", hint=f"h{text}")
    assert error_text(error).count(ascii(text)[1:-1]) == 5
    assert all(char.isprintable() or char == "\n" for char in error_text(error))
    problems = ProblemsError(f"d{text}", [Problem(where=f"w{text}", message=f"m{text}", hint=f"h{text}")])
    assert all(char.isprintable() or char == "\n" for char in error_text(problems))


def test_a_line_end_in_a_value_cannot_forge_a_line() -> None:
    lines = error_text(FormatError("bad", where="a\nerror: x", got="b\n  do: rm -rf /", want="c\nd")).splitlines()
    assert lines == ["error: a\\nerror: x: bad", "  got: b", "         do: rm -rf /", "  want: c", "       d"]


def test_printable_text_stays_as_it_is() -> None:
    assert printable("rke2 é 漢字 ✓") == "rke2 é 漢字 ✓"


@pytest.mark.parametrize("text", STEERING[:-2], ids=ascii)
def test_errors_as_json_are_ascii(text: str) -> None:
    said = json.dumps(error_json(FormatError(text, got=text)))
    assert said.isascii() and json.loads(said)["error"]["got"] == text


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    """A bundle with a clean name whose chart and reasons steer a terminal."""
    folder = make_bundle(tmp_path, big=1000)
    value = json.loads((folder / "bundle.json").read_bytes())
    value["images"][1]["why"] = "\x1b[2Jwhy"
    value["charts"] = [{"name": "\u202echart\nok", "version": "\x9b31m", "sha256": "sha256:" + "0" * 64}]
    (folder / "bundle.json").write_bytes(encode_canonical(value))
    assert index.decode((folder / "bundle.json").read_bytes())
    return folder


@pytest.mark.parametrize("flags", [[], ["--json"]])
@pytest.mark.parametrize("command", ["inspect", "diff"])
def test_looking_at_a_bundle_prints_nothing_that_steers(
    bundle: Path, tmp_path: Path, command: str, flags: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    clean = make_bundle(tmp_path / "clean", big=1000)
    arguments = [command, str(bundle)] if command == "inspect" else [command, str(clean), str(bundle)]
    assert builder_cli.run([*arguments, *flags]) == 0
    assert_harmless(capsys)


@pytest.mark.parametrize("name", [b"\x1b[2J.tar", b"a\nok: all is well.tar", b"\xff.tar"])
def test_names_in_a_bundle_and_in_agent_images_steer_nothing(
    tmp_path: Path, name: bytes, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = make_bundle(tmp_path, big=1000)
    stray = Path(os.fsdecode(os.path.join(os.fsencode(folder), b"images", name)))
    stray.touch()
    data = tmp_path / "rke2"
    for run, verb in ((builder_cli.run, "verify"), (node_cli.run, "stage")):
        more = ["--data-dir", str(data)] if verb == "stage" else []
        assert run([verb, str(folder), "--insecure-no-signature", *more]) == 1
        assert run([verb, str(folder), "--insecure-no-signature", "--json", *more]) == 1
    stray.unlink()
    assert_harmless(capsys)


def test_warnings_about_neighbours_steer_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    images = tmp_path / "rke2/agent/images"
    images.mkdir(parents=True)
    name = "docker.io/rancher/rke2-runtime:v1.2.3"
    (images / "a.tar").write_bytes(tars.new_docker(tars.image(tars.tar(GOOD)), name))
    (images / "\x1b[2J.tar").write_bytes(b"no tar")
    (images / "x\nok: fine.tar").write_bytes(tars.tar(tars.member("\x1b]0;x\x07", b"")))
    shims = str(tmp_path / "shims")
    assert node_cli.run(["extract", "--data-dir", str(tmp_path / "rke2"), "--shim-dir", shims]) == 0
    assert "not read" in assert_harmless(capsys)
    shutil.rmtree(tmp_path / "rke2")


def assert_harmless(capsys: pytest.CaptureFixture[str]) -> str:
    captured = capsys.readouterr()
    text = captured.out + captured.err
    assert text
    assert all(char.isprintable() or char == "\n" for char in text), ascii(text)
    assert not [line for line in text.splitlines() if line.startswith("ok")]
    return text
