"""Which licence a text is: an SPDX expression, or nothing. Pure.

A text counts only when all of it is known: the words of a licence (SPDX matching guidelines: case, punctuation,
blanks and notices of copyright do not count), with the headings that usually stand around it. Texts that hold several
licences were read by people and are known by the digest of their words. Nothing is ever guessed from a part of a
text: what is not known stays unknown, and documents say NOASSERTION.
"""

import functools
import hashlib
import re
from collections.abc import Iterable
from typing import Final

from builder.describe.licencetexts import BODIES, HEADINGS, NOTICES, READ

MAX_TEXT: Final = 1 << 20  # bytes; the longest licence, GPL-3.0, has 35 thousand
# A line that only names who owns the copyright. Lists of terms have a `(c)` too, and terms wrap before "copyright".
_NOTICE = re.compile(
    r"\W*(?:portions\s+)?(?:copyright\W*(?:\(c\)|©|\d{4}|[\[{<]|by\s|the\s[\w.\s-]*\bauthors)|(?:\(c\)|©)\W*\d{4})"
    r"|\W*all rights reserved\W*$",
    re.IGNORECASE,
)
_FILE = re.compile(r"(?:un)?(?:licen[sc]e|copying)(?:[._-][a-z0-9._-]*)?", re.IGNORECASE)
_NO_TEXT = (".csv", ".go", ".json", ".yaml", ".yml", ".html", ".pdf")
_WORD = re.compile(r"[a-z0-9]+")
_OPERATOR = re.compile(r" (?:AND|OR|WITH) |[()]")


def is_licence_file(name: str) -> bool:
    """Whether a file of this name at the root of a module holds a licence: LICENSE, LICENCE.md, COPYING.LESSER, ..."""
    return _FILE.fullmatch(name) is not None and not name.lower().endswith(_NO_TEXT)


def recognised(text: str) -> str:
    """A licence's text -> SPDX expression; empty when it is not known word for word."""
    found = words(text)
    if read := READ.get(hashlib.sha256(found.encode()).hexdigest()):
        return read
    body = _without(found, HEADINGS)
    for expression, patterns in _patterns().items():
        if any(pattern.fullmatch(f"{body} ") for pattern in patterns):
            return expression
    return _LONG.get(hashlib.sha256(_without(found, NOTICES).encode()).hexdigest(), "")


def combined(expressions: Iterable[str]) -> str:
    """The expressions of all licence files of a thing -> one for all; empty when there is none, or one is not known.

    A file that says how the others belong together (`MIT OR Apache-2.0`) speaks for them.
    """
    every = list(dict.fromkeys(expressions))
    if not every or "" in every:
        return ""
    ids = {expression: frozenset(filter(None, _OPERATOR.split(expression))) for expression in every}
    kept = [one for one in every if not any(ids[one] < ids[other] for other in every)]
    if len(kept) == 1:
        return kept[0]
    return " AND ".join(sorted(f"({one})" if " OR " in one else one for one in kept))


def words(text: str) -> str:
    """A text -> its words in small letters with one blank between, lines that only name owners left out."""
    lines = (line for line in text[:MAX_TEXT].splitlines() if not _NOTICE.match(line))
    return " ".join(_WORD.findall("\n".join(lines).lower().replace("https://", "http://")))


def _without(text: str, parts: Iterable[str]) -> str:
    """The text without those of the parts that stand at its begin or end."""
    again = True
    while again:
        again = False
        for part in parts:
            if text.startswith(part + " "):
                text, again = text[len(part) + 1 :], True
            elif text.endswith(" " + part):
                text, again = text[: -len(part) - 1], True
    return text


def _pattern(template: str) -> re.Pattern[str]:
    """A body -> its pattern, for a text that ends with a blank; names are bounded: they are no place for terms."""
    out = []
    for part in re.findall(r"<\d+>|\[[^]]*\]|[^\s<\[]+", template):
        if part.startswith("<"):
            out.append(rf"(?:[a-z0-9]+ ){{1,{part[1:-1]}}}?")
        elif part.startswith("["):
            out.append(f"(?:{'|'.join(f'{each} ' for each in part[1:-1].split('|'))})?")
        else:
            out.append(f"{part} ")
    return re.compile("".join(out))


@functools.cache
def _patterns() -> dict[str, tuple[re.Pattern[str], ...]]:
    return {
        expression: tuple(_pattern(body) for body in bodies if not body.startswith("sha256:"))
        for expression, bodies in BODIES.items()
    }


_LONG: Final = {
    body.removeprefix("sha256:"): expression
    for expression, bodies in BODIES.items()
    for body in bodies
    if body.startswith("sha256:")
}
