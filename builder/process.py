"""The process door of the builder: the one place where programs are started.

A program gets an argument list (never a shell line of ours), an environment built from scratch, an empty standard
input, umask 022 and a process group of its own. Its group ends with it: nothing it left behind goes on writing.
"""

import contextlib
import os
import select
import shlex
import signal
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Final

from builder.errors import StepError
from bundles.errors import MissingError, SealiftError
from bundles.files import os_errors
from bundles.masking import masked

_UMASK: Final = 0o022
_GRACE: Final = 5.0  # seconds between SIGTERM and SIGKILL
_TAIL_LINES: Final = 20
_WRAPPERS: Final = ("unshare", "setpriv")
_ENTER: Final = str(Path(__file__).with_name("buildroot") / "enter.py")
_TAIL_BYTES: Final = 8192
MAX_OUTPUT: Final = 256 << 20  # bytes of standard output kept; `go list -deps -json` of Kubernetes is below 20 MiB


class Cancelled(SealiftError):
    """The work was called off before or while a program ran; nothing is wrong with the program."""


class Cancel:
    """A switch that ends every program started with it, now and later. Safe to use from any thread."""

    def __init__(self) -> None:
        """Starts switched off."""
        self._lock = threading.Lock()
        self._groups: set[int] = set()
        self._on = False

    @contextlib.contextmanager
    def on_failure(self) -> Iterator[None]:
        """Calls everything off when what is inside fails or is interrupted."""
        try:
            yield
        except BaseException:
            self.cancel()
            raise

    @property
    def cancelled(self) -> bool:
        """Whether `cancel` was called."""
        return self._on

    def cancel(self) -> None:
        """Ends the process groups that run under this switch; `run` then raises Cancelled."""
        with self._lock:
            self._on = True
            for group in self._groups:
                _signal_group(group, signal.SIGTERM)

    def check(self) -> None:
        """Raises Cancelled once the switch is on; for loops between programs."""
        if self._on:
            raise Cancelled("cancelled")

    @contextlib.contextmanager
    def watching(self, group: int) -> Iterator[None]:
        """Registers a process group for the time of the block."""
        with self._lock:
            self._groups.add(group)
            if self._on:
                _signal_group(group, signal.SIGTERM)
        try:
            yield
        finally:
            with self._lock:
                self._groups.discard(group)


@dataclass(frozen=True, kw_only=True, slots=True)
class Completed:
    """What a program that ended well left: its standard output and the seconds it took.

    With `check=False` also its exit code, and the last lines of its error output.
    """

    stdout: bytes
    seconds: float
    code: int = 0
    tail: str = ""


def run(
    argv: Sequence[str],
    *,
    cwd: Path,
    env: Mapping[str, str],
    what: str = "",
    stdin: bytes | None = None,
    log: Path | None = None,
    capture: bool = True,
    check: bool = True,
    timeout: float | None = None,
    cancel: Cancel | None = None,
) -> Completed:
    """Runs one program to its end.

    Args:
        argv: program and arguments; the program is looked for on `env`'s PATH.
        cwd: the folder it runs in.
        env: its whole environment.
        what: names the work in errors ("component runc").
        stdin: its standard input; nothing when None.
        log: file to which the command, then its error output, are appended.
        capture: False sends standard output to the log too.
        check: False accepts any exit code, not signals.
        timeout: seconds.
        cancel: switch that ends it.

    Returns:
        Its standard output (empty without `capture`) and the seconds it took.

    Raises:
        StepError: it failed, was killed or took too long; holds a copy-pastable command and the last lines it wrote.
        MissingError: there is no such program.
        Cancelled: the switch was on.
    """
    words = [os.fspath(word) for word in argv]
    if cancel is not None:
        cancel.check()
    with contextlib.ExitStack() as stack:
        errors: IO[bytes] = stack.enter_context(_open_log(log))
        with os_errors(log or "temporary file"):
            if log is not None:
                errors.write(f"$ {full_command(words, cwd, env)}\n".encode())
            errors.flush()
            start_of_output = errors.tell()
        output: IO[bytes] = stack.enter_context(_temporary_file()) if capture else errors
        source = stack.enter_context(_input(stdin))
        started = time.monotonic()
        process = _start(words, cwd, env, source, output, errors, what)
        late = _wait(process, timeout, cancel)
        seconds = time.monotonic() - started
        if cancel is not None:
            cancel.check()
        if late or process.returncode < 0 or (check and process.returncode != 0):
            text = _tail(errors, start_of_output) or (_tail(output, 0) if capture else "")
            raise _failure(words, cwd, what, process.returncode, timeout if late else None, text, log)
        return Completed(
            stdout=_read_all(output, what) if capture else b"",
            seconds=seconds,
            code=process.returncode,
            tail="" if check else _tail(errors, start_of_output),
        )


def short_command(argv: Sequence[str], cwd: Path) -> str:
    """`cd DIR && PROGRAM ARGS`, quoted for a shell, without credentials."""
    return masked(f"cd {shlex.quote(str(cwd))} && {shlex.join(argv)}")


def full_command(argv: Sequence[str], cwd: Path, env: Mapping[str, str]) -> str:
    """The same with its whole environment: `cd DIR && env -i A=B ... PROGRAM ARGS`."""
    words = ["env", "-i", *(f"{name}={value}" for name, value in sorted(env.items())), *argv]
    return short_command(words, cwd)


