"""The audit log: one line of canonical JSON for each decision, each naming the digest of the line before it.

What it is worth: nobody changes, drops or reorders lines without the chain telling, and the end of the chain is kept in
the node's memory as well (`memory.py`), so that a cut end is noticed. Root on the node can rewrite both; ship the last
line's digest elsewhere where that matters.
"""

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import msgspec

from bundles import jsontext
from bundles.digest import Digest
from bundles.errors import FormatError, SealiftError
from bundles.files import fsync_directory, os_errors, unflushed

START: Final = Digest("0" * 64)
_MAX_LINE: Final = 1 << 20  # bytes


class Entry(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One decision: `at` in epoch seconds by the node's clock, `event` what was asked, `result` what was decided.

    `previous` is the digest of the line before, newline included; of the first line it is all zeros.
    """

    number: int
    at: int
    event: str
    result: str
    previous: Digest
    details: dict[str, str] = {}


@dataclass(frozen=True, kw_only=True, slots=True)
class Head:
    """The end of a log: how many lines, and the digest of the last."""

    count: int
    digest: Digest


EMPTY: Final = Head(count=0, digest=START)


def append(path: Path, *, at: int, event: str, result: str, details: Mapping[str, str]) -> Head:
    """Adds a decision, durably, and returns the new end. The caller holds the node's lock.

    A line that a power cut left unfinished is cut off, and the next line says so. Raises FormatError when the log is
    not a chain (nothing is added to a log that somebody changed), SealiftError for what the filesystem refuses.
    """
    with os_errors(path):
        fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    with unflushed(os.fdopen(fd, "r+b")) as file:
        with os_errors(path):
            data = file.read()
        whole = data[: data.rfind(b"\n") + 1]
        *_, head = _chain(whole, path)
        if torn := len(data) - len(whole):
            details = {**details, "torn": f"{torn} bytes of an unfinished line before this one"}
        entry = Entry(
            number=head.count + 1, at=at, event=event, result=result, previous=head.digest, details=dict(details)
        )
        line = jsontext.encode_canonical(entry)
        with os_errors(path):
            if torn:
                os.ftruncate(fd, len(whole))
            file.write(line)
            file.flush()
            os.fsync(fd)
            fsync_directory(path.parent)
    return Head(count=entry.number, digest=Digest.of(line))


def read(path: Path) -> list[Entry]:
    """All whole lines, oldest first; empty when there is no log. Raises FormatError for the first broken link."""
    return list(_entries(_whole(path), path))


def head(path: Path) -> Head:
    """The end of the log. Raises FormatError for the first broken link."""
    *_, last = _chain(_whole(path), path)
    return last


def check(path: Path, remembered: Head) -> None:
    """Raises FormatError for the first broken link, SealiftError when the log is not what the node remembers.

    It may go on from there: a power cut between the two writes leaves that. What it goes on from has to be the same: a
    log that was rewritten and made longer is another log.
    """
    last = EMPTY
    for last in _chain(_whole(path), path):
        if last.count == remembered.count:
            check_end(last, remembered, where=path)
    check_end(last, remembered, where=path)


def check_end(found: Head, remembered: Head, *, where: Path) -> None:
    """Raises SealiftError when the log is shorter than the node remembers: lines at its end were removed."""
    if found.count < remembered.count or (found.count == remembered.count and found.digest != remembered.digest):
        raise SealiftError(
            "the audit log was cut or replaced",
            where=where,
            got=f"{found.count} lines, the last {found.digest}",
            want=f"{remembered.count} lines, the last {remembered.digest}",
            hint="find out who did it; move the file away to begin a new log, which will say so",
        )


def _whole(path: Path) -> bytes:
    with os_errors(path):
        try:
            data = path.read_bytes()
        except FileNotFoundError:
            return b""
    return data[: data.rfind(b"\n") + 1]


def _entries(data: bytes, where: Path) -> Iterator[Entry]:
    before = EMPTY
    for line in data.splitlines(keepends=True):
        at = f"{where}:{before.count + 1}"
        entry = jsontext.decode(line, Entry, where=at, max_size=_MAX_LINE)
        if (entry.number, entry.previous) != (before.count + 1, before.digest):
            hint = "this line or the one before it was changed"
            raise FormatError("a broken link", where=at, got=entry.previous, want=before.digest, hint=hint)
        before = Head(count=entry.number, digest=Digest.of(line))
        yield entry


def _chain(data: bytes, where: Path) -> Iterator[Head]:
    """The end after each line, the empty one first."""
    yield EMPTY
    lines = data.splitlines(keepends=True)
    for entry, line in zip(_entries(data, where), lines, strict=True):
        yield Head(count=entry.number, digest=Digest.of(line))
