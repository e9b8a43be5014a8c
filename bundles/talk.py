"""How long work and failures are told to people and machines; what both command lines share, without any toolkit.

Talk goes to stderr, results to stdout. A library takes a `Progress` and knows nothing of terminals; a command line
chooses the printer. Printers here need the standard library alone, because a node has nothing else to spare.
"""

import json
import os
import threading
from collections.abc import Callable
from typing import Any, Final, Literal, Protocol, TextIO

from bundles.errors import ProblemsError, SealiftError, printable
from bundles.masking import masked

ProgressMode = Literal["auto", "plain", "json", "none"]
PROGRESS_MODES: Final = ("auto", "plain", "json", "none")
INTERRUPTED: Final = 130  # 128 + SIGINT, as shells say it
_PLAIN_SECONDS: Final = 5.0
_TERMINAL_SECONDS: Final = 0.1
_JSON_SECONDS: Final = 1.0


class Progress(Protocol):
    """One piece of work at a time: `begin`, any number of `advance` (from any thread), `end`.

    A `begin` without `end` before it ends the earlier piece: a failure in between needs no clean-up.
    """

    def begin(self, name: str, total_bytes: int | None) -> None:
        """`name` in words ("checking rke2-runtime.linux-amd64.tar"); total in bytes, None when unknown."""

    def advance(self, count: int) -> None:
        """`count` more bytes are done."""

    def end(self) -> None:
        """The piece is done."""


class SilentProgress:
    """Says nothing; also what a library uses when its caller gave no Progress."""

    def begin(self, name: str, total_bytes: int | None) -> None:
        """See Progress."""

    def advance(self, count: int) -> None:
        """See Progress."""

    def end(self) -> None:
        """See Progress."""


class _Printer:
    """Counts, and asks `_show` for output at most every `every` seconds between begin and end."""

    def __init__(self, out: TextIO, clock: Callable[[], float], every: float) -> None:
        self._out, self._clock, self._every = out, clock, every
        self._lock = threading.Lock()
        self._name: str | None = None
        self._total: int | None = None
        self._done = 0
        self._shown_at = 0.0

    def begin(self, name: str, total_bytes: int | None) -> None:
        """See Progress."""
        with self._lock:
            if self._name is not None:
                self._show("broken")
            self._name, self._total, self._done, self._shown_at = name, total_bytes, 0, self._clock()
            self._show("begin")

    def advance(self, count: int) -> None:
        """See Progress."""
        with self._lock:
            self._done += count
            if self._name is not None and self._clock() - self._shown_at >= self._every:
                self._shown_at = self._clock()
                self._show("advance")

    def end(self) -> None:
        """See Progress."""
        with self._lock:
            if self._name is not None:
                self._show("end")
            self._name = None

    def _show(self, event: str) -> None:
        raise NotImplementedError

    def _amount(self) -> str:
        if not self._total:
            return human_bytes(self._done)
        return f"{min(100, self._done * 100 // self._total)}% of {human_bytes(self._total)}"


class PlainProgress(_Printer):
    """Lines for logs: one when a piece begins, one every few seconds while it lasts."""

    def __init__(self, out: TextIO, clock: Callable[[], float]) -> None:
        """`clock` gives monotonic seconds."""
        super().__init__(out, clock, _PLAIN_SECONDS)

    def _show(self, event: str) -> None:
        if event == "begin":
            size = f" ({human_bytes(self._total)})" if self._total else ""
            print(f"{self._name}{size}", file=self._out, flush=True)
        elif event == "advance":
            print(f"{self._name}: {self._amount()}", file=self._out, flush=True)


class TerminalProgress(_Printer):
    """One line that is written over while a piece lasts, and stays when it is done."""

    def __init__(self, out: TextIO, clock: Callable[[], float]) -> None:
        """`clock` gives monotonic seconds; `out` is a terminal."""
        super().__init__(out, clock, _TERMINAL_SECONDS)

    def _show(self, event: str) -> None:
        # CR and "erase to the end of the line" (ECMA-48 EL); a finished or broken-off line is kept with a newline.
        last = "\n" if event in ("end", "broken") else ""
        amount = human_bytes(self._done) if event == "end" else self._amount()
        print(f"\r\x1b[K{self._name}: {amount}", end=last, file=self._out, flush=True)


class JsonProgress(_Printer):
    """One JSON object a line: event (begin, advance, end), name, done and total in bytes."""

    def __init__(self, out: TextIO, clock: Callable[[], float]) -> None:
        """`clock` gives monotonic seconds."""
        super().__init__(out, clock, _JSON_SECONDS)

    def _show(self, event: str) -> None:
        if event != "broken":
            record = {"event": event, "name": self._name, "done": self._done, "total": self._total}
            print(json.dumps(record), file=self._out, flush=True)


def make_progress(mode: ProgressMode, out: TextIO, clock: Callable[[], float]) -> Progress:
    """The printer for `--progress MODE` on `out` (stderr); `auto` is a live line on a terminal, else plain."""
    if mode == "none":
        return SilentProgress()
    if mode == "json":
        return JsonProgress(out, clock)
    return TerminalProgress(out, clock) if mode == "auto" and out.isatty() else PlainProgress(out, clock)


def human_bytes(count: int) -> str:
    """Bytes in the decimal units disks are sold in: `999 B`, `1.5 kB`, `2.0 GB`."""
    size, units = float(count), ("B", "kB", "MB", "GB", "TB")
    for unit in units:
        if size < 999.95 or unit == units[-1]:
            break
        size /= 1000
    return f"{count} B" if unit == "B" else f"{size:.1f} {unit}"


def error_text(error: BaseException) -> str:
    """What a command line prints on stderr: `error: ...`, with place, got, want and what to do below it."""
    if isinstance(error, SealiftError):
        return f"error: {error}"
    if isinstance(error, KeyboardInterrupt):
        return "interrupted"
    if isinstance(error, OSError) and error.filename is not None:
        return f"error: {printable(os.fsdecode(error.filename))}: {error.strerror}"
    bug = masked(printable(f"{type(error).__name__}: {error}".rstrip(": ")))
    return f"error: {bug}\n  do: this is a bug of Sealift; run again with --debug and report what it shows"


def error_trace(error: BaseException) -> str:
    """What `--debug` prints before it: the traceback, without credentials."""
    import traceback  # for --debug alone

    return masked("".join(traceback.format_exception(error)))


def error_json(error: BaseException) -> dict[str, Any]:
    """The same for `--json`: {"error": {message, where, got, want, hint, problems?}, "exit_code"}, empties left out."""
    if not isinstance(error, SealiftError):
        return {"error": {"message": error_text(error).removeprefix("error: ")}, "exit_code": exit_code(error)}
    fields = {name: getattr(error, name) for name in ("message", "where", "got", "want", "hint")}
    told: dict[str, Any] = {name: masked(value) for name, value in fields.items() if value}
    if isinstance(error, ProblemsError):
        told["problems"] = [
            {"where": masked(p.where), "message": masked(p.message), "hint": masked(p.hint)} for p in error.problems
        ]
    return {"error": told, "exit_code": exit_code(error)}


def exit_code(error: BaseException) -> int:
    """Exit code of the process: the error class's own, 130 for an interrupt, 1 for our own bugs."""
    if isinstance(error, SealiftError):
        return error.exit_code
    return INTERRUPTED if isinstance(error, KeyboardInterrupt) else 1
