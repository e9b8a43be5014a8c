"""The thin part: tasks are started and cancelled as `advance` says; what they do comes back as events."""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass

from bundles.errors import SealiftError
from runtime.daemon.advance import (
    Action,
    Begin,
    Cancel,
    Due,
    Ended,
    Event,
    Finish,
    Start,
    State,
    StopAsked,
    Told,
    Up,
    Wake,
    advance,
    begin,
)
from runtime.daemon.table import Table


@dataclass(frozen=True, slots=True)
class Control:
    """What the work of a stage may say while it runs."""

    up: Callable[[str], None]
    told: Callable[[str], None]


# The work of a stage: returns its last words; raises SealiftError when it fails; is cancelled when it has to end.
Work = Callable[[Control], Awaitable[str]]
Observer = Callable[[Event, State], None]


class Runner:
    """Runs one table once."""

    def __init__(
        self, table: Table, works: Mapping[str, Work], *, clock: Callable[[], float], observe: Observer
    ) -> None:
        """`works` by stage; `clock` gives seconds; `observe` sees each event with the state after it."""
        missing = [name for name in table.names if name not in works]
        if missing:
            raise ValueError(f"nobody does {missing}")
        self._table, self._works, self._clock, self._observe = table, works, clock, observe
        self._events: asyncio.Queue[Event] = asyncio.Queue()
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._timers: set[asyncio.TimerHandle] = set()
        self.state = begin(table)

    def stop(self, reason: str) -> None:
        """Asks the node to stop; call it in the loop's thread."""
        self._send(StopAsked(self._clock(), reason))

    async def run(self) -> tuple[int, str]:
        """Until nothing runs any more -> exit code and reason. When cancelled, all work is cancelled with it."""
        self._send(Begin(self._clock()))
        try:
            while True:
                event = await self._events.get()
                self.state, actions = advance(self._table, self.state, event)
                self._observe(event, self.state)
                for action in actions:
                    if isinstance(action, Finish):
                        return action.code, action.reason
                    self._do(action)
        finally:
            await self._abandon()

    def _send(self, event: Event) -> None:
        self._events.put_nowait(event)

    def _do(self, action: Action) -> None:
        match action:
            case Start(stage, attempt):
                self._tasks[stage] = asyncio.create_task(self._work(stage, attempt), name=stage)
            case Cancel(stage, _):
                self._tasks[stage].cancel()
            case Wake(stage, attempt, seconds):
                loop = asyncio.get_running_loop()
                timer = loop.call_later(seconds, lambda: self._send(Due(self._clock(), stage, attempt)))
                self._timers.add(timer)
            case Finish():
                raise AssertionError("run() handles it")

    async def _work(self, stage: str, attempt: int) -> None:
        def up(reason: str) -> None:
            self._send(Up(self._clock(), stage, attempt, reason))

        def told(detail: str) -> None:
            self._send(Told(self._clock(), stage, attempt, detail))

        reason, error = "", None
        try:
            reason = await self._works[stage](Control(up, told))
        except asyncio.CancelledError:
            error = "told to end"
        except SealiftError as exc:
            error = str(exc)
        except Exception as exc:  # a bug of ours in one stage must not take the pods' supervisor down
            error = f"bug: {type(exc).__name__}: {exc}"
        self._send(Ended(self._clock(), stage, attempt, reason=reason, error=error))

    async def _abandon(self) -> None:
        for timer in self._timers:
            timer.cancel()
        for task in self._tasks.values():
            task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.gather(*self._tasks.values(), return_exceptions=True)
