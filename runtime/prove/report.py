"""The report of a proof: one JSON document, frozen values, written whole or not at all."""

import json
from pathlib import Path
from typing import Final

import msgspec

from bundles import jsontext
from bundles.digest import Digest
from bundles.errors import FormatError
from bundles.files import os_errors, write_atomic

FORMAT: Final = "1.0"
_MAX: Final = 32 << 20  # bytes


class Bundle(msgspec.Struct, frozen=True, kw_only=True):
    """The bundle: its folder's name, its version, and the digest of its bundle.json; null when it cannot be read."""

    name: str
    version: str
    sha256: Digest | None


class NodeResult(msgspec.Struct, frozen=True, kw_only=True):
    """A node: `ready_seconds` from the start of its daemon to Ready; null when it never was."""

    name: str
    role: str
    ready_seconds: float | None


class PodResult(msgspec.Struct, frozen=True, kw_only=True):
    """A pod at the end."""

    namespace: str
    name: str
    node: str
    phase: str
    ready: bool
    restarts: int


class ImageResult(msgspec.Struct, frozen=True, kw_only=True):
    """An image that ran: full reference, manifest digest as containerd holds it, and who ran it."""

    reference: str
    digest: Digest
    used_by: tuple[str, ...]


class MissingResult(msgspec.Struct, frozen=True, kw_only=True):
    """An image that the bundle does not have, and who asked for it."""

    reference: str
    used_by: tuple[str, ...]


class OutsideResult(msgspec.Struct, frozen=True, kw_only=True):
    """What wanted out: `attempts` to pull or to reach somebody, `packets`; `control`: a deliberate one was counted."""

    attempts: int
    packets: int
    control: bool


class CheckResult(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A check, and how long it took; `error` says why it is not ok, and is left out when it is."""

    name: str
    ok: bool
    seconds: float
    error: str = ""


class StageResult(msgspec.Struct, frozen=True, kw_only=True):
    """A stage of the node: seconds from the start of its daemon until it was reached; null when it was not."""

    name: str
    seconds: float | None


class ServerLoss(msgspec.Struct, frozen=True, kw_only=True):
    """A server whose power went while a client wrote `writes` objects.

    `before` of them were acknowledged by then, `acknowledged` at the end, `missing` of those could not be found.
    Nothing was acknowledged for `pause_seconds` at most. It had caught up `back_seconds` after its power came back;
    null: never.
    """

    node: str
    writes: int
    before: int
    acknowledged: int
    missing: int
    pause_seconds: float
    back_seconds: float | None


class Failure(msgspec.Struct, frozen=True, kw_only=True):
    """Why a proof ended early: `during` read, stage, machine, boot, checks or teardown."""

    during: str
    error: str


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """A whole proof. `ready`: every chart installed, every workload Ready. `faults` says what is not as it must be.

    `choices`: the pod network, and who served Ingresses (`none`: nobody); images of others are not among the `unused`.

    `server_loss` is left out when no server was lost on purpose, `failure` when the proof came to its end.
    """

    format: str = FORMAT
    ready: bool
    bundle: Bundle
    nodes: tuple[NodeResult, ...]
    pods: tuple[PodResult, ...]
    images: tuple[ImageResult, ...]
    unused: tuple[str, ...]
    missing: tuple[MissingResult, ...]
    outside: OutsideResult
    checks: tuple[CheckResult, ...]
    stages: tuple[StageResult, ...]
    choices: dict[str, str] = {}
    server_loss: ServerLoss | msgspec.UnsetType = msgspec.UNSET
    failure: Failure | msgspec.UnsetType = msgspec.UNSET

    def faults(self) -> tuple[str, ...]:
        """What is not as it must be, in words; empty: proved."""
        found = [] if self.failure is msgspec.UNSET else [f"{self.failure.during}: {self.failure.error}"]
        found += [] if self.ready else ["not everything became ready"]
        found += [f"{image.reference} is not in the bundle, {', '.join(image.used_by)} asks" for image in self.missing]
        if self.outside.attempts or self.outside.packets:
            found.append(f"something wanted out: {self.outside.attempts} attempts, {self.outside.packets} packets")
        if not self.outside.control:
            found.append("the control packet was not counted: a zero would mean nothing")
        return (*found, *(f"check {check.name} failed" for check in self.checks if not check.ok))


def encode(report: Report) -> bytes:
    """Readable JSON, in the order of the fields, one newline at the end."""
    plain = msgspec.to_builtins(report, enc_hook=str)
    return json.dumps(plain, ensure_ascii=False, indent=2).encode() + b"\n"


def decode(data: bytes, *, where: object) -> Report:
    """What `encode` wrote. Raises FormatError."""
    report = jsontext.decode(data, Report, where=where, max_size=_MAX)
    if report.format.partition(".")[0] != FORMAT.partition(".")[0]:
        raise FormatError("a report of another version", where=where, got=report.format, want=FORMAT)
    return report


def write(path: Path, report: Report) -> None:
    """Replaces the report at `path`, atomically; mode 0644."""
    write_atomic(path, encode(report))


def read(path: Path) -> Report:
    """The report at `path`. Raises SealiftError, FormatError."""
    with os_errors(path), path.open("rb") as file:
        data = file.read(_MAX + 1)
    return decode(data, where=path)
