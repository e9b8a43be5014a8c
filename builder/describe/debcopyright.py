"""The licences of a Debian package, from its machine-readable copyright file (DEP-5, format 1.0). Pure.

Every licence of every `Files` stanza counts, joined by AND: the package says so of its source. Names that DEP-5
defines become SPDX identifiers; others become LicenseRefs, with the text that the file gives for them. A file in
another form says nothing here.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final

_FORMAT = re.compile(r"Format:\s*https?://www\.debian\.org/doc/packaging-manuals/copyright-format/1\.0/?\s*$", re.I)
# Names of DEP-5 (section 7.1) whose meaning is that of one SPDX identifier; versions are handled apart.
_SAME: Final = {
    "apache-2.0": "Apache-2.0",
    "artistic-2.0": "Artistic-2.0",
    "beerware": "Beerware",
    "bsd-2-clause": "BSD-2-Clause",
    "bsd-3-clause": "BSD-3-Clause",
    "bsd-4-clause": "BSD-4-Clause",
    "bsl-1.0": "BSL-1.0",
    "cc-by-sa-4.0": "CC-BY-SA-4.0",
    "cc0-1.0": "CC0-1.0",
    "expat": "MIT",
    "isc": "ISC",
    "mpl-1.1": "MPL-1.1",
    "mpl-2.0": "MPL-2.0",
    "x11": "X11",
    "zlib": "Zlib",
}
_GNU = re.compile(r"(l?gpl|agpl|gfdl)-(\d)(?:\.(\d))?(\+?)")
_MAX_TEXT: Final = 1 << 20  # bytes of a copyright file; the largest in Debian has less


@dataclass(frozen=True, kw_only=True, slots=True)
class Declared:
    """`expression` is SPDX's, empty when nothing can be said; `texts` belong to its LicenseRefs."""

    expression: str = ""
    texts: Mapping[str, str] = field(default_factory=dict)


def declared(text: str, source: str) -> Declared:
    """A copyright file and the name of its source package, which LicenseRefs carry -> what it declares."""
    stanzas = list(_stanzas(text[:_MAX_TEXT]))
    if not stanzas or not _FORMAT.match(f"Format: {stanzas[0].get('format', '').strip()}"):
        return Declared()
    licences = [each["license"] for each in stanzas if "license" in each]
    texts = {_short(value): _body(value) for value in licences if _body(value)}
    wanted = dict.fromkeys(_short(each["license"]) for each in stanzas if "files" in each and "license" in each)
    names = _Names(source, texts)
    expressions = [names.expression(short) for short in wanted]
    if not expressions or not all(expressions):
        return Declared()
    parts = sorted({part for expression in expressions for part in _conjuncts(expression)})
    expression = " AND ".join(parts) if len(parts) > 1 else parts[0].removeprefix("(").removesuffix(")")
    return Declared(expression=expression, texts=dict(sorted(names.used.items())))


class _Names:
    """DEP-5's short names as SPDX expressions; remembers the LicenseRefs that it had to make."""

    def __init__(self, source: str, texts: Mapping[str, str]) -> None:
        self._source = source
        self._texts = texts
        self.used: dict[str, str] = {}

    def expression(self, short: str) -> str:
        """`GPL-2+ or LGPL-3+` -> `GPL-2.0-or-later OR LGPL-3.0-or-later`; empty when a name has no text either."""
        if " with " in short.lower():  # which version of the exception is meant, the name does not say
            return self._reference(short)
        found = [self._one(name) for name in re.split(r",?\s+(?:and|or)\s+|,\s*", short, flags=re.IGNORECASE)]
        operators = {word.lower() for word in re.findall(r"\s(and|or)\s", short, re.IGNORECASE)}
        if len(operators) > 1 or ("," in short and not operators):
            return self._reference(short)  # a comma binds weaker than the words: not worth a parser
        if not all(found):
            return self._reference(short)
        return (" OR " if operators == {"or"} else " AND ").join(found)

    def _one(self, name: str) -> str:
        plain = name.strip().lower()
        if plain in _SAME:
            return _SAME[plain]
        if found := _GNU.fullmatch(plain):
            family, major, minor, later = found.groups()
            return f"{family.upper()}-{major}.{minor or 0}-{'or-later' if later else 'only'}"
        return self._reference(name.strip())

    def _reference(self, name: str) -> str:
        if not (text := self._texts.get(name, "")):
            return ""
        reference = f"LicenseRef-debian-{_identifier(self._source)}-{_identifier(name)}"
        self.used[reference] = text
        return reference


def _conjuncts(expression: str) -> list[str]:
    return [f"({expression})"] if " OR " in expression else expression.split(" AND ")


def _identifier(text: str) -> str:
    """SPDX's idstring: letters, digits, `.` and `-`."""
    return re.sub(r"[^A-Za-z0-9.-]+", "-", text).strip("-")


def _short(value: str) -> str:
    return value.partition("\n")[0].strip()


def _body(value: str) -> str:
    """The lines below a short name, as they were before the format indented them (a lone dot is an empty line)."""
    lines = [line[1:] if line[:1] in (" ", "\t") else line for line in value.split("\n")[1:]]
    return "\n".join("" if line.strip() == "." else line.rstrip() for line in lines).strip("\n")


def _stanzas(text: str) -> Iterator[dict[str, str]]:
    """Deb822 paragraphs: fields in small letters, values with their continuation lines."""
    fields: dict[str, str] = {}
    last = ""
    for line in [*text.splitlines(), ""]:
        if not line.strip():
            if fields:
                yield fields
            fields, last = {}, ""
        elif line[0] in " \t" and last:
            fields[last] += f"\n{line}"
        elif line[0] != "#" and ":" in line:
            last, _, value = line.partition(":")
            last = last.strip().lower()
            fields[last] = value.strip()
