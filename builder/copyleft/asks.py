"""Does a licence ask whoever passes a program on to pass on its source? Pure.

Only what is known to ask for nothing is left out; a licence that nobody declared, or that is not known here, is
treated as asking. This is a rule for collecting, no legal advice.
"""

import re
from dataclasses import dataclass
from typing import Final

# Of the SPDX licence list: notices must be kept, sources need not be given.
_NOTHING: Final = frozenset(
    {
        *("0BSD", "Apache-2.0", "BSD-1-Clause", "BSD-2-Clause", "BSD-3-Clause", "BSD-4-Clause", "BSL-1.0", "Beerware"),
        *("CC0-1.0", "ISC", "MIT", "MIT-0", "PostgreSQL", "Unicode-3.0", "Unlicense", "X11", "Zlib"),
    }
)
_COPYLEFT: Final = re.compile(r"(?:A?GPL|LGPL|GFDL|MPL|EPL|CDDL|EUPL|OSL|CPL|IPL|CECILL|CC-BY-SA|MS-RL|Ruby)\b.*")
_TOKEN: Final = re.compile(r"\(|\)|[^\s()]+")
_MOST: Final = 64  # brackets inside brackets; a declared licence has two


@dataclass(frozen=True, kw_only=True, slots=True)
class Verdict:
    """Whether the source is asked for, and why in words."""

    asked: bool
    why: str


def verdict(expression: str) -> Verdict:
    """SPDX expression ("" when nobody says one) -> whether it asks for the source."""
    if not expression or expression in ("NOASSERTION", "NONE"):
        return Verdict(asked=True, why="no licence is declared: treated as asking")
    tokens = _TOKEN.findall(expression)
    parser = _Parser(tokens)
    try:
        asking = parser.either(0)
        whole = parser.at == len(tokens)
    except (IndexError, RecursionError):
        whole = False
    if not whole:
        return Verdict(asked=True, why=f"{expression} cannot be read: treated as asking")
    if not asking:
        return Verdict(asked=False, why=f"{expression} asks for no source")
    known = [name for name in asking if _COPYLEFT.fullmatch(name)]
    if known:
        return Verdict(asked=True, why=f"{', '.join(known)} asks for it")
    return Verdict(asked=True, why=f"{', '.join(asking)} is not known here: treated as asking")


class _Parser:
    """SPDX annex D: OR binds weaker than AND, AND weaker than WITH. Gives the licences that ask; none when free."""

    def __init__(self, tokens: list[str]) -> None:
        self._tokens = tokens
        self.at = 0

    def either(self, depth: int) -> list[str]:
        """The choice that asks for least."""
        best = self._all(depth)
        while self._take("OR"):
            other = self._all(depth)
            best = other if len(other) < len(best) else best
        return best

    def _all(self, depth: int) -> list[str]:
        found = self._one(depth)
        while self._take("AND"):
            found = list(dict.fromkeys([*found, *self._one(depth)]))
        return found

    def _one(self, depth: int) -> list[str]:
        if depth > _MOST:
            raise IndexError
        word = self._tokens[self.at]
        self.at += 1
        if word == "(":
            found = self.either(depth + 1)
            if not self._take(")"):
                raise IndexError
            return found
        if word in (")", "AND", "OR", "WITH"):
            raise IndexError
        if self._take("WITH"):
            self.at += 1
            if self.at > len(self._tokens):
                raise IndexError
        return [] if word.removesuffix("+") in _NOTHING else [word]

    def _take(self, word: str) -> bool:
        if self.at < len(self._tokens) and self._tokens[self.at] == word:
            self.at += 1
            return True
        return False
