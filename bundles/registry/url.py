"""URLs that a registry sends us to, and what may go there. Pure.

A redirect is somebody else's word: it never carries credentials to another host, and never takes us from TLS to plain
text, where anybody could answer.
"""

import re
from urllib.parse import urljoin, urlsplit

from bundles.errors import FormatError, SealiftError
from bundles.masking import masked

_PORTS = {"http": 80, "https": 443}
_NEXT = re.compile(r'<([^<>"]{1,4096})>\s*;\s*rel="?next"?')  # RFC 8288, as the distribution-spec has it
_MAX_URL = 16 << 10  # characters; presigned URLs of object stores are below 4 KiB


def origin(url: str) -> tuple[str, str, int]:
    """(scheme, host, port) of an absolute URL: what has to be equal for credentials to go along (RFC 6454).

    Raises FormatError for anything but http and https, for credentials within, and for what splits parsers.
    """
    if len(url) > _MAX_URL or not url.isascii() or not url.isprintable() or " " in url or "\\" in url:
        raise FormatError("not a URL", got=ascii(shown(url))[:200])
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:  # which repeats a part of it
        raise FormatError("not a URL", got=ascii(shown(url))[:200]) from None
    if parts.scheme not in _PORTS or not parts.hostname or "@" in parts.netloc:
        raise FormatError("not a URL of a registry", got=shown(url), want="http[s]://HOST[:PORT]/... without a user")
    return parts.scheme, parts.hostname, port or _PORTS[parts.scheme]


def same_origin(one: str, other: str) -> bool:
    """Whether credentials for one may go to the other."""
    return origin(one) == origin(other)


def follow(url: str, location: str, *, where: object) -> str:
    """The `Location` of an answer to `url`, made absolute; raises SealiftError when it must not be followed."""
    try:
        target = urljoin(url, location)
        scheme = origin(target)[0]
    except (ValueError, FormatError):
        raise FormatError("the registry sends us to no URL", where=where, got=ascii(shown(location))[:200]) from None
    if urlsplit(url).scheme == "https" and scheme != "https":
        hint = "a registry behind a TLS proxy has to be told its own address (distribution: http.host or relativeurls)"
        raise SealiftError(
            "the registry sends us from https to plain http", where=where, got=shown(target), want="https", hint=hint
        )
    return target.partition("#")[0]


def next_page(url: str, link: str | None, *, where: object) -> str | None:
    """The `Link` header of one page of a list -> the next page's URL, None for the last; raises as `follow`."""
    found = _NEXT.search(link or "")
    return follow(url, found[1], where=where) if found else None


def shown(url: str) -> str:
    """A URL for messages: without user and query, which may hold credentials or be a signature."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return ascii(masked(url.partition("?")[0])[:80])
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"[:300]


def with_query(url: str, name: str, value: str) -> str:
    """The URL with one more parameter; name and value need no escaping."""
    return f"{url}{'&' if '?' in url else '?'}{name}={value}"
