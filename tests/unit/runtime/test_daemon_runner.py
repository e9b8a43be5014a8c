import asyncio
import itertools
from collections.abc import Callable
from pathlib import Path

import pytest

from bundles.errors import SealiftError
from runtime import process
from runtime.daemon.advance import Ended, Event, Phase, State
from runtime.daemon.runner import Control, Runner, Work
from runtime.daemon.table import Kind, OnFailure, Pause, Stage, Table
from tests.support.programs import SYSTEM_PATH, FakePrograms

Then = tuple[Callable[[State], bool], Callable[[Runner], None]]
QUICK = Pause(first=0.01, most=0.02)
TABLE = Table(
    (
        Stage(name="content", text="", failure=OnFailure.STOP),
        Stage(name="engine", text="", needs=("content",), kind=Kind.SERVICE, failure=OnFailure.STOP),
        Stage(name="images", text="", needs=("engine",), pause=QUICK),
        Stage(name="agent", text="", needs=("images",), kind=Kind.SERVICE, pause=QUICK),
    )
)


async def well(control: Control) -> str:
    control.told("half way")
    return "done"


def program(folder: Path, name: str) -> Work:
    """A service that runs the fake program `name` and stops it when told."""

    async def work(control: Control) -> str:
        env = {"PATH": f"{folder}:{SYSTEM_PATH}"}
        child = await process.start([name], env=env, log=folder / f"{name}.log")
        (folder / f"{name}.pid").write_text(str(child.pid))
        try:
            control.up(f"process {child.pid}")
            raise SealiftError(await child.wait())
        finally:
            await child.stop()

    return work


class Story:
    """Runs the table and acts when a condition holds for the first time."""

    def __init__(self, works: dict[str, Work], then: list[Then]) -> None:
        self.events: list[Event] = []
        self.then = then
        counter = itertools.count()
        self.runner = Runner(TABLE, works, clock=lambda: float(next(counter)), observe=self.see)

    def see(self, event: Event, state: State) -> None:
        self.events.append(event)
        if self.then and self.then[0][0](state):
            self.then.pop(0)[1](self.runner)

    def play(self) -> tuple[int, str]:
        async def limited() -> tuple[int, str]:
            async with asyncio.timeout(30):
                return await self.runner.run()

        return asyncio.run(limited())


def up(stage: str) -> Callable[[State], bool]:
    return lambda state: state.stages[stage].phase is Phase.UP


@pytest.fixture
def fakes(tmp_path: Path) -> FakePrograms:
    programs = FakePrograms(tmp_path / "bin")
    programs.add("engine", "exec sleep 600")
    programs.add("agent", "exec sleep 600")
    return programs


def works_of(fakes: FakePrograms) -> dict[str, Work]:
    folder = fakes.folder
    return {"content": well, "engine": program(folder, "engine"), "images": well, "agent": program(folder, "agent")}


def kill(fakes: FakePrograms, name: str) -> Callable[[Runner], None]:
    import os
    import signal

    return lambda _: os.kill(int((fakes.folder / f"{name}.pid").read_text()), signal.SIGKILL)


def test_a_node_comes_up_and_stops_when_asked_and_no_program_is_left(fakes: FakePrograms) -> None:
    story = Story(works_of(fakes), [(up("agent"), lambda runner: runner.stop("asked"))])
    assert story.play() == (0, "asked")
    ended = [event.stage for event in story.events if isinstance(event, Ended)]
    assert ended.index("agent") < ended.index("engine")
    for name in ("engine", "agent"):
        assert not Path(f"/proc/{(fakes.folder / f'{name}.pid').read_text()}").exists()


def test_the_node_ends_with_the_engine(fakes: FakePrograms) -> None:
    story = Story(works_of(fakes), [(up("agent"), kill(fakes, "engine"))])
    assert story.play() == (1, "engine: killed by SIGKILL")


def test_the_agent_is_started_again(fakes: FakePrograms) -> None:
    again = lambda state: state.stages["agent"].attempt == 2 and up("agent")(state)  # noqa: E731
    story = Story(works_of(fakes), [(up("agent"), kill(fakes, "agent")), (again, lambda runner: runner.stop("seen"))])
    assert story.play() == (0, "seen")
    ends = [(event.stage, event.error) for event in story.events if isinstance(event, Ended)]
    assert ends[:3] == [("content", None), ("images", None), ("agent", "killed by SIGKILL")]
    assert story.runner.state.stages["agent"].restarts == 1 and story.runner.state.stages["engine"].restarts == 0


def test_a_failed_task_is_tried_again_and_a_bug_in_one_stage_is_no_end_of_the_node(fakes: FakePrograms) -> None:
    attempts = []

    async def images(control: Control) -> str:
        attempts.append(1)
        if len(attempts) == 1:
            raise SealiftError("not now")
        if len(attempts) == 2:
            raise KeyError("bug")
        return "at last"

    story = Story({**works_of(fakes), "images": images}, [(up("agent"), lambda runner: runner.stop("seen"))])
    assert story.play() == (0, "seen")
    errors = [event.error for event in story.events if isinstance(event, Ended) and event.stage == "images"]
    assert errors == ["not now", "bug: KeyError: 'bug'", None]


def test_a_program_that_is_missing_stops_the_node_and_is_named(fakes: FakePrograms) -> None:
    (fakes.folder / "engine").unlink()
    code, reason = Story(works_of(fakes), []).play()
    assert code == 1 and "program not found: engine" in reason


def test_a_cancelled_runner_leaves_no_program(fakes: FakePrograms) -> None:
    story = Story(works_of(fakes), [])

    async def scenario() -> None:
        task = asyncio.create_task(story.runner.run())
        async with asyncio.timeout(30):
            while not up("agent")(story.runner.state):
                await asyncio.sleep(0.01)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(scenario())
    for name in ("engine", "agent"):
        assert not Path(f"/proc/{(fakes.folder / f'{name}.pid').read_text()}").exists()


def test_a_stage_that_nobody_does_is_refused() -> None:
    with pytest.raises(ValueError, match="nobody does"):
        Runner(TABLE, {"content": well}, clock=float, observe=lambda event, state: None)
