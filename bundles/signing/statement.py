"""in-toto statements: "this predicate is said of the files with these digests". Pure.

Written as Statement v1; cosign 2 writes v0.1, which has the same fields, so both are read.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import msgspec

from bundles import jsontext
from bundles.digest import Digest
from bundles.errors import FormatError, TrustError

TYPE: Final = "https://in-toto.io/Statement/v1"
_TYPES: Final = (TYPE, "https://in-toto.io/Statement/v0.1")
SLSA_PROVENANCE: Final = "https://slsa.dev/provenance/v1"
SPDX: Final = "https://spdx.dev/Document"
CYCLONEDX: Final = "https://cyclonedx.org/bom"
MAX_STATEMENT: Final = 48 << 20  # bytes; in base64 it fits envelope.MAX_STATEMENT


class _Subject(msgspec.Struct, frozen=True, kw_only=True):
    digest: dict[str, str]
    name: str = ""


class _Statement(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    type_: str = msgspec.field(name="_type")
    subject: list[_Subject]
    predicateType: str
    predicate: Any = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Subject:
    """A file or image that the statement is about."""

    name: str
    digest: Digest


@dataclass(frozen=True, kw_only=True, slots=True)
class Statement:
    """`predicate` (plain JSON) of type `predicate_type` about `subjects`; subjects without a sha256 are left out."""

    subjects: tuple[Subject, ...]
    predicate_type: str
    predicate: Any

    def about(self, digest: Digest, *, where: object) -> None:
        """Raises TrustError unless this digest is among the subjects."""
        if all(subject.digest != digest for subject in self.subjects):
            got = ", ".join(f"{subject.name[:80]} {subject.digest}" for subject in self.subjects[:3])
            raise TrustError("a statement about something else", where=where, got=got, want=digest)


def encode(statement: Statement) -> bytes:
    """Canonical JSON. Raises TypeError for floats in the predicate."""
    return jsontext.encode_canonical(
        {
            "_type": TYPE,
            "subject": [{"name": one.name, "digest": {"sha256": one.digest.hex}} for one in statement.subjects],
            "predicateType": statement.predicate_type,
            "predicate": statement.predicate,
        }
    )


def decode(data: bytes, *, where: object) -> Statement:
    """Bytes -> Statement; raises FormatError."""
    document = jsontext.decode(data, _Statement, where=where, max_size=MAX_STATEMENT)
    if document.type_ not in _TYPES:
        raise FormatError("not an in-toto statement", where=where, got=document.type_[:80], want=TYPE)
    return Statement(
        subjects=tuple(_subjects(document.subject)),
        predicate_type=document.predicateType,
        predicate=document.predicate,
    )


def _subjects(found: Sequence[_Subject]) -> list[Subject]:
    return [Subject(name=one.name, digest=Digest(one.digest["sha256"])) for one in found if "sha256" in one.digest]
