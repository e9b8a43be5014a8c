"""A target that gets through too few inputs for anything to be found."""

import time

from tests.fuzz.model import Target


def read(data: bytes) -> bool:
    """Takes its time; more of it for longer inputs, so that there is coverage to grow."""
    time.sleep(0.2)
    if len(data) > 4:
        time.sleep(0.1)
    return bool(data) and data[0] > 0x40


TARGET = Target(read=read, seeds=lambda: [b"A"], least=100, packages=("tests",))
