"""The process door of the node: the one place of the runtime where programs are started.

Two ways. `call` runs a short program to its end and gives what it printed. `start` begins one that runs as long as the
node; its output goes to a log file, and it ends with us: a kill -9 of the daemon takes containerd and the kubelet with
it (RKE2 starts both with Pdeathsig SIGKILL), never the pods, whose shims are processes of their own.
"""

import asyncio
import contextlib
import fcntl
import os
import shlex
import shutil
import signal
import subprocess
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from bundles.errors import MissingError, SealiftError
from bundles.files import os_errors

MAX_OUTPUT: Final = 64 << 20  # bytes of one stream that are kept
_TAIL: Final = 2000  # characters of error output in an error
_GRACE: Final = 10.0  # seconds between SIGTERM and SIGKILL
_UMASK: Final = 0o022
_PIPE: Final = 1 << 20  # bytes of a pipe that feeds a program

Feed = Callable[[int], None]


@dataclass(frozen=True, kw_only=True, slots=True)
class Output:
    """How a program ended: exit code (negative: the signal), and what it printed."""

    code: int
    stdout: bytes
    stderr: bytes

    @property
    def text(self) -> str:
        """Standard output as text."""
        return self.stdout.decode("utf-8", "replace")

    @property
    def complaint(self) -> str:
        """The end of its error output, else how it ended."""
        return self.stderr.decode("utf-8", "replace").strip()[-_TAIL:] or how_it_ended(self.code)


async def call(
    argv: Sequence[str | os.PathLike[str]],
    *,
    env: Mapping[str, str],
    feed: Feed | None = None,
    timeout: float | None = 60.0,
    check: bool = True,
    what: str = "",
    heard: Callable[[str], None] | None = None,
) -> Output:
    """Runs a program to its end, in a process group of its own.

    Args:
        argv: program and arguments; the program is looked for on `env`'s PATH.
        env: its whole environment.
        feed: writes its standard input to a descriptor, in a thread; when it raises, the program is killed before its
            input ends.
        timeout: seconds; its group is killed then, and when the caller is cancelled.
        check: any exit code but 0 is an error.
        heard: gets each line of its error output as it comes.
        what: names the work in errors.

    Raises:
        MissingError: there is no such program.
        SealiftError: it failed, was killed, printed too much or took too long.
    """
    words = [os.fspath(word) for word in argv]
    process, feeding = await _begin(words, env, what, feed)
    try:
        async with asyncio.timeout(timeout):
            stdout, stderr = await _talk(process, feeding, heard)
            await process.wait()
    except TimeoutError:
        hint = f"run it by hand: {shlex.join(words)}"
        raise SealiftError(f"{Path(words[0]).name} did not end within {timeout:g} s", where=what, hint=hint) from None
    finally:
        await _kill_group(process)
    output = Output(code=process.returncode or 0, stdout=stdout, stderr=stderr)
    if check and output.code != 0:
        hint = f"run it by hand: {shlex.join(words)}"
        message = f"{Path(words[0]).name} failed: {how_it_ended(output.code)}"
        raise SealiftError(message, where=what, got=output.complaint, hint=hint)
    return output


def feed_bytes(data: bytes) -> Feed:
    """A feed of bytes in memory."""

    def feed(fd: int) -> None:
        write_all(fd, data)

    return feed


def write_all(fd: int, data: bytes | memoryview) -> None:
    """Writes everything to a pipe."""
    view = memoryview(data)
    while view:
        view = view[os.write(fd, view) :]


async def _begin(
    words: list[str], env: Mapping[str, str], what: str, feed: Feed | None
) -> tuple[asyncio.subprocess.Process, Awaitable[None] | None]:
    if feed is None:
        return await _spawn(words, env, what, subprocess.DEVNULL), None
    read_end, write_end = os.pipe2(os.O_CLOEXEC)
    try:
        with contextlib.suppress(OSError):  # a bound of the system for unprivileged users; smaller works too
            fcntl.fcntl(write_end, fcntl.F_SETPIPE_SZ, _PIPE)
        process = await _spawn(words, env, what, read_end)
    except BaseException:
        os.close(write_end)
        raise
    finally:
        os.close(read_end)
    return process, _feed(process, write_end, feed)


async def _spawn(words: list[str], env: Mapping[str, str], what: str, source: int) -> asyncio.subprocess.Process:
    pipe = subprocess.PIPE
    try:
        return await asyncio.create_subprocess_exec(
            *words, env=dict(env), stdin=source, stdout=pipe, stderr=pipe, process_group=0, umask=_UMASK
        )
    except FileNotFoundError as exc:
        raise MissingError(f"program not found: {words[0]}", where=what) from exc
    except OSError as exc:
        raise SealiftError(f"{words[0]} cannot be started: {exc.strerror}", where=what) from exc


