"""What a bundle is made of, as a graph; SPDX and CycloneDX are two ways to write it down."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from bundles.digest import Digest


class Kind(StrEnum):
    """What a part is; the values are words of documents and of ids."""

    BUNDLE = "bundle"
    IMAGE = "image"
    PROGRAM = "program"  # compiled here
    FILE = "file"  # taken as it is
    MODULE = "go"
    PACKAGE = "deb"
    SOURCE = "source"
    CHART = "chart"
    TOOL = "tool"  # decided bytes of a program, is not in it


class Relation(StrEnum):
    """How two parts belong together: the names of SPDX 2.3, section 11."""

    CONTAINS = "CONTAINS"
    DEPENDS_ON = "DEPENDS_ON"
    GENERATED_FROM = "GENERATED_FROM"
    STATIC_LINK = "STATIC_LINK"
    BUILD_TOOL_OF = "BUILD_TOOL_OF"


@dataclass(frozen=True, kw_only=True, slots=True)
class Part:
    """One part. `key` is unique in a bill: `go:PATH@VERSION`, `image:REFERENCE`, ...

    `licence` is an SPDX expression, empty where nobody says one; `sha256` that of the file itself; `notes` are more
    facts (name, value) of our own, in a stable order.
    """

    key: str
    kind: Kind
    name: str
    version: str = ""
    purl: str = ""
    licence: str = ""
    sha256: Digest | None = None
    notes: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, kw_only=True, slots=True, order=True)
class Edge:
    """`subject` RELATION `target`, by the keys of parts."""

    subject: str
    relation: Relation
    target: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Bill:
    """All parts, the bundle first, the rest sorted by key; edges sorted. `created` in seconds since the epoch.

    `texts`: those of the LicenseRefs in licences, by their ids. `tool` is what wrote it, with its version.
    """

    name: str
    created: int
    tool: tuple[str, str]
    parts: tuple[Part, ...]
    edges: tuple[Edge, ...]
    texts: Mapping[str, str] = field(default_factory=dict)
