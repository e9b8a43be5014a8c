"""daemon.json: how the daemon stands, for `status` and for whoever is curious. Written at every change, by rename.

It is true only while DATA/agent/sealift/daemon.lock is held: the kernel lets go of that with the process.
"""

import contextlib
import fcntl
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import msgspec

from bundles import jsontext
from bundles.errors import FormatError, SealiftError
from bundles.files import atomic_writer, os_errors, remove_abandoned
from runtime.daemon.advance import State
from runtime.daemon.table import Table
from runtime.folders import ensure_folder
from runtime.layout import NodeLayout

_FORMAT: Final = "1.0"
_MAX_DOCUMENT: Final = 4 << 20  # bytes


class StageRecord(msgspec.Struct, frozen=True, kw_only=True):
    """A stage: `since` and `reached` are Unix times in milliseconds; `reached` None: not in this run."""

    name: str
    text: str
    needs: list[str]
    phase: str
    since: int
    restarts: int
    detail: str
    reached: int | None = None


class Journal(msgspec.Struct, frozen=True, kw_only=True):
    """A run of the daemon: `began` in Unix milliseconds, `stop` why it ends or ended, `problems` by archive."""

    format: str
    pid: int
    version: str
    bundle: str
    role: str
    node: str
    began: int
    stages: list[StageRecord]
    problems: dict[str, str]
    stop: str = ""
    choices: dict[str, str] = {}


def journal_path(layout: NodeLayout) -> Path:
    """Beside admitted.json."""
    return layout.admitted.with_name("daemon.json")


def lock_path(layout: NodeLayout) -> Path:
    """Held by the daemon as long as it lives."""
    return layout.admitted.with_name("daemon.lock")


def stage_records(table: Table, state: State, began: float) -> list[StageRecord]:
    """Each stage of the table as it stands; the daemon's clock counts from `began` (Unix time)."""

    def milliseconds(seconds: float) -> int:
        return int((began + seconds) * 1000)

    records = []
    for row in table.stages:
        stage, condition = state.stages[row.name], state.conditions.get(row.name)
        records.append(
            StageRecord(
                name=row.name,
                text=row.text,
                needs=list(row.needs),
                phase=stage.phase.value,
                since=milliseconds(stage.since),
                restarts=stage.restarts,
                detail=stage.detail,
                reached=milliseconds(condition.since) if condition else None,
            )
        )
    return records


def write_journal(layout: NodeLayout, journal: Journal) -> None:
    """Replaces daemon.json; without fsync: after a power cut nobody believes it anyway."""
    target = journal_path(layout)
    with atomic_writer(target, durable=False) as writer:
        writer.write(jsontext.encode_canonical(journal))


def read_journal(layout: NodeLayout) -> Journal | None:
    """The last run's words, None when there are none. Raises FormatError when they cannot be understood.

    The journal is not synced: a power cut may leave zeros in it, or nothing. Then there are none.
    """
    path = journal_path(layout)
    with os_errors(path):
        try:
            with path.open("rb") as file:
                data = file.read(_MAX_DOCUMENT + 1)
        except FileNotFoundError:
            return None
    if not data or b"\0" in data:
        return None
    journal = jsontext.decode(data, Journal, where=path, max_size=_MAX_DOCUMENT)
    if journal.format != _FORMAT:
        raise FormatError("written by another version of sealift-node", where=path, got=journal.format)
    return journal


def new_journal(
    *, pid: int, version: str, bundle: str, role: str, node: str, began: float, stages: list[StageRecord]
) -> Journal:
    """The first words of a run; `began` in Unix seconds."""
    return Journal(
        format=_FORMAT,
        pid=pid,
        version=version,
        bundle=bundle,
        role=role,
        node=node,
        began=int(began * 1000),
        stages=stages,
        problems={},
    )


@contextlib.contextmanager
def only_daemon(layout: NodeLayout) -> Iterator[None]:
    """Holds daemon.lock for the block. Raises SealiftError when another daemon has it."""
    ensure_folder(layout.admitted.parent)
    path = lock_path(layout)
    with os_errors(path):
        fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    try:
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise SealiftError(
                "a daemon runs here already",
                where=layout.data,
                got=f"process {holder(layout) or 'unknown'}",
                hint="sealift-node status",
            ) from None
        with os_errors(path):
            os.ftruncate(fd, 0)
            os.pwrite(fd, f"{os.getpid()}\n".encode(), 0)
        remove_abandoned(path.parent)
        yield
    finally:
        os.close(fd)


def holder(layout: NodeLayout) -> int | None:
    """The process id of the daemon that runs here; None when none does, 0 when it has not said its number yet."""
    path = lock_path(layout)
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
    except FileNotFoundError:
        return None
    try:
        fcntl.flock(fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        text = os.pread(fd, 20, 0).decode("ascii", "replace").strip()
        return int(text) if text.isdigit() else 0
    finally:
        os.close(fd)
    return None
