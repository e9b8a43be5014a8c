"""A disk that refuses: an errno at each place of the code that writes, once or from then on; and short writes.

Places are told apart by the operation and by the lines of our own code that led to it: ten blobs written by one line
are one place.
"""

import errno
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from bundles.errors import SealiftError
from bundles.talk import error_text, exit_code
from tests.support.disk import Event, read_disk
from tests.support.disk_images import materialise, whole
from tests.support.recording import recorded, unsynced
from tests.support.recording_replay import Broken, Flow, difference

Place = tuple[str, ...]
_ROOT: Final = str(Path(__file__).resolve().parents[2])
_OURS: Final = tuple(f"{_ROOT}/{name}/" for name in ("bundles", "builder", "runtime"))
_DEPTH: Final = 4  # frames of ours that tell places apart
# What a full disk still lets through.
_FREE: Final = {"unlink", "rmdir", "rename", "exchange", "chmod", "utime", "truncate", "fsync"}


@dataclass(frozen=True, slots=True)
class Fault:
    """`lasting`: the disk stays like this until the end of the run. `short`: a write takes one byte, no error."""

    number: int
    lasting: bool = False
    short: bool = False

    def __str__(self) -> str:
        name = "short write" if self.short else errno.errorcode[self.number]
        return name + (" from then on" if self.lasting else "")


FAULTS: Final = (
    Fault(errno.ENOSPC),
    Fault(errno.ENOSPC, lasting=True),
    Fault(errno.EDQUOT, lasting=True),
    Fault(errno.EIO),
    Fault(errno.EIO, lasting=True),
    Fault(errno.EROFS, lasting=True),
    Fault(0, short=True),
)


FEW: Final = tuple(one for one in FAULTS if one.short or one.lasting == (one.number in (errno.ENOSPC, errno.EROFS)))


class Survey:
    """A watcher that lists the places."""

    def __init__(self) -> None:
        self.places: dict[Place, None] = {}

    def before(self, name: str, path: str) -> int | None:
        self.places.setdefault(_place(name))
        return None

    def after(self, event: Event) -> None:
        """Nothing to keep."""


class Refusing:
    """A watcher that refuses at one place."""

    def __init__(self, place: Place, fault: Fault) -> None:
        self.place, self.fault = place, fault
        self.hit = False

    def before(self, name: str, path: str) -> int | None:
        here = _place(name) == self.place and not self.hit
        self.hit = self.hit or here
        if self.fault.short:
            return 1 if here else None
        full = self.fault.number in (errno.ENOSPC, errno.EDQUOT)
        if here or (self.hit and self.fault.lasting and not (full and name in _FREE)):
            raise OSError(self.fault.number, os.strerror(self.fault.number), path)
        return None

    def after(self, event: Event) -> None:
        """Nothing to keep."""


def every_fault(flow: Flow, faults: Sequence[Fault] = FAULTS) -> tuple[int, int]:
    """Each fault at each place: see `_promises`. Returns how many places there are and how many faults were tried."""
    flow.prepare()
    before = whole(read_disk(flow.root))
    survey = Survey()
    with recorded(flow.root, survey):
        flow.act()
    result = flow.result()
    tried = 0
    for place in survey.places:
        for fault in _fitting(place, faults):
            materialise(before, flow.root)
            refusing = Refusing(place, fault)
            error = _run(flow, refusing)
            if refusing.hit:
                tried += 1
                _promises(flow, result, error, fault, f"{fault} at {place}")
    return len(survey.places), tried


def _fitting(place: Place, faults: Sequence[Fault]) -> Iterator[Fault]:
    for fault in faults:
        if fault.short and place[0] not in ("write", "copy_file_range"):
            continue
        if fault.number in (errno.ENOSPC, errno.EDQUOT) and place[0] in _FREE - {"fsync"}:
            continue
        yield fault


def _run(flow: Flow, refusing: Refusing) -> Exception | None:
    try:
        with recorded(flow.root, refusing):
            flow.act()
    except Exception as exc:
        return exc
    return None


def _promises(flow: Flow, result: object, error: Exception | None, fault: Fault, words: str) -> None:
    """A clear error or none; what is visible is whole; the next run completes the same bytes and leaves nothing."""
    _hold(flow.check, words)
    if error is None:
        _hold(lambda: _same(flow, result), words)
    else:
        _hold(lambda: _clear(error, fault), words)
    with unsynced():
        _hold(flow.act, f"{words}; then the same command")
    _hold(lambda: _same(flow, result), f"{words}; after the second run")
    if left := flow.left():
        raise Broken(f"{words}: left {left}")


def _clear(error: Exception, fault: Fault) -> None:
    assert isinstance(error, SealiftError), f"not an error of ours: {error!r}"
    assert exit_code(error) == 1
    text = error_text(error)
    assert os.strerror(fault.number) in text, f"does not say what: {text}"
    assert error.where.startswith("/"), f"does not say where: {text}"
    assert error.hint, f"does not say what to do: {text}"


def _same(flow: Flow, result: object) -> None:
    found = flow.result()
    assert found == result, difference(result, found)


def _hold(act: Callable[[], object], words: str) -> None:
    try:
        act()
    except Exception as exc:
        raise Broken(f"{words}: {exc!r}"[:2000]) from exc


def _place(name: str) -> Place:
    frame = sys._getframe(2)
    lines: list[str] = []
    while frame is not None and len(lines) < _DEPTH:
        if frame.f_code.co_filename.startswith(_OURS):
            lines.append(f"{frame.f_code.co_filename.removeprefix(_ROOT)}:{frame.f_code.co_name}:{frame.f_lineno}")
        frame = frame.f_back  # type: ignore[assignment] # None ends the loop
    return (name, *lines)
