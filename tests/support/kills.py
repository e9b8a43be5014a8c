"""kill -9 at a chosen change of the filesystem, in a real process of its own.

Python tells every open for writing, mkdir, link, rename, unlink and chmod to its audit hooks before it happens. A
forked child counts them and ends without any clean-up at the n-th: what stands then on disk is what a crash leaves.
"""

import os
import sys
import traceback
import warnings
from collections.abc import Callable, Iterator

_CHANGES = {"os.mkdir", "os.link", "os.rename", "os.symlink", "os.remove", "os.rmdir", "os.chmod", "os.truncate"}
_WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC
_KILLED = 137  # 128 + SIGKILL


def killed_at(step: int, act: Callable[[], object]) -> bool:
    """Runs `act` in a child that dies before its `step`-th change (from 1); False when it was done before that.

    An exception of `act` fails the test; its traceback is on stderr.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # a fork beside threads of the test runner
        pid = os.fork()
    if pid == 0:
        _child(step, act)
    code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    assert code in (0, _KILLED), f"the child failed at step {step}"
    return code == _KILLED


def every_kill(act_at: Callable[[], Callable[[], object]]) -> Iterator[int]:
    """Yields 1, 2, 3, ... after each kill of a fresh `act_at()`, until one comes through."""
    step = 1
    while killed_at(step, act_at()):
        yield step
        step += 1


def _child(step: int, act: Callable[[], object]) -> None:
    seen = 0

    def count(event: str, arguments: tuple[object, ...]) -> None:
        nonlocal seen
        flags = arguments[2] if event == "open" else 0
        if event in _CHANGES or (isinstance(flags, int) and flags & _WRITING):
            seen += 1
            if seen == step:
                os._exit(_KILLED)

    try:
        sys.addaudithook(count)
        act()
        os._exit(0)
    except BaseException:
        traceback.print_exc()
        os._exit(1)
