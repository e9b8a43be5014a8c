"""Carries out attacks in this process, one after the other, and measures each. Started as a child by the tests.

python -m tests.hostile.attack_runner FOLDER OUT [NAME...]
"""

import contextlib
import gc
import json
import os
import resource
import shutil
import signal
import sys
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

from bundles.errors import ProblemsError, SealiftError
from bundles.talk import error_text
from tests.hostile.corpus import ATTACKS
from tests.hostile.corpus_model import MAX_SECONDS, Attack, Place, new_content, seen

ADDRESS_SPACE = 2 << 30  # bytes: a backstop for the machine; what counts is the measured memory


@dataclass
class Outcome:
    """What became of an attack: seconds, bytes at the peak above those before, the error's class, its text."""

    name: str
    seconds: float
    memory: int
    error: str
    right_class: bool
    text: str
    has_place: bool
    changed: list[str]
    left: list[str]


class Overrun(BaseException):
    """The wall limit: nothing may catch it."""


def carry_out(attack: Attack, root: Path) -> Outcome:
    place = Place(root)
    place.prepare()
    attack.send(place)
    gc.collect()
    before, given = _outside(place), seen(place.given)
    base, began = _fresh_peak(), time.monotonic()
    caught: BaseException | None = None
    try:
        with _wall(MAX_SECONDS):
            attack.read(place)
    except (Exception, Overrun) as exc:
        caught = exc
    seconds, memory = time.monotonic() - began, _peak() - base
    after = _outside(place)
    return Outcome(
        name=attack.name,
        seconds=round(seconds, 3),
        memory=memory,
        error=type(caught).__name__ if caught else "accepted",
        right_class=isinstance(caught, attack.error),
        text=error_text(caught) if caught else "",
        has_place=_has_place(caught),
        changed=sorted(name for name in before.keys() | after.keys() if before.get(name) != after.get(name)),
        left=new_content(given, seen(place.given)),
    )


def _outside(place: Place) -> dict[str, str]:
    """All but what is given; the root's own entry changes with the folders in it."""
    found = {f"sent/{name}": what for name, what in seen(place.sent).items()}
    found |= {f"canary/{name}": what for name, what in seen(place.canary).items()}
    return found | dict.fromkeys(os.listdir(place.root), "there")


def _has_place(caught: BaseException | None) -> bool:
    if isinstance(caught, ProblemsError):
        return all(problem.where for problem in caught.problems)
    return isinstance(caught, SealiftError) and bool(caught.where)


@contextlib.contextmanager
def _wall(seconds: float) -> Iterator[None]:
    def stop(number: int, frame: object) -> None:
        raise Overrun(f"more than {seconds} s")

    before = signal.signal(signal.SIGALRM, stop)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def _fresh_peak() -> int:
    """Forgets the peak so far (proc(5), clear_refs); returns what is in memory now, in bytes."""
    Path("/proc/self/clear_refs").write_text("5")
    return _status("VmRSS")


def _peak() -> int:
    return _status("VmHWM")


def _status(field: str) -> int:
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) << 10 for line in lines if line.startswith(field))


def main(folder: Path, out: Path, only: list[str]) -> None:
    resource.setrlimit(resource.RLIMIT_AS, (ADDRESS_SPACE, ADDRESS_SPACE))
    base = _status("VmRSS")
    with out.open("w") as lines:
        print(json.dumps({"base": base}), file=lines)
        for number, attack in enumerate(ATTACKS):
            if only and attack.name not in only:
                continue
            root = folder / str(number)
            root.mkdir()
            print(json.dumps(asdict(carry_out(attack, root))), file=lines, flush=True)
            shutil.rmtree(root)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3:])
