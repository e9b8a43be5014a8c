"""Replays a flow: a crash after each of its operations, then the flow again.

Three promises are held for each disk that a crash may leave: nothing half-written has a final name; the flow comes
through on it; its result is that of a run which nobody disturbed. A fourth one at the end: what a flow said it has done
is still there when the power goes in the same moment.
"""

import copy
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from tests.support.disk import Disk, Event, read_disk
from tests.support.disk_images import Crash, Image, every_crash, last_crash, materialise, read_image, same, whole
from tests.support.recording import Recorder, recorded, unsynced


class Flow(Protocol):
    """Something that changes what is below `root`, and can be done again."""

    @property
    def root(self) -> Path: ...
    def prepare(self) -> None:
        """Makes what lies there before; `root` exists afterwards."""

    def act(self) -> None:
        """The whole command."""

    def check(self) -> None:
        """Fails when something half-written has a final name."""

    def result(self) -> Any:
        """What a user gets."""

    def left(self) -> list[Path]:
        """Temporary files; there are none after a run that came through."""

    def shape(self, image: Image) -> Image:
        """Leaves out what the next run removes unread."""


class Broken(AssertionError):
    """A promise that does not hold; says after which operation, and what the crash lost."""


@dataclass(frozen=True, slots=True)
class Replayed:
    """How many operations were recorded, disks looked at, and different ones replayed."""

    operations: int
    images: int
    states: int


@dataclass(frozen=True, slots=True)
class Recording:
    """A flow's undisturbed run: what was there before, what it did, what it gave."""

    before: Disk
    events: list[Event]
    result: Any


def record(flow: Flow) -> Recording:
    """Runs the flow once; fails when anything was written past the recorder."""
    flow.prepare()
    before, recorder = read_disk(flow.root), Recorder()
    disk = copy.deepcopy(before)
    with recorded(flow.root, recorder):
        flow.act()
    flow.check()
    result = flow.result()
    _played(disk, recorder.events)
    if not same(whole(disk), read_image(flow.root)):
        raise Broken("the recorder did not see all")
    with unsynced():
        materialise(last_crash(disk), flow.root)
        _promise(flow.check, recorder.events, "at the end, all that was not made durable")
        if (found := flow.result()) != result:
            raise Broken(f"what was said to be done is gone after a crash: {difference(result, found)}")
    return Recording(before, recorder.events, result)


def replay(flow: Flow) -> Replayed:
    """Every promise for every disk; raises Broken for the first that is not kept."""
    recording = record(flow)
    states = images = 0
    with unsynced():
        for crash in every_crash(recording.before, recording.events, flow.shape):
            states, images = states + 1, crash.looked_at
            materialise(crash.image, flow.root)
            _again(flow, crash, recording)
    return Replayed(len(recording.events), images, states)


def _again(flow: Flow, crash: Crash, recording: Recording) -> None:
    events = recording.events[: crash.after]
    _promise(flow.check, events, crash.lost)
    _promise(flow.act, events, f"{crash.lost}; then the same command")
    _promise(flow.check, events, f"{crash.lost}; after the second run")
    if (result := flow.result()) != recording.result:
        words = difference(recording.result, result)
        raise Broken(_words(events, f"{crash.lost}: the second run gave something else: {words}"))
    if left := flow.left():
        raise Broken(_words(events, f"{crash.lost}: the second run left {left}"))


def _promise(act: Callable[[], Any], events: list[Event], words: str) -> None:
    try:
        act()
    except Exception as exc:
        raise Broken(_words(events, f"{words}: {exc}")) from exc


def _words(events: list[Event], words: str) -> str:
    return f"a crash after {len(events)} operations ({events[-1:]}); lost: {words}"[:2000]


def difference(want: Any, got: Any) -> str:
    """Names that are only in one of two results, or differ."""
    return ", ".join(sorted(str(name) for name in want.keys() | got.keys() if want.get(name) != got.get(name)))


def _played(disk: Disk, events: list[Event]) -> None:
    for event in events:
        disk.apply(event)