@contextlib.contextmanager
def _open_log(log: Path | None) -> Iterator[IO[bytes]]:
    with os_errors(log or "temporary file"):
        file: IO[Any] = open(log, "a+b") if log is not None else _temporary_file()  # noqa: SIM115 (closed below)
    with file:
        file.seek(0, os.SEEK_END)
        yield file


def _temporary_file() -> IO[bytes]:
    """A file without a name, in $TMPDIR or where else there is room."""
    try:
        return tempfile.TemporaryFile()
    except OSError as exc:
        hint = "set TMPDIR to a folder that can be written and has some space"
        raise SealiftError(f"no temporary file can be made: {exc.strerror}", hint=hint) from exc


@contextlib.contextmanager
def _input(data: bytes | None) -> Iterator[IO[bytes] | int]:
    if data is None:
        yield subprocess.DEVNULL
        return
    with _temporary_file() as file:
        file.write(data)
        file.seek(0)
        yield file


def _start(
    words: list[str],
    cwd: Path,
    env: Mapping[str, str],
    source: IO[bytes] | int,
    output: IO[bytes],
    errors: IO[bytes],
    what: str,
) -> "subprocess.Popen[bytes]":
    # With `env`, Popen looks for the program on that PATH. process_group=0 keeps a Ctrl-C of the terminal from it:
    # it is ended by us, once, and cannot half-finish while we clean up.
    try:
        return subprocess.Popen(
            words,
            cwd=cwd,
            env=dict(env),
            stdin=source,
            stdout=output,
            stderr=errors,
            umask=_UMASK,
            process_group=0,
        )
    except FileNotFoundError as exc:
        if not cwd.is_dir():
            raise MissingError("no such folder", where=cwd) from exc
        raise MissingError(
            f"program not found: {words[0]}", where=what, hint="`sealift doctor` names the package that has it"
        ) from exc
    except OSError as exc:
        raise StepError(f"{words[0]} cannot be started: {exc.strerror}", where=what) from exc


def _wait(process: "subprocess.Popen[bytes]", timeout: float | None, cancel: Cancel | None) -> bool:
    """Waits for the end, then ends what is left of the group; True when it was ended for being late.

    The leader stays a zombie until the group was signalled: its number cannot go to another group before.
    """
    watched = cancel.watching(process.pid) if cancel is not None else contextlib.nullcontext()
    late = False
    try:
        with watched:
            late = not _ended(process.pid, timeout, cancel)
            if late:
                _signal_group(process.pid, signal.SIGTERM)
                _ended(process.pid, _GRACE, None)
    finally:
        _signal_group(process.pid, signal.SIGKILL)
        process.wait()
    return late


def _ended(pid: int, timeout: float | None, cancel: Cancel | None) -> bool:
    """Whether the process ended within `timeout` seconds (None: for ever, while nothing is cancelled)."""
    deadline = None if timeout is None else time.monotonic() + timeout
    ended = os.pidfd_open(pid)
    try:
        poll = select.poll()
        poll.register(ended, select.POLLIN)
        grace: float | None = None
        while not poll.poll(_milliseconds(deadline)):
            now = time.monotonic()
            if cancel is not None and cancel.cancelled:
                grace = now + _GRACE if grace is None else grace
            if grace is not None and now >= grace:
                return True  # it ignores SIGTERM; the caller's SIGKILL follows
            if deadline is not None and now >= deadline:
                return False
        return True
    finally:
        os.close(ended)


def _milliseconds(deadline: float | None) -> int:
    # At most half a second: a cancelled program that ignores SIGTERM must be noticed.
    left = 0.5 if deadline is None else min(0.5, max(0.0, deadline - time.monotonic()))
    return int(left * 1000) + 1


def _signal_group(group: int, number: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(group, number)


def _tail(file: IO[bytes], start: int) -> str:
    """The last lines written after `start`."""
    end = file.seek(0, os.SEEK_END)
    file.seek(max(start, end - _TAIL_BYTES))
    lines = file.read().decode("utf-8", "replace").splitlines()
    return masked("\n".join(lines[-_TAIL_LINES:]))


def _read_all(file: IO[bytes], what: str) -> bytes:
    size = file.seek(0, os.SEEK_END)
    if size > MAX_OUTPUT:
        raise StepError("too much output", where=what, got=f"{size} bytes", want=f"<= {MAX_OUTPUT}")
    file.seek(0)
    return file.read()


def _program(words: Sequence[str]) -> str:
    """The program that a command is about: what the wrappers of a sandbox run, behind their `--`."""
    while (words[0] in _WRAPPERS or _ENTER in words[:4]) and "--" in words[:-1]:
        words = words[words.index("--") + 1 :]
    return words[0]


def _failure(
    words: list[str], cwd: Path, what: str, code: int, timeout: float | None, tail: str, log: Path | None
) -> StepError:
    name = Path(_program(words)).name
    if timeout is not None:
        message = f"{name} did not end within {timeout:g} s"
    elif code < 0:
        message = f"{name} was killed by {signal.Signals(-code).name}"
    else:
        message = f"{name} failed with exit code {code}"
    lines = "".join(f"\n    {line}" for line in tail.splitlines())
    hint = f"run it by hand: {short_command(words, cwd)}" + (f"\n  log: {log}" if log else "")
    return StepError(message, where=what, got=lines, hint=hint)
