"""admitted.json: which bundle this node runs from. Written last, by rename: what it says is true and complete."""

from pathlib import Path
from typing import Final

import msgspec

from bundles import jsontext
from bundles.digest import Digest
from bundles.errors import FormatError
from bundles.files import os_errors, write_atomic
from bundles.index import BundleIndex, Runtime

_FORMAT: Final = "1.0"
_MAX_DOCUMENT: Final = 4 << 20  # bytes


class AdmittedArchive(msgspec.Struct, frozen=True, kw_only=True):
    """An archive in agent/images: its file `name` there, `size` in bytes, `sha256` of the whole file."""

    name: str
    size: int
    sha256: Digest


class Decided(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """By whose word the bundle was let in: `trust` is key, policy, insecure or server; `signers` are ids of keys,
    `policy` the digest of the policy; `overruled`: an administrator insisted.
    """

    trust: str
    signers: list[Digest] = []
    policy: Digest | None = None
    overruled: bool = False

    @property
    def unsigned(self) -> bool:
        """Whether no signature was asked for: an administrator said so, or it came from the cluster's server."""
        return self.trust in ("insecure", "server")


class Admitted(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The admitted bundle: its folder's name `bundle`, the digest of its bundle.json, and what was placed.

    `decided` and `expires` (epoch seconds) are missing in records of earlier versions.
    """

    format: str
    bundle: str
    index: Digest
    version: str
    flavour: str
    sequence: int
    platform: str
    runtime: Runtime
    archives: list[AdmittedArchive]
    decided: Decided | None = None
    expires: int | None = None


def describe(index: BundleIndex, *, bundle: str, digest: Digest, decided: Decided | None = None) -> Admitted:
    """A verified index, the folder it is kept in, the digest of its bytes and by whose word -> the record."""
    archives = [AdmittedArchive(name=Path(a.path).name, size=a.size, sha256=a.sha256) for a in index.archives]
    return Admitted(
        format=_FORMAT,
        bundle=bundle,
        index=digest,
        version=index.version,
        flavour=index.flavour,
        sequence=index.sequence,
        platform=index.platform,
        runtime=index.runtime,
        archives=archives,
        decided=decided,
        expires=index.expires,
    )


def read(path: Path) -> Admitted | None:
    """The record at `path`, None when there is none; raises FormatError when it cannot be understood."""
    with os_errors(path):
        try:
            with path.open("rb") as file:
                data = file.read(_MAX_DOCUMENT + 1)
        except FileNotFoundError:
            return None
    hint = "remove this file and stage the bundle again"
    try:
        admitted = jsontext.decode(data, Admitted, where=path, max_size=_MAX_DOCUMENT)
    except FormatError as exc:
        raise FormatError(exc.message, where=path, got=exc.got, want=exc.want, hint=hint) from exc
    if admitted.format.partition(".")[0] != _FORMAT.partition(".")[0]:
        raise FormatError("written by another version of sealift-node", where=path, got=admitted.format, hint=hint)
    return admitted


def write(path: Path, admitted: Admitted) -> None:
    """Replaces the record, atomically and durably; mode 0644."""
    write_atomic(path, jsontext.encode_canonical(admitted))
