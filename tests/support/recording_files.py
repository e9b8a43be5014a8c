"""`open` for a recorder: the same files and buffers, but what leaves a buffer goes through `os.write`."""

import io
import os
from collections.abc import Callable
from typing import Any


class _Raw(io.FileIO):
    """Opens and writes by the functions of `os`, whatever they are when it does."""

    def __init__(self, file: Any, mode: str, closefd: bool, opener: Any) -> None:
        if isinstance(file, int):
            super().__init__(file, mode, closefd)
        else:
            super().__init__(file, mode, closefd, opener or (lambda path, flags: os.open(path, flags, 0o666)))

    def write(self, data: Any, /) -> int:
        return os.write(self.fileno(), data)

    def truncate(self, size: int | None = None, /) -> int:
        size = self.tell() if size is None else size
        os.ftruncate(self.fileno(), size)
        return size


def opener_for(real: Callable[..., Any]) -> Callable[..., Any]:
    """A function like `open`; files that are only read are `real`'s."""

    def double(
        file: Any,
        mode: str = "r",
        buffering: int = -1,
        encoding: str | None = None,
        errors: str | None = None,
        newline: str | None = None,
        closefd: bool = True,
        opener: Any = None,
    ) -> Any:
        if not set(mode) & set("wax+"):
            return real(file, mode, buffering, encoding, errors, newline, closefd, opener)
        raw = _Raw(file, mode.replace("b", "").replace("t", ""), closefd, opener)
        if buffering == 0:
            return raw
        size = io.DEFAULT_BUFFER_SIZE if buffering < 2 else buffering
        buffered: Any = io.BufferedRandom(raw, size) if "+" in mode else io.BufferedWriter(raw, size)
        if "b" in mode:
            return buffered
        text = io.TextIOWrapper(buffered, io.text_encoding(encoding), errors, newline, line_buffering=buffering == 1)
        text.mode = mode  # type: ignore[misc] # as open() sets it
        return text

    return double
