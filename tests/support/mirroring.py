"""Sealift's commands in this process, with what they said."""

import contextlib
import io
from dataclasses import dataclass

from builder.cli import run

_SILENT = ("lock", "build", "push", "pull")


@dataclass(frozen=True)
class Result:
    """Exit code, standard output, standard error."""

    code: int
    out: str
    err: str


def sealift(*words: object) -> Result:
    """`sealift WORDS...`."""
    out, err = io.StringIO(), io.StringIO()
    silent = ["--progress", "none"] if words[0] in _SILENT else []
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        code = run([*map(str, words), *silent])
    return Result(code, out.getvalue(), err.getvalue())


def done(*words: object) -> str:
    """The same, which must succeed: the last line of standard output."""
    result = sealift(*words)
    assert result.code == 0, result.err
    return result.out.splitlines()[-1] if result.out else ""
