"""What a Containerfile is built on (Dockerfile reference), and the same text with every base pinned. Pure.

Only what can be pinned is taken: a base in a variable, a `# syntax=` line and an ADD from a URL would bring in what
nobody locked.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from bundles.digest import Digest
from bundles.errors import FormatError
from bundles.reference import Reference

MAX_SIZE: Final = 1 << 20  # bytes
_FROM: Final = re.compile(r"FROM(?:\s+--platform=\S+)?\s+(\S+)(?:\s+AS\s+(\S+))?\s*", re.IGNORECASE)
_FROM_OPTION: Final = re.compile(r"(?<=[\s,])(?:--)?from=([^\s,]+)", re.IGNORECASE)
_FROM_NAME: Final = r"(?i)(^\s*FROM(?:\s+--platform=\S+)?\s+){}(?=\s|$)"
_OPTION_NAME: Final = r"(?i)((?<=[\s,])(?:--)?from=){}(?=[\s,]|$)"
_DIRECTIVE: Final = re.compile(r"#\s*(syntax|escape)\s*=", re.IGNORECASE)
_REMOTE: Final = re.compile(r"ADD\s.*(?:https?://|git@|git://|\.git(?:#|\s|$))", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class _Line:
    """One instruction: its text with continuations, and the line it begins in."""

    text: str
    number: int


def bases(text: str, where: str) -> tuple[str, ...]:
    """The images that a Containerfile names, as it writes them, each once. Raises FormatError with the line."""
    return tuple(dict.fromkeys(name for _, names in _named(text, where) for name in names))


def pinned(text: str, digests: Mapping[str, Digest], where: str) -> str:
    """The instructions, one a line, with each base replaced by its digest; `digests` by the name that the text uses."""
    out = []
    for line, names in _named(text, where):
        made = line
        for name in names:
            reference = Reference.parse(name)
            exact = f"{reference.domain}/{reference.repository}@{digests[name]}"
            pattern = _FROM_NAME if _FROM.fullmatch(line.strip()) else _OPTION_NAME
            made = re.sub(pattern.format(re.escape(name)), lambda match, exact=exact: match[1] + exact, made)  # type: ignore[misc] # bound now
        out.append(made)
    return "".join(f"{line}\n" for line in out)


def _named(text: str, where: str) -> Iterator[tuple[str, list[str]]]:
    """Each instruction, and the images that it names."""
    stages: set[str] = set()
    count = 0
    for line in _instructions(text, where):
        found: list[str] = []
        if match := _FROM.fullmatch(line.text.strip()):
            found = [match[1]] if match[1].lower() not in {"scratch", *stages} else []
            stages |= {str(count), *([match[2].lower()] if match[2] else [])}
            count += 1
        elif re.match(r"\s*(COPY|ADD|RUN)\s", line.text, re.IGNORECASE):
            found = [name for name in _FROM_OPTION.findall(line.text) if name.lower() not in stages]
        yield line.text, [_reference(name, f"{where}:{line.number}") for name in dict.fromkeys(found)]


def _instructions(text: str, where: str) -> Iterator[_Line]:
    parts: list[str] = []
    first = 0
    if odd := next((char for char in text if char not in "\n\t" and not char.isprintable()), ""):
        # What one reader takes for the end of a line is a blank to another; \r too.
        raise FormatError("a character that readers read differently", where=where, got=ascii(odd), hint="remove it")
    for number, raw in enumerate(text.split("\n"), 1):
        if _DIRECTIVE.match(raw.strip()):
            raise FormatError(
                "a line that changes how the file is read", where=f"{where}:{number}", got=ascii(raw[:80])
            )
        if raw.lstrip().startswith("#"):
            continue
        first = first if parts else number
        parts.append(raw.rstrip().removesuffix("\\") if raw.rstrip().endswith("\\") else raw)
        if raw.rstrip().endswith("\\"):
            continue
        line = _Line("".join(parts), first)
        parts = []
        _refuse(line, where)
        yield line
    if parts:
        yield _Line("".join(parts), first)


def _refuse(line: _Line, where: str) -> None:
    stripped = line.text.strip()
    if re.match(r"FROM\b", stripped, re.IGNORECASE) and not _FROM.fullmatch(stripped):
        raise FormatError("a FROM that cannot be read", where=f"{where}:{line.number}", got=ascii(stripped[:80]))
    if _REMOTE.match(stripped):
        hint = "add it as a component of kind url, or copy it into the folder"
        raise FormatError("ADD of something remote, which nobody locked", where=f"{where}:{line.number}", hint=hint)
    if re.match(r"(RUN|COPY|ADD)\b.*<<", stripped, re.IGNORECASE):
        raise FormatError("here-documents are not taken", where=f"{where}:{line.number}", hint="write a script file")


def _reference(name: str, where: str) -> str:
    if "$" in name:
        raise FormatError("a base image in a variable", where=where, got=ascii(name[:80]), hint="write its name out")
    try:
        Reference.parse(name)
    except FormatError as exc:
        hint = "`latest` is never implied: write a tag or a digest"
        raise FormatError(exc.message, where=where, got=exc.got, want=exc.want, hint=hint) from exc
    return name
