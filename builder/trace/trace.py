"""A path in a bundle's image, or a byte of an archive -> all that decided it, down to a line of the lock.

`trace` reads as the table of contents. From the bundle alone as far as its SBOM and provenance tell; with its recipe
also the lines, and the content ids.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from builder.against import refuse_other_lock
from builder.facts.bytesdiff import sections
from builder.lock.text import format_lock
from builder.trace import lines as recipe_lines
from builder.trace import said
from builder.trace.lines import Line, Lines
from builder.trace.said import Part, Said
from bundles import index
from bundles.digest import Digest
from bundles.errors import FormatError, UsageError
from bundles.index import BundleIndex
from bundles.locate import Spot, Stored, Touched, find_offset, find_path, read_content, stored_at
from bundles.platform import Platform
from bundles.source import BundleSource, open_source

_SHAPES = (AttributeError, KeyError, TypeError, ValueError, LookupError)  # JSON that is not what we write


@dataclass(frozen=True, kw_only=True, slots=True)
class Traced:
    """One file: where it lies, what the bundle says of it, and with a recipe its step and lines.

    `at`: of one byte of it, where the archive holds that byte, and the section of the program that it is in.
    """

    spot: Spot
    part: Part | None
    step: tuple[str, Digest] | None
    lines: tuple[Line, ...]
    at: tuple[int, Stored, str] | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Trace:
    """What was asked for: `touched` when it was a byte of an archive; and the files."""

    touched: Touched | None
    files: tuple[Traced, ...]


def trace(bundle: Path, what: str, offset: int | None, recipe: Path | None) -> Trace:
    """`[IMAGE:]/PATH` with an offset into that file, or an archive's path with one into the archive -> the trace.

    Raises MissingError for what is not there, RecipeError for a recipe with another lock than the bundle's.
    """
    known = _open_recipe(bundle, recipe)
    with open_source(bundle) as source:
        document = index.decode(source.envelope()[0], where=f"{source.where}: {index.INDEX_NAME}")
        touched = _touched(source, document, what, offset)
        spots = touched.spots if touched else find_path(source, document, *_split(what))
        try:
            documents = said.read(source, document)
            files = tuple(_traced(each, documents, known, document) for each in spots)
        except _SHAPES as exc:
            raise FormatError("SBOM or provenance are not what sealift writes", where=bundle, got=exc) from exc
        if offset is not None and touched is None:
            files = tuple(_at(source, document, each, offset) for each in files)
    return Trace(touched=touched, files=files)


def _open_recipe(bundle: Path, recipe: Path | None) -> Lines | None:
    if recipe is None:
        return None
    found = recipe_lines.open_lines(recipe)
    refuse_other_lock(bundle, Digest.of(format_lock(found.lock).encode()))
    return found


def _touched(source: BundleSource, document: BundleIndex, what: str, offset: int | None) -> Touched | None:
    """None when a path in an image is asked for."""
    if not what.startswith("images/"):
        return None
    if offset is None:
        raise UsageError("which byte of the archive?", where=what, hint="say --offset N, or IMAGE:/path for a file")
    return find_offset(source, document, what, offset)


def _split(what: str) -> tuple[str, str]:
    """`IMAGE:/PATH` -> both; `/PATH` is one of any image."""
    image, colon, path = what.partition(":/") if not what.startswith("/") else ("", ":/", what)
    if not colon:
        raise UsageError(
            "not a place in a bundle", got=what, want="/PATH, IMAGE:/PATH, or images/NAME.tar with --offset"
        )
    return image, path


def _traced(spot: Spot, documents: Said, known: Lines | None, document: BundleIndex) -> Traced:
    part = said.part_of(documents, spot)
    if known is None:
        return Traced(spot=spot, part=part, step=None, lines=())
    chart = recipe_lines.chart_key(known.recipe, spot)
    component = recipe_lines.component_of(known.recipe, spot)
    platform = Platform.parse(document.platform)
    step = recipe_lines.step_of(known, component, chart, platform, documents.tools) if component else None
    return Traced(spot=spot, part=part, step=step, lines=tuple(recipe_lines.lines_of(known, spot)))


def _at(source: BundleSource, document: BundleIndex, traced: Traced, offset: int) -> Traced:
    """The same file with one of its bytes."""
    spot = traced.spot
    if not 0 <= offset < spot.size:
        raise UsageError("no such byte", where=f"/{spot.name}", got=offset, want=f"less than {spot.size}")
    listed = next(archive for archive in document.archives if archive.path == spot.stored.archive)
    place = stored_at(listed, spot.digest, spot.start + offset, 1)
    content = read_content(source, document, spot)
    inside = [name for name, (start, data) in sections(content).items() if start <= offset < start + len(data)]
    return Traced(spot=spot, part=traced.part, step=traced.step, lines=traced.lines,
                  at=(offset, place, inside[-1] if inside else ""))  # fmt: skip


def plain(found: Trace) -> dict[str, Any]:
    """The trace for `--json`."""
    document: dict[str, Any] = {"files": [_plain(each) for each in found.files]}
    if found.touched is not None:
        document["byte"] = {"member": found.touched.member, "what": found.touched.what}
    return document


def _plain(traced: Traced) -> dict[str, Any]:
    spot, part = traced.spot, traced.part
    values: dict[str, Any] = {
        "path": f"/{spot.name}",
        "kind": spot.kind,
        "size": spot.size,
        "mode": f"{spot.mode:04o}",
        "sha256": spot.sha256.hex,
        "image": spot.image,
        "layer": {"number": spot.layer, "digest": str(spot.digest), "diff_id": str(spot.diff_id), "start": spot.start},
        "stored": _stored(spot.stored),
    }
    if traced.at is not None:
        values["at"] = {"offset": traced.at[0], "stored": _stored(traced.at[1]), "section": traced.at[2]}
    if part is not None:
        made = [{"how": how, "what": what} for how, what in part.made]
        values["part"] = {"key": part.key, "component": part.component, "output": part.output,
                          "version": part.version, "made": made}  # fmt: skip
    if traced.step is not None:
        values["step"] = {"name": traced.step[0], "id": str(traced.step[1])}
    return values | {"lines": [{"where": each.where, "what": each.what} for each in traced.lines]}


def _stored(place: Stored) -> Mapping[str, Any]:
    return {"archive": place.archive, "first": place.first, "end": place.end, "frames": place.frames}
