"""Two builds of a text or a tar that differ: which line, which member and what of it. Pure and bounded."""

from collections.abc import Iterator, Mapping
from itertools import zip_longest

from bundles.errors import FormatError, LimitError
from bundles.foreign.layer import decompressed, limited
from bundles.foreign.tarreader import Member, StreamSource, TarReader

_MOST_CONTENT = 64 << 20  # bytes of an unpacked tar that is looked into
_MOST_MEMBERS = 10_000
_SHOWN = 80  # characters of a line
_GZIP, _ZSTD, _USTAR = b"\x1f\x8b", b"\x28\xb5\x2f\xfd", b"ustar"


def text_rows(one: bytes, two: bytes) -> Iterator[str]:
    """The first line that differs, and how many do; nothing for what is no text."""
    try:
        a, b = (content.decode("utf-8").splitlines() for content in (one, two) if b"\0" not in content)
    except ValueError:  # also where one of them has a NUL: then there is only one to take
        return
    pairs = [(number, x, y) for number, (x, y) in enumerate(zip_longest(a, b), 1) if x != y]
    if pairs:
        number, x, y = pairs[0]
        more = f", and {len(pairs) - 1} more" if len(pairs) > 1 else ""
        yield f"line {number}: {_shown(x)} / {_shown(y)}{more}"


def tar_rows(one: bytes, two: bytes) -> Iterator[str]:
    """Members that differ: by content, header field, place; nothing for what is no tar, compressed or not."""
    try:
        a, b = _members(one), _members(two)
    except (FormatError, LimitError):
        return
    for name in dict.fromkeys((*a, *b)):
        if name not in a or name not in b:
            yield f"member {name}: only the {'first' if name in a else 'second'} has it"
        else:
            yield from (f"member {name}: {what}" for what in _how(*a[name], *b[name]))
    if list(a) != list(b) and a.keys() == b.keys():
        yield "its members stand in another order"


def _how(one: Member, a: bytes, two: Member, b: bytes) -> Iterator[str]:
    for what in ("kind", "mode", "target"):
        x, y = getattr(one, what), getattr(two, what)
        if x != y:
            yield f"{what} {x:04o} / {y:04o}" if what == "mode" else f"{what} {_shown(x)} / {_shown(y)}"
    if a != b:
        row = next(text_rows(a, b), "")
        at = next((i for i, (x, y) in enumerate(zip(a, b, strict=False)) if x != y), min(len(a), len(b)))
        yield row or f"content, {len(a)} and {len(b)} bytes, first at {at:#x}"


def _members(content: bytes) -> Mapping[str, tuple[Member, bytes]]:
    """Raises FormatError for what is no tar, LimitError for a large one."""
    if not content.startswith((_GZIP, _ZSTD)) and content[257:262] != _USTAR:
        raise FormatError("not a tar")
    source = StreamSource(limited(decompressed(iter([content]), "tar"), _MOST_CONTENT, "tar"), "tar")
    reader = TarReader(source, "tar", max_members=_MOST_MEMBERS, leading_dot=True)
    return {member.name: (member, b"".join(reader.body())) for member in reader}


def _shown(text: str | None) -> str:
    if text is None:
        return "its end"
    return repr(text if len(text) <= _SHOWN else text[:_SHOWN] + "...")
