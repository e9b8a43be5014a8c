"""A trace as text for people. Pure."""

from collections.abc import Iterator

from builder.trace.said import Part
from builder.trace.trace import Trace, Traced
from bundles.errors import printable
from bundles.locate import Stored

_MOST = 50  # files of one frame, and
_CARRIED = 3  # modules of a program, that are told; --json has all


def render(found: Trace) -> str:
    """The lines, without a last newline."""
    return "\n".join(printable(line) for line in _lines(found))


def _lines(found: Trace) -> Iterator[str]:
    if found.touched is not None:
        yield f"{found.touched.member or 'no member'}: {found.touched.what}"
        if len(found.files) > 1:
            yield f"a byte of it stands for the content of {len(found.files)} files"
    for each in found.files[:_MOST]:
        yield from _file(each)
    if len(found.files) > _MOST:
        yield f"and {len(found.files) - _MOST} more files"


def _file(traced: Traced) -> Iterator[str]:
    spot = traced.spot
    link = f" -> {spot.target}" if spot.target else ""
    yield f"/{spot.name}{link}  {spot.kind}, {spot.size} bytes, mode {spot.mode:04o}, sha256:{spot.sha256.hex}"
    yield f"  in         {spot.image}, layer {spot.layer}"
    yield f"  layer      {spot.digest}, diff id {spot.diff_id}"
    yield f"  stored     {_stored(spot.stored)}"
    yield f"  tar        bytes {spot.start} to {spot.start + spot.size} of the layer's tar"
    if traced.at is not None:
        offset, place, section = traced.at
        yield f"  byte       {offset} of the file{f', in its section {section}' if section else ''}: {_stored(place)}"
    yield from _part(traced.part)
    if traced.step is not None:
        yield f"  step       {traced.step[0]}  {traced.step[1]}"
    width = max((len(line.where) for line in traced.lines), default=0)
    yield from (f"  line       {line.where:{width}}  {line.what}" for line in traced.lines)


def _part(part: Part | None) -> Iterator[str]:
    if part is None:
        yield "  SBOM       has no part with this path and content: a file of a package, or of an image made elsewhere"
        return
    yield f"  is         {part.output} of component {part.component}, version {part.version or 'not said'} ({part.key})"
    carried = [what for how, what in part.made if how == "carries"]
    for how, what in part.made:
        if how != "carries":
            yield f"  {how:10} {what}"
    yield from (f"  carries    {what}" for what in carried[:_CARRIED])
    if len(carried) > _CARRIED:
        yield f"  carries    {len(carried) - _CARRIED} more: --json"


def _stored(place: Stored) -> str:
    frames = ""
    if place.frames:
        first, last, count = place.frames
        frames = f" (frame {first} of {count})" if first == last else f" (frames {first} to {last} of {count})"
    return f"bytes {place.first} to {place.end} of {place.archive}{frames}"
