"""Where a key's passphrase comes from: a file, a descriptor, a variable, or the terminal. Never an argument.

Arguments stand in the process list and in shell histories. What is read here goes to the key file's cipher and
nowhere else: no log, no report, no error message; SEALIFT_PASSWORD is not handed on to programs that we start.
"""

import getpass
import os
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from bundles.errors import LimitError, UsageError
from bundles.files import os_errors

VARIABLES: Final = ("SEALIFT_PASSWORD", "COSIGN_PASSWORD")
_MAX: Final = 4096  # bytes


@dataclass(frozen=True, kw_only=True, slots=True)
class PassphraseSource:
    """What the command line says: at most one of a file, an open descriptor's number, a variable's name."""

    file: Path | None = None
    fd: int | None = None
    variable: str | None = None

    def __post_init__(self) -> None:
        given = [name for name in ("file", "fd", "variable") if getattr(self, name) is not None]
        if len(given) > 1:
            raise UsageError("more than one source of the passphrase", got=", ".join(given), want="one")

    def asker(self, env: Mapping[str, str], *, what: str, new: bool = False) -> Callable[[], bytes]:
        """A function that gets the passphrase when it is needed; `new`: a prompt asks twice.

        It raises UsageError when there is none and no terminal to ask on. Bytes as they are, without one newline at
        the end of a file. A variable counts when it is set, also to nothing, as with cosign.
        """

        def ask() -> bytes:
            if self.file is not None:
                with os_errors(self.file):
                    return _read(os.open(self.file, os.O_RDONLY | os.O_CLOEXEC), self.file)
            if self.fd is not None:
                with os_errors(f"descriptor {self.fd}"):
                    return _read(os.dup(self.fd), f"descriptor {self.fd}")
            said = _from_environment(self.variable, env)
            return _prompt(what, new) if said is None else said

        return ask


def _from_environment(variable: str | None, env: Mapping[str, str]) -> bytes | None:
    if variable is not None and variable not in env:
        raise UsageError("no such environment variable", where=variable)
    for name in (variable,) if variable is not None else VARIABLES:
        if name in env:
            return os.fsencode(env[name])
    return None


def _read(fd: int, where: object) -> bytes:
    with os.fdopen(fd, "rb") as file:
        data = file.read(_MAX + 1)
    if len(data) > _MAX:
        raise LimitError("passphrase too long", where=where, want=f"<= {_MAX} bytes")
    return data.removesuffix(b"\n").removesuffix(b"\r")


def _prompt(what: str, new: bool) -> bytes:
    if not sys.stdin.isatty():
        hint = f"use --password-file, --password-fd, --password-env, or set {VARIABLES[0]}"
        raise UsageError(f"no passphrase for {what}, and no terminal to ask on", hint=hint)
    first = getpass.getpass(f"Passphrase of {what}: ")
    if new and getpass.getpass("Once more: ") != first:
        raise UsageError("the two passphrases differ")
    return os.fsencode(first)
