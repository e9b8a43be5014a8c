"""How a build is told: phases, steps that run side by side, and bytes. The build code never prints.

Forms: `rich` live lines on a terminal, plain lines, JSON lines, or nothing. All of it goes to stderr.
"""

import json
import threading
from collections.abc import Callable
from typing import Any, Protocol, TextIO

from bundles.talk import Progress, ProgressMode, SilentProgress, human_bytes, make_progress


class BuildTalk(Protocol):
    """Called from any thread."""

    @property
    def bytes(self) -> Progress:
        """For work that is counted in bytes."""

    def say(self, text: str) -> None:
        """A line for people."""

    def begin(self, step: str, seconds: int) -> None:
        """A step has begun; `seconds` is its estimate."""

    def end(self, step: str, seconds: float, *, ok: bool) -> None:
        """It has ended after `seconds`."""

    def close(self) -> None:
        """Nothing more comes."""


class SilentTalk:
    """Says nothing."""

    bytes: Progress = SilentProgress()

    def say(self, text: str) -> None:
        """See BuildTalk."""

    def begin(self, step: str, seconds: int) -> None:
        """See BuildTalk."""

    def end(self, step: str, seconds: float, *, ok: bool) -> None:
        """See BuildTalk."""

    def close(self) -> None:
        """See BuildTalk."""


class PlainTalk:
    """One line for each event, for logs."""

    def __init__(self, out: TextIO, clock: Callable[[], float]) -> None:
        """`clock` gives monotonic seconds."""
        self.bytes: Progress = make_progress("plain", out, clock)
        self._out = out

    def say(self, text: str) -> None:
        """See BuildTalk."""
        self._out.write(f"{text}\n")  # one write: threads talk at once
        self._out.flush()

    def begin(self, step: str, seconds: int) -> None:
        """See BuildTalk."""
        self.say(f"begin {step} (about {seconds} s)")

    def end(self, step: str, seconds: float, *, ok: bool) -> None:
        """See BuildTalk."""
        self.say(f"{'done  ' if ok else 'FAILED'} {step} in {seconds:.1f} s")

    def close(self) -> None:
        """See BuildTalk."""


class JsonTalk:
    """One JSON object for each event: `event` is say, begin, end, or what `bytes` tells."""

    def __init__(self, out: TextIO, clock: Callable[[], float]) -> None:
        """`clock` gives monotonic seconds."""
        self.bytes: Progress = make_progress("json", out, clock)
        self._out = out
        self._lock = threading.Lock()

    def _tell(self, **record: Any) -> None:
        with self._lock:
            self._out.write(f"{json.dumps(record, ensure_ascii=False)}\n")
            self._out.flush()

    def say(self, text: str) -> None:
        """See BuildTalk."""
        self._tell(event="say", text=text)

    def begin(self, step: str, seconds: int) -> None:
        """See BuildTalk."""
        self._tell(event="step-begin", step=step, estimate=seconds)

    def end(self, step: str, seconds: float, *, ok: bool) -> None:
        """See BuildTalk."""
        self._tell(event="step-end", step=step, seconds=round(seconds, 2), ok=ok)

    def close(self) -> None:
        """See BuildTalk."""


class RichTalk:
    """Live lines on a terminal: each running step with its time against the estimate, bytes below."""

    def __init__(self) -> None:
        """Draws on stderr."""
        from rich.console import Console
        from rich.progress import BarColumn, SpinnerColumn, TextColumn, TimeElapsedColumn
        from rich.progress import Progress as Live

        self._live = Live(
            SpinnerColumn(),
            TextColumn("{task.description}"),
            BarColumn(bar_width=24),
            TimeElapsedColumn(),
            TextColumn("{task.fields[note]}"),
            console=Console(stderr=True),
            transient=True,
        )
        self._live.start()
        self._tasks: dict[str, Any] = {}
        self.bytes: Progress = _RichBytes(self._live)

    def say(self, text: str) -> None:
        """See BuildTalk."""
        self._live.console.print(text, highlight=False, markup=False, soft_wrap=True)

    def begin(self, step: str, seconds: int) -> None:
        """See BuildTalk."""
        self._tasks[step] = self._live.add_task(step, total=None, note=f"of about {seconds} s")

    def end(self, step: str, seconds: float, *, ok: bool) -> None:
        """See BuildTalk."""
        task = self._tasks.pop(step, None)
        if task is not None:
            self._live.remove_task(task)
        self.say(f"{'done  ' if ok else 'FAILED'} {step} in {seconds:.1f} s")

    def close(self) -> None:
        """See BuildTalk."""
        self._live.stop()


class _RichBytes:
    """Progress over the same live display."""

    def __init__(self, live: Any) -> None:
        self._live = live
        self._task: Any = None

    def begin(self, name: str, total_bytes: int | None) -> None:
        self.end()
        note = human_bytes(total_bytes) if total_bytes else ""
        self._task = self._live.add_task(name, total=total_bytes, note=note)

    def advance(self, count: int) -> None:
        if self._task is not None:
            self._live.update(self._task, advance=count)

    def end(self) -> None:
        if self._task is not None:
            self._live.remove_task(self._task)
        self._task = None


def make_talk(mode: ProgressMode, out: TextIO, clock: Callable[[], float]) -> BuildTalk:
    """The form for `--progress MODE` on `out` (stderr); `auto` is live on a terminal, else plain."""
    if mode == "none":
        return SilentTalk()
    if mode == "json":
        return JsonTalk(out, clock)
    return RichTalk() if mode == "auto" and out.isatty() else PlainTalk(out, clock)
