"""`WWW-Authenticate`: what a registry asks for (RFC 9110 11.6.1, distribution's token specification). Pure, strict."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from bundles.errors import FormatError

_MAX: Final = 8 << 10  # characters
_TOKEN: Final = r"[!#$%&'*+.^_`|~0-9A-Za-z-]+"
_SCHEME: Final = re.compile(rf"({_TOKEN})(?:[ ]+|(?=,|\Z))")
_PARAMETER: Final = re.compile(
    rf'({_TOKEN})[ \t]*=[ \t]*(?:"((?:[^"\\\x00-\x08\x0a-\x1f\x7f]|\\[\t -~])*)"|({_TOKEN}))'
)
_COMMA: Final = re.compile(r"[ \t]*,[ \t,]*|[ \t]*\Z")


@dataclass(frozen=True, kw_only=True, slots=True)
class Challenge:
    """`scheme` in lower case (`basic`, `bearer`), parameters with their names in lower case."""

    scheme: str
    parameters: dict[str, str]


def parse(headers: Sequence[str], *, where: object) -> list[Challenge]:
    """All `WWW-Authenticate` headers of an answer -> its challenges in order.

    Raises FormatError for anything malformed or a parameter twice: two readers could see two realms.
    """
    found: list[Challenge] = []
    for header in headers:
        if len(header) > _MAX:
            raise FormatError("WWW-Authenticate too long", where=where, got=f"{len(header)} characters")
        found += _one(header, where)
    return found


def _one(header: str, where: object) -> list[Challenge]:
    found: list[Challenge] = []
    at = 0
    while at < len(header):
        parameter = _PARAMETER.match(header, at) if found else None
        scheme = None if parameter else _SCHEME.match(header, at)
        if parameter is not None:
            name, quoted, token = parameter.groups()
            if name.lower() in found[-1].parameters:
                raise FormatError("WWW-Authenticate with a parameter twice", where=where, got=ascii(name))
            value = re.sub(r"\\(.)", r"\1", quoted) if quoted is not None else token
            found[-1].parameters[name.lower()] = value
            at = _after(header, parameter.end(), where)
        elif scheme is not None:
            found.append(Challenge(scheme=scheme[1].lower(), parameters={}))
            at = scheme.end()
            if header[at : at + 1] == ",":
                at = _after(header, at, where)
        else:
            raise _malformed(header, where)
    return found


def _after(header: str, at: int, where: object) -> int:
    if (comma := _COMMA.match(header, at)) is None:
        raise _malformed(header, where)
    return comma.end()


def _malformed(header: str, where: object) -> FormatError:
    return FormatError("malformed WWW-Authenticate", where=where, got=ascii(header[:200]), want='Bearer realm="..."')
