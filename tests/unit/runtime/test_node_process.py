import asyncio
import os
import signal
import sys
from pathlib import Path

import pytest

from bundles.errors import MissingError, SealiftError
from runtime import process
from tests.support.programs import SYSTEM_PATH

ENV = {"PATH": SYSTEM_PATH}


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


async def gone(pid: int) -> None:
    async with asyncio.timeout(10):
        while alive(pid):
            await asyncio.sleep(0.01)


def test_a_program_gets_its_input_and_gives_its_output() -> None:
    data = os.urandom(3 << 20)
    output = asyncio.run(process.call(["cat"], env=ENV, feed=process.feed_bytes(data)))
    assert output.stdout == data and output.code == 0


def test_a_failure_tells_its_last_words_and_the_command() -> None:
    with pytest.raises(SealiftError) as caught:
        asyncio.run(process.call(["sh", "-c", "echo words >&2; exit 3"], env=ENV, what="the step"))
    assert caught.value.got == "words" and "exit code 3" in caught.value.message
    assert "sh -c" in caught.value.hint
    output = asyncio.run(process.call(["sh", "-c", "kill -9 $$"], env=ENV, check=False))
    assert output.code == -9 and output.complaint == "killed by SIGKILL"


def test_a_missing_program_is_named() -> None:
    with pytest.raises(MissingError, match="no-such-program"):
        asyncio.run(process.call(["no-such-program"], env=ENV))


def test_a_program_that_is_late_ends_with_all_its_children(tmp_path: Path) -> None:
    async def scenario(folder: Path) -> None:
        script = f"sleep 600 & echo $! > {folder}/pid; wait"
        with pytest.raises(SealiftError, match="did not end within"):
            await process.call(["sh", "-c", script], env=ENV, timeout=0.5)
        await gone(int((folder / "pid").read_text()))

    asyncio.run(scenario(tmp_path))


def test_an_error_while_feeding_kills_the_program_before_its_input_ends(tmp_path: Path) -> None:
    """A program that acts on the end of its input must not act on half of it."""

    def feed(fd: int) -> None:
        process.write_all(fd, b"half")
        raise SealiftError("the other half is damaged")

    done = tmp_path / "done"
    with pytest.raises(SealiftError, match="other half"):
        asyncio.run(process.call(["sh", "-c", f"cat > /dev/null; touch {done}"], env=ENV, feed=feed))
    assert not done.exists()


def test_cancelling_a_call_ends_the_program_and_its_feeder() -> None:
    def feed(fd: int) -> None:
        while True:
            process.write_all(fd, b"x" * 65536)

    async def scenario() -> None:
        task = asyncio.create_task(process.call(["sh", "-c", "sleep 600"], env=ENV, feed=feed))
        await asyncio.sleep(0.2)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(scenario())


def test_a_program_that_stops_reading_is_judged_by_its_exit_code() -> None:
    output = asyncio.run(process.call(["head", "-c", "4"], env=ENV, feed=process.feed_bytes(b"abcd" + bytes(4 << 20))))
    assert output.stdout == b"abcd"


def test_a_child_writes_to_its_log_and_ends_when_told(tmp_path: Path) -> None:
    async def scenario() -> str:
        child = await process.start(["sh", "-c", "echo hello; exec sleep 600"], env=ENV, log=tmp_path / "log")
        async with asyncio.timeout(10):
            while not (tmp_path / "log").read_text():
                await asyncio.sleep(0.01)
        await child.stop()
        return await child.wait()

    assert asyncio.run(scenario()) == "killed by SIGTERM"
    assert (tmp_path / "log").read_text() == "hello\n"


def test_a_child_that_ignores_sigterm_is_killed_and_what_it_left_running_goes_on(tmp_path: Path) -> None:
    async def scenario() -> None:
        script = f"trap '' TERM; setsid sleep 600 & echo $! > {tmp_path}/pid; echo up; while :; do sleep 0.05; done"
        child = await process.start(["sh", "-c", script], env=ENV, log=tmp_path / "log")
        async with asyncio.timeout(10):
            while not (tmp_path / "log").read_text():
                await asyncio.sleep(0.01)
        await child.stop(grace=0.2)
        assert await child.wait() == "killed by SIGKILL"

    asyncio.run(scenario())
    left = int((tmp_path / "pid").read_text())
    assert alive(left)
    os.kill(left, signal.SIGKILL)


def test_a_child_ends_when_the_daemon_is_killed(tmp_path: Path) -> None:
    script = f"""
import asyncio
from pathlib import Path
from runtime import process
async def main():
    child = await process.start(["sleep", "600"], env={ENV!r}, log=Path({str(tmp_path / "log")!r}))
    print(child.pid, flush=True)
    await child.wait()
asyncio.run(main())
"""

    async def scenario() -> None:
        daemon = await asyncio.create_subprocess_exec(sys.executable, "-c", script, stdout=asyncio.subprocess.PIPE)
        assert daemon.stdout is not None
        pid = int(await daemon.stdout.readline())
        async with asyncio.timeout(10):  # setpriv becomes it once it has asked to end with its parent
            while Path(f"/proc/{pid}/comm").read_text() != "sleep\n":
                await asyncio.sleep(0.01)
        daemon.kill()
        await daemon.wait()
        await gone(pid)

    asyncio.run(scenario())
