"""A bundle that was just built against one that was given: every file, byte for byte.

The given one is hostile until proven otherwise: it is read by the same bounded readers as on a node, and nothing in it
is believed. Signatures are not compared: everybody has their own.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from bundles import index, jsontext
from bundles.compare.archive import archive_differences
from bundles.compare.documents import differing
from bundles.compare.model import MOST, Difference, first_difference
from bundles.digest import Digest
from bundles.errors import FormatError, LimitError, printable
from bundles.index import INDEX_NAME
from bundles.region import Region
from bundles.signing.names import ATTESTED, is_signature
from bundles.source import BundleSource, open_source

_PROVENANCE: Final = "provenance.json"
# What a provenance says of who built, not of what: the machine's tools, whether there was a sandbox, our version, and
# the digests of the SBOMs, which name the machine's C library where a program has it inside.
_OF_BUILDER: Final = (
    "predicate.runDetails.",
    "predicate.buildDefinition.internalParameters.sandbox",
    "predicate.buildDefinition.internalParameters.tools.",
    "subject.sbom.spdx.json.digest.",
    "subject.sbom.cdx.json.digest.",
)
_OF_ARCHIVES: Final = ("archives", "images", "runtime", "charts")  # of the index: these follow from the archives
_MAX_DOCUMENT: Final = 48 << 20  # bytes


@dataclass(frozen=True, kw_only=True, slots=True)
class Comparison:
    """`index` is the digest of the given bundle.json that was compared; `files` how many were the same."""

    index: Digest
    files: int
    differences: tuple[Difference, ...]

    @property
    def same(self) -> bool:
        """Whether every byte is."""
        return not self.differences

    @property
    def same_content(self) -> bool:
        """Whether at most what the builders say of themselves differs: archives, charts and lists are the same."""
        return all(one.builder for one in self.differences)


def compare(ours: Path, theirs: Path) -> Comparison:
    """Two bundles (folders or `.sealift` files) -> all that differs.

    Raises MissingError, FormatError when `theirs` is no bundle at all.
    """
    with open_source(ours) as mine, open_source(theirs) as other:
        data, _ = other.envelope()
        a, b = _files(mine), _files(other)
        found = [Difference(where=printable(name), what="only ours has it") for name in sorted(a - b)]
        found += [Difference(where=printable(name), what="only theirs has it") for name in sorted(b - a)]
        same = 0
        late = {INDEX_NAME, *(name for name in a if name.startswith("sha256sum-"))}  # they follow from the others
        for name in (*sorted((a & b) - late), *sorted(a & b & late)):
            differences = _file(name, mine, other, found)
            same += differences is None
            found += differences or ()
    return Comparison(index=Digest.of(data), files=same, differences=tuple(found))


def _files(source: BundleSource) -> set[str]:
    return {name for name in source.files() if not is_signature(name)}


def _file(name: str, ours: BundleSource, theirs: BundleSource, before: list[Difference]) -> list[Difference] | None:
    """None: the same. `before`: what differs in other files, from which this one may follow."""
    with ours.open(name) as one, theirs.open(name) as two:
        parted = first_difference(one.chunks(0, one.size), two.chunks(0, two.size))
        if not parted:
            return None
        if name.startswith("images/"):
            return list(archive_differences(name, one, two))
        if name == INDEX_NAME:
            return list(_index(one, two, before))
        if name in ATTESTED:
            return list(_document(name, one, two, _archives_differ(before)))
        return [] if before and name.startswith("sha256sum-") else [Difference(where=name, what=parted)]


def _index(ours: Region, theirs: Region, before: list[Difference]) -> Iterator[Difference]:
    """What follows from files that differ is no news; what is the index's own is told always."""
    changed = {one.where.partition(":")[0] for one in before}
    follows = tuple(f"files.{name}." for name in changed)
    if _archives_differ(before):
        follows += ("files.sbom.", *(f"{field}." for field in _OF_ARCHIVES))
    for field, words in _fields(INDEX_NAME, ours, theirs):
        if not field.startswith(follows):
            yield Difference(where=f"{INDEX_NAME}: {printable(field)}", what=words)


def _archives_differ(before: list[Difference]) -> bool:
    return any(one.where.startswith("images/") for one in before)


def _document(name: str, ours: Region, theirs: Region, follows: bool) -> Iterator[Difference]:
    """`follows`: archives differ, and with them what is said of their content."""
    if follows and name != _PROVENANCE:
        return
    for number, (field, words) in enumerate(_fields(name, ours, theirs)):
        builder = name != _PROVENANCE or field.startswith(_OF_BUILDER)
        # All of a provenance is looked at: the one that matters could be the last.
        if (number < MOST or not builder) and not (follows and field.startswith("subject.")):
            yield Difference(where=f"{name}: {printable(field)}", what=words, builder=builder)


def _fields(name: str, ours: Region, theirs: Region) -> list[tuple[str, str]]:
    try:
        one, two = (_plain(name, region) for region in (ours, theirs))
    except FormatError as exc:
        return [("", f"{exc.message} ({exc.where})")]
    return list(differing(one, two)) or [("", "the same values in other bytes")]


def _plain(name: str, region: Region) -> object:
    limit = index.MAX_INDEX if name == INDEX_NAME else _MAX_DOCUMENT
    if region.size > limit:
        raise LimitError("file too large", where=region.where, got=f"{region.size} bytes", want=f"<= {limit}")
    return jsontext.decode_plain(region.read(0, region.size), where=region.where, max_size=limit)
