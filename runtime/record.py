"""What a version folder says of itself: RKE2's marker, and our record beside it of which image it came from."""

import stat
from enum import Enum
from typing import Final

import msgspec

from bundles import jsontext
from bundles.digest import Digest
from bundles.errors import FormatError
from bundles.extraction.model import ExtractReport
from bundles.files import os_errors, write_atomic
from bundles.foreign.model import FoundImage
from runtime.layout import VersionLayout

_FORMAT: Final = "1.0"
_MAX_DOCUMENT: Final = 16 << 20  # bytes; 10 000 files of 200 bytes each, and room


class FileRecord(msgspec.Struct, frozen=True, kw_only=True):
    """A regular file below the version folder: `path` relative, `size` in bytes, `mode` in decimal."""

    path: str
    size: int
    mode: int
    sha256: Digest


class Record(msgspec.Struct, frozen=True, kw_only=True):
    """The image that was unpacked, by reference (normalised) and digest of its manifest, and its files.

    `config` says which image it is also where an archive has no manifest (docker save): it pins every layer's content.
    """

    format: str
    reference: str
    digest: Digest
    config: Digest
    files: list[FileRecord]


class State(Enum):
    """How a version folder stands."""

    ABSENT = "absent"
    UNFINISHED = "unfinished"  # no marker: RKE2 would unpack over it
    FOREIGN = "foreign"  # complete, made by RKE2: nothing says from which bytes
    OURS = "ours"  # complete, with our record


def make_record(found: FoundImage, extracted: ExtractReport) -> Record:
    """An image and what it gave -> record of the current format."""
    files = [
        FileRecord(path=file.path.lstrip("/"), size=file.size, mode=file.mode, sha256=file.digest)
        for file in extracted.files
    ]
    return Record(
        format=_FORMAT, reference=found.reference.name, digest=found.identity, config=found.config_digest, files=files
    )


def state_of(version: VersionLayout) -> State:
    """RKE2's own test for "already extracted" (pkg/bootstrap/bootstrap.go, Stage), then whether our record is there."""
    if not version.root.is_dir():
        return State.ABSENT
    if not (version.bin.is_dir() and version.charts.is_dir() and version.marker.is_file()):
        return State.UNFINISHED
    return State.OURS if version.record.is_file() else State.FOREIGN


def read_record(version: VersionLayout) -> Record:
    """The record of a folder whose state is OURS; raises FormatError when it cannot be understood."""
    with os_errors(version.record), version.record.open("rb") as file:
        data = file.read(_MAX_DOCUMENT + 1)
    try:
        return jsontext.decode(data, Record, where=version.record, max_size=_MAX_DOCUMENT)
    except FormatError as exc:
        hint = "unpack again with --replace"
        raise FormatError(exc.message, where=version.record, got=exc.got, want=exc.want, hint=hint) from exc


def write_record(version: VersionLayout, record: Record) -> None:
    """Writes the record into a folder that is not visible yet; mode 0644."""
    write_atomic(version.record, jsontext.encode_canonical(record))


def first_difference(version: VersionLayout, record: Record) -> str:
    """The first file of the record that is missing or has another size or mode, in words; empty when none.

    Sizes only: a cheap look that finds removed and truncated programs, which RKE2 would call "already extracted".
    """
    for file in record.files:
        path = version.root / file.path
        try:
            status = path.lstat()
        except (FileNotFoundError, NotADirectoryError):
            return f"{path} is missing"
        if not stat.S_ISREG(status.st_mode):
            return f"{path} is no regular file"
        if status.st_size != file.size:
            return f"{path} has {status.st_size} bytes, not {file.size}"
        if stat.S_IMODE(status.st_mode) != file.mode:
            return f"{path} has mode {stat.S_IMODE(status.st_mode):04o}, not {file.mode:04o}"
    return ""
