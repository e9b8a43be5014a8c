import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from bundles.platform import from_machine
from runtime import cli
from runtime.exclusive import exclusive
from runtime.layout import NodeLayout
from tests.support.releases import release


def test_without_a_trust_flag_the_answer_is_3_before_the_bundle_is_looked_at(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    missing, data = str(tmp_path / "no-such-bundle"), str(tmp_path / "data")
    assert cli.run(["stage", missing, "--data-dir", data]) == 3
    assert cli.run(["verify", missing]) == 3
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.count("error: nothing says whom to trust") == 2
    assert not Path(data).exists()


def test_two_trust_flags_are_wrong_usage(tmp_path: Path) -> None:
    flags = ["--key", "a.pub", "--insecure-no-signature"]
    assert cli.run(["stage", str(tmp_path), "--data-dir", str(tmp_path / "d"), *flags]) == 2
    assert cli.run(["verify", str(tmp_path), *flags]) == 2


@pytest.mark.parametrize(
    "arguments", [["stage"], ["unpack"], ["extract", "--no-such"], ["stage", "x", "--progress", "?"]]
)
def test_wrong_usage_is_2_and_told_on_stderr(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.run(arguments) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert "Usage" in captured.err


def test_errors_say_what_to_do_and_show_no_traceback_without_debug(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "mine").write_text("mine")
    assert cli.run(["extract", "--data-dir", str(tmp_path)]) == 1
    told = capsys.readouterr().err
    assert told.startswith(f"error: {tmp_path}/bin: a real folder")
    assert "Traceback" not in told
    assert (tmp_path / "bin" / "mine").exists()
    assert cli.run(["extract", "--data-dir", str(tmp_path), "--debug"]) == 1
    assert "Traceback" in capsys.readouterr().err


def test_with_json_the_error_is_a_document_on_stdout(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.run(["stage", "x", "--json", "--data-dir", str(tmp_path)]) == 3
    document = json.loads(capsys.readouterr().out)
    assert document["exit_code"] == 3
    assert document["error"]["message"] == "nothing says whom to trust"


def test_no_image_at_all_is_1_and_names_the_folder(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.run(["extract", "--data-dir", str(tmp_path)]) == 1
    assert str(tmp_path / "agent/images") in capsys.readouterr().err


def test_an_interrupt_while_waiting_is_130(tmp_path: Path) -> None:
    script = "from runtime.cli import main; main()"
    command = [sys.executable, "-c", script, "extract", "--data-dir", str(tmp_path)]
    with (
        exclusive(NodeLayout.at(tmp_path), print),
        subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process,
    ):
        assert process.stderr is not None
        assert "waiting: another sealift-node" in process.stderr.readline()
        process.send_signal(signal.SIGINT)
        rest = process.stderr.read()
    assert process.returncode == 130
    assert "interrupted" in rest
    assert "Traceback" not in rest


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    machine = os.uname()
    return release(tmp_path / "usb", platform=from_machine(machine.sysname, machine.machine))


def test_results_are_the_last_lines_of_stdout_and_talk_is_elsewhere(
    tmp_path: Path, bundle: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = tmp_path / "data"
    flags = ["--insecure-no-signature", "--progress", "none"]
    assert cli.run(["verify", str(bundle), *flags]) == 0
    assert capsys.readouterr().out.startswith("ok: ")
    assert cli.run(["stage", str(bundle), "--data-dir", str(data), *flags]) == 0
    captured = capsys.readouterr()
    assert captured.out == f"{data}/sealift/bundles/{bundle.name}\n"
    assert "warning: no signature was asked for" in captured.err
    assert cli.run(["extract", "--data-dir", str(data)]) == 0
    captured = capsys.readouterr()
    assert captured.out == f"{(data / 'bin').readlink().parent}\n"
    assert "wrote server/manifests/small.yaml" in captured.err


def test_json_results_say_what_changed(tmp_path: Path, bundle: Path, capsys: pytest.CaptureFixture[str]) -> None:
    where = ["--data-dir", str(tmp_path / "data"), "--json"]
    assert cli.run(["stage", str(bundle), "--insecure-no-signature", *where]) == 0
    assert cli.run(["extract", "--agent", *where]) == 0
    staged, extracted = map(json.loads, capsys.readouterr().out.splitlines())
    assert (staged["bundle"], staged["copied"], staged["before"]) == (bundle.name, True, None)
    assert (extracted["unpacked"], extracted["files"], extracted["manifests"]) == (True, 3, [])


def test_one_archive_is_verified_without_a_trust_flag(bundle: Path, capsys: pytest.CaptureFixture[str]) -> None:
    archive = next((bundle / "images").glob("rke2-runtime.*.tar"))
    assert cli.run(["verify", str(archive)]) == 0
    assert "ok: docker.io/rancher/rke2-runtime:" in capsys.readouterr().out


def test_relative_data_directories_make_absolute_links(
    tmp_path: Path, bundle: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert cli.run(["stage", str(bundle), "--data-dir", "data", "--insecure-no-signature"]) == 0
    assert cli.run(["extract", "--data-dir", "data"]) == 0
    assert (tmp_path / "data/bin").readlink().is_absolute()
    assert (tmp_path / "data/bin/kubelet").is_file()


def test_help_and_version_load_nothing_heavy() -> None:
    script = (
        "import sys; from runtime.cli import run; code = run(['--help']);"
        "heavy = {'msgspec', 'yaml', 'aiohttp', 'cryptography', 'urllib3', 'backports', 'asyncio'} & set(sys.modules);"
        "sys.exit(code or (str(sorted(heavy)) if heavy else 0))"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
    assert "stage" in done.stdout