async def _talk(
    process: asyncio.subprocess.Process, feed: Awaitable[None] | None, heard: Callable[[str], None] | None
) -> tuple[bytes, bytes]:
    assert process.stdout is not None and process.stderr is not None
    out, err, _ = await asyncio.gather(_drain(process.stdout), _drain(process.stderr, heard), feed or _nothing())
    return out, err


async def _nothing() -> None:
    return


async def _drain(stream: asyncio.StreamReader, heard: Callable[[str], None] | None = None) -> bytes:
    """All of the stream; what is above the bound is read and dropped, so that the program never waits for us."""
    kept, size, line = [], 0, b""
    while data := await stream.read(1 << 16):
        if size < MAX_OUTPUT:
            kept.append(data)
            size += len(data)
        if heard is not None:
            *lines, line = (line + data).split(b"\n")
            line = line[-_TAIL:]
            for each in lines:
                heard(each.decode("utf-8", "replace"))
    return b"".join(kept)[:MAX_OUTPUT]


async def _feed(process: asyncio.subprocess.Process, fd: int, feed: Feed) -> None:
    """Runs `feed` in a thread and closes `fd` after it; whatever goes wrong, the program is killed before that."""
    writing = asyncio.get_running_loop().run_in_executor(None, _guarded, feed, fd)
    try:
        await asyncio.shield(writing)
    except BaseException:
        # Killed before its input is closed: it must never take a cut input for a whole one. The thread then sees a
        # broken pipe; the descriptor stays open until it is out of it, or another file could get its number.
        await _kill_group(process)
        await asyncio.wait([writing])
        raise
    finally:
        os.close(fd)


def _guarded(feed: Feed, fd: int) -> None:
    with contextlib.suppress(BrokenPipeError):  # it ended early: its exit code says why
        feed(fd)


async def _kill_group(process: asyncio.subprocess.Process) -> None:
    if process.returncode is None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        await asyncio.shield(process.wait())


@dataclass(frozen=True, slots=True)
class Child:
    """A program that runs as long as the node."""

    name: str
    process: asyncio.subprocess.Process

    @property
    def pid(self) -> int:
        """Its process id."""
        return self.process.pid

    async def wait(self) -> str:
        """Waits for its end -> how it ended, in words."""
        return how_it_ended(await self.process.wait())

    async def stop(self, grace: float = _GRACE) -> None:
        """SIGTERM, then SIGKILL after `grace` seconds; only the program itself: what it left running goes on."""
        self._send(signal.SIGTERM)
        try:
            async with asyncio.timeout(grace):
                await self.process.wait()
        except TimeoutError:
            self._send(signal.SIGKILL)
            await self.process.wait()

    def _send(self, number: signal.Signals) -> None:
        """Not through asyncio: before it signals it looks whether the program ended, and so takes its exit code away
        from whoever waits for it.
        """
        if self.process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, number)


async def start(argv: Sequence[str | os.PathLike[str]], *, env: Mapping[str, str], log: Path, what: str = "") -> Child:
    """Starts a program whose output is appended to `log` (0640).

    It is the leader of its own process group, so that a Ctrl-C of the terminal does not reach it. Raises MissingError
    and SealiftError as `call`.
    """
    words = [os.fspath(word) for word in argv]
    name = Path(words[0]).name
    program = shutil.which(words[0], path=env.get("PATH", ""))
    if program is None:
        raise MissingError(f"program not found: {words[0]}", where=what)
    with os_errors(log):
        fd = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o640)
    try:
        process = await asyncio.create_subprocess_exec(
            *_ends_with_us(env),
            program,
            *words[1:],
            env=dict(env),
            stdin=subprocess.DEVNULL,
            stdout=fd,
            stderr=fd,
            process_group=0,
            umask=_UMASK,
        )
    except OSError as exc:
        raise SealiftError(f"{words[0]} cannot be started: {exc.strerror}", where=what) from exc
    finally:
        os.close(fd)
    return Child(name, process)


def _ends_with_us(env: Mapping[str, str]) -> Iterable[str]:
    """setpriv sets PR_SET_PDEATHSIG and becomes the program; without it the next start ends what was left."""
    setpriv = shutil.which("setpriv", path=env.get("PATH", ""))
    return (setpriv, "--pdeathsig", "KILL", "--") if setpriv else ()


def how_it_ended(code: int) -> str:
    """An exit code, or a negative signal number, in words."""
    if code < 0:
        with contextlib.suppress(ValueError):
            return f"killed by {signal.Signals(-code).name}"
    return f"exit code {code}"
