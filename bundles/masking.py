"""Credentials out of texts that are shown: addresses and names that hold some stand in errors, logs and tracebacks.

The last line of defence: whoever makes an error keeps secrets out of it, but an error also repeats what a user wrote
(a URL in a recipe, a proxy, a place on a command line) and what strangers say. Pure.
"""

import re
from typing import Final

STARS: Final = "***"
# RFC 3986 3.2.1 userinfo, a raw `/` in a password too. A port before a path with an `@` in it is none
# (`https://proxy:8080/module/@v/list`).
_ADDRESS: Final = re.compile(r"(?<=://)[^\s/?#@:\['\"<>]*(?::(?![0-9]*/)[^\s@]*)?(?=@)")
# The same without a scheme, as places and mirrors are written; an image's `name:tag@sha256:...` is none.
_BARE: Final = re.compile(r"(?<![^\s'\"=(,])[^\s/:@'\"=(,]+:(?!//)[^\s/@'\"]+(?=@(?!sha(?:256|384|512):)[A-Za-z0-9\[])")
_WORDS: Final = r"token|signature|secret|passw(?:or)?d|credentials?|api-?_?key|access-?_?key(?:-?_?id)?"
_NAME: Final = rf"(?:[A-Za-z0-9._-]*(?:{_WORDS})|sig|auth)"
_QUERY: Final = re.compile(rf"(?<=[?&])({_NAME}=)[^\s&'\"<>#]+", re.IGNORECASE)
_HEADER: Final = re.compile(r"\b(Basic|Bearer) +[A-Za-z0-9+/_.~=-]{12,}")


def masked(text: str) -> str:
    """The text with `***` for a user and password before a host, for what signs a query, and for a header's secret."""
    if "@" in text:
        text = _BARE.sub(STARS, _ADDRESS.sub(STARS, text))
    if "=" in text:
        text = _QUERY.sub(rf"\1{STARS}", text)
    return _HEADER.sub(rf"\1 {STARS}", text)


def secret_parameter(url: str) -> str:
    """The name of a parameter in the URL's query that is a password or a signature; empty for none."""
    found = _QUERY.search(url)
    return found[1].rstrip("=") if found else ""
