"""Every error Sealift raises on purpose, split by whose fault it is.

    SealiftError                exit 1   something failed, is damaged, malformed or missing
    |-- FormatError             exit 1   bytes that are not what the format says
    |   `-- LimitError          exit 1   a bound (size, count, ratio, depth) was crossed
    |-- MissingError            exit 1   something that must be there is not
    |-- UsageError              exit 2   wrong usage, or a wrong document of the user's (recipe, lock)
    |   `-- ProblemsError       exit 2   several problems of one document, shown at once
    `-- TrustError              exit 3   refused: signature, policy, rollback, expiry

Libraries raise these and never print or exit; only the two command lines turn them into text and a code. Our own bugs
stay plain exceptions.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import ClassVar

from bundles.masking import masked


def printable(text: str) -> str:
    """`text` as one line that a terminal shows and does not obey: escape sequences, line ends, direction marks escaped.

    File names and documents of others end in messages; what cannot be seen must not steer a terminal or a log reader.
    """
    return text if text.isprintable() else "".join(char if char.isprintable() else ascii(char)[1:-1] for char in text)


def printable_lines(text: str, indent: str = "") -> str:
    """The same with line ends kept; `indent` before further lines, so that none can be taken for a line of ours."""
    return f"\n{indent}".join(map(printable, text.split("\n")))


class SealiftError(Exception):
    """What is wrong, where, got and want, and what to do.

    Args:
        message: one sentence that says what is wrong.
        where: file, `file:line:key`, archive member or blob digest.
        got: the value found.
        want: the value expected.
        hint: what the user can do about it.
    """

    exit_code: ClassVar[int] = 1

    def __init__(
        self, message: str, *, where: object = "", got: object = "", want: object = "", hint: str = ""
    ) -> None:
        """See the class."""
        super().__init__(message)
        self.message = message
        self.where = str(where)
        self.got = str(got)
        self.want = str(want)
        self.hint = hint

    def __str__(self) -> str:
        """The whole error as the command lines show it, without a leading `error:`, and without credentials."""
        message = printable_lines(self.message)
        lines = [f"{printable(self.where)}: {message}" if self.where else message]
        told = (("got", self.got), ("want", self.want))
        lines += [f"  {name}: {printable_lines(value, ' ' * 7)}" for name, value in told if value]
        if self.hint:
            lines.append(f"  do: {printable_lines(self.hint, ' ' * 6)}")
        return masked("\n".join(lines))


class FormatError(SealiftError):
    """Bytes that are not what the format says: damaged, truncated, malformed or ambiguous."""


class LimitError(FormatError):
    """A length, count, ratio or depth above its bound; raised before anything of that size is allocated."""


class MissingError(SealiftError):
    """A file, image, tool or network that must be there is not."""


class UsageError(SealiftError):
    """Wrong usage, or a wrong document of the user's."""

    exit_code = 2


class TrustError(SealiftError):
    """Refused for trust, before anything else in the bundle is parsed."""

    exit_code = 3


@dataclass(frozen=True, kw_only=True, slots=True)
class Problem:
    """One problem of a document: `where` is `file:line:key`."""

    where: str
    message: str
    hint: str = ""

    def __str__(self) -> str:
        """One or two lines."""
        return masked(
            printable(f"{self.where}: {self.message}") + (f"\n  do: {printable(self.hint)}" if self.hint else "")
        )


class ProblemsError(UsageError):
    """All problems of one document at once, in the order of the document."""

    def __init__(self, document: object, problems: Iterable[Problem]) -> None:
        """Takes the document's name and at least one problem."""
        self.problems = tuple(problems)
        count = len(self.problems)
        super().__init__(f"{document}: {count} problem{'s' if count != 1 else ''}")

    def __str__(self) -> str:
        """The count, then each problem."""
        return "\n".join([printable(self.message), *map(str, self.problems)])
