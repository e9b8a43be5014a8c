"""The process door and the sandbox, with real programs."""

import os
import threading
import time
from pathlib import Path

import pytest

from builder import sandbox
from builder.errors import StepError
from builder.process import Cancel, Cancelled, full_command, run
from bundles.errors import MissingError

ENV = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin"}


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def wait_for_file(path: Path) -> str:
    while not path.exists() or not path.read_text().endswith("\n"):
        time.sleep(0.01)
    return path.read_text().strip()


def test_a_program_gets_exactly_the_environment_given(tmp_path: Path) -> None:
    done = run(["env"], cwd=tmp_path, env={**ENV, "ONE": "1"})
    assert sorted(done.stdout.decode().split()) == sorted([f"PATH={ENV['PATH']}", "ONE=1"])
    assert done.seconds >= 0


def test_standard_input_is_empty_unless_given(tmp_path: Path) -> None:
    assert run(["cat"], cwd=tmp_path, env=ENV).stdout == b""
    assert run(["cat"], cwd=tmp_path, env=ENV, stdin=b"given").stdout == b"given"


def test_files_are_made_with_umask_022_whatever_ours_is(tmp_path: Path) -> None:
    old = os.umask(0o077)
    try:
        run(["touch", "made"], cwd=tmp_path, env=ENV)
    finally:
        os.umask(old)
    assert (tmp_path / "made").stat().st_mode & 0o777 == 0o644


def test_words_are_never_read_by_a_shell(tmp_path: Path) -> None:
    assert run(["printf", "%s", "$HOME; `id`"], cwd=tmp_path, env=ENV).stdout == b"$HOME; `id`"


def test_a_failure_shows_the_command_the_code_and_the_last_lines(tmp_path: Path) -> None:
    log = tmp_path / "log"
    with pytest.raises(StepError) as caught:
        run(["sh", "-c", "echo first >&2; echo 'no such thing' >&2; exit 3"], cwd=tmp_path, env=ENV, what="it", log=log)
    text = str(caught.value)
    assert "it: sh failed with exit code 3" in text
    assert "no such thing" in text and str(log) in text
    assert f"cd {tmp_path} && sh -c 'echo first" in text
    assert log.read_text().startswith("$ cd ") and "no such thing" in log.read_text()


def test_the_log_is_appended_and_may_hold_standard_output(tmp_path: Path) -> None:
    log = tmp_path / "log"
    for word in ("one", "two"):
        assert run(["echo", word], cwd=tmp_path, env=ENV, log=log, capture=False).stdout == b""
    assert [line for line in log.read_text().splitlines() if not line.startswith("$")] == ["one", "two"]


def test_any_exit_code_can_be_accepted_but_no_signal(tmp_path: Path) -> None:
    run(["false"], cwd=tmp_path, env=ENV, check=False)
    with pytest.raises(StepError, match="killed by SIGKILL"):
        run(["sh", "-c", "kill -9 $$"], cwd=tmp_path, env=ENV, check=False)


def test_a_missing_program_or_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(MissingError, match="program not found: nosuch"):
        run(["nosuch"], cwd=tmp_path, env=ENV)
    with pytest.raises(MissingError, match="no such folder"):
        run(["true"], cwd=tmp_path / "no", env=ENV)


def test_a_late_program_is_ended_with_its_children(tmp_path: Path) -> None:
    with pytest.raises(StepError, match="did not end within"):
        run(["sh", "-c", "sleep 100 & echo $! > pid; wait"], cwd=tmp_path, env=ENV, timeout=0.5)
    assert not alive(int(wait_for_file(tmp_path / "pid")))


def test_what_a_program_leaves_running_ends_with_it(tmp_path: Path) -> None:
    run(["sh", "-c", "sleep 100 & echo $! > pid"], cwd=tmp_path, env=ENV)
    pid = int(wait_for_file(tmp_path / "pid"))
    while alive(pid):
        time.sleep(0.01)


def test_cancel_ends_running_programs_and_starts_no_more(tmp_path: Path) -> None:
    switch, caught = Cancel(), list[BaseException]()

    def work() -> None:
        try:
            run(["sh", "-c", "echo $$ > pid; sleep 100"], cwd=tmp_path, env=ENV, cancel=switch)
        except Cancelled as exc:
            caught.append(exc)

    thread = threading.Thread(target=work)
    thread.start()
    pid = int(wait_for_file(tmp_path / "pid"))
    switch.cancel()
    thread.join()
    assert len(caught) == 1 and not alive(pid)
    with pytest.raises(Cancelled):
        run(["touch", "never"], cwd=tmp_path, env=ENV, cancel=switch)
    assert not (tmp_path / "never").exists()


def test_credentials_in_addresses_are_never_shown() -> None:
    text = full_command(["get", "https://me:secret@host/x"], Path("/"), {"PROXY": "http://u:p@proxy"})
    assert text == "cd / && env -i PROXY=http://***@proxy get https://***@host/x"


def test_inside_the_sandbox_there_is_no_way_out(tmp_path: Path) -> None:
    box = sandbox.detect(ENV)
    if not box.isolated:
        pytest.skip("this machine allows no network namespace")
    routes = run(box.wrap(["cat", "/proc/net/route"]), cwd=tmp_path, env=ENV).stdout
    assert len(routes.splitlines()) <= 1
    assert box.require() is box


def test_without_a_sandbox_commands_are_unchanged_unless_one_is_required() -> None:
    assert sandbox.NONE.wrap(["make"]) == ["make"]
    with pytest.raises(MissingError, match="--require-sandbox"):
        sandbox.NONE.require()


def test_a_machine_without_unshare_has_no_sandbox(tmp_path: Path) -> None:
    assert sandbox.detect({"PATH": str(tmp_path)}) == sandbox.NONE
