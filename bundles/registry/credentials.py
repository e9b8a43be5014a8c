"""Credentials for registries, from the files that docker, podman and the others share. Pure: bytes come in.

docker's config.json: `auths`, `credHelpers`, `credsStore`; containers-auth.json(5): keys may go down to a repository.
"""

import base64
import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, Final

from bundles import jsontext
from bundles.errors import FormatError
from bundles.reference import DEFAULT_DOMAIN
from bundles.registry.place import HUB_NAMES, Repository

MAX_FILE: Final = 1 << 20  # bytes
_HELPER: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_IDENTITY: Final = "<token>"  # the user name with which helpers hand out identity tokens

Helper = Callable[[str, str], bytes | None]
"""Name of a helper (`docker-credential-NAME`) and a registry -> what `get` prints; None when it knows none."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Credentials:
    """A user and a password, or an identity token for the registry's token server. Neither is ever shown."""

    user: str = ""
    password: str = field(default="", repr=False)
    identity: str = field(default="", repr=False)

    @property
    def basic(self) -> str:
        """The value of an `Authorization: Basic` header (RFC 7617)."""
        return "Basic " + base64.b64encode(f"{self.user}:{self.password}".encode()).decode()

    def secrets(self) -> Iterator[str]:
        """What must never be in a message."""
        yield from (word for word in (self.password, self.identity, self.basic.partition(" ")[2]) if word)


@dataclass(frozen=True, kw_only=True, slots=True)
class AuthFile:
    """One such file, parsed: entries by normalised key, helpers by registry, and the helper for all others."""

    entries: dict[str, Credentials] = field(default_factory=dict)
    helpers: dict[str, str] = field(default_factory=dict)
    store: str = ""

    def find(self, repository: Repository, helper: Helper) -> Credentials | None:
        """The credentials for a repository: the longest key that fits; a registry's helper before all; None: none."""
        for host in _spellings(repository.host):
            if name := self.helpers.get(host):
                return _ask(name, host, helper)
        for host in _spellings(repository.host):
            parts = repository.path.split("/")
            for count in range(len(parts), -1, -1):
                if found := self.entries.get("/".join([host, *parts[:count]])):
                    return found
        if self.store:
            server = "https://index.docker.io/v1/" if repository.host == DEFAULT_DOMAIN else repository.host
            return _ask(self.store, server, helper)
        return None


def read_auth_file(data: bytes, *, where: object) -> AuthFile:
    """Bytes -> AuthFile; raises FormatError that never shows what the file holds."""
    plain = jsontext.decode_plain(data, where=where, max_size=MAX_FILE)
    auths = _table(plain, "auths", where)
    helpers = _table(plain, "credHelpers", where)
    store = plain.get("credsStore") or ""
    for name in [*helpers.values(), *([store] if store else [])]:
        if not isinstance(name, str) or not _HELPER.fullmatch(name):
            raise FormatError("not the name of a credential helper", where=where, want="letters, digits, . _ -")
    entries = {}
    for key, entry in auths.items():
        if not isinstance(entry, dict):
            raise FormatError("an entry that is no object", where=f"{where}: auths: {key}")
        if (found := _entry(entry, f"{where}: auths: {key}")) is not None:
            entries[_normal(key)] = found
    return AuthFile(entries=entries, helpers={_normal(key): name for key, name in helpers.items()}, store=store)


def _table(plain: Any, name: str, where: object) -> dict[str, Any]:
    found = plain.get(name) or {} if isinstance(plain, dict) else None
    if not isinstance(found, dict):
        raise FormatError("not a file of credentials", where=where, want=f"an object with {name}")
    return found


def basic_pair(text: str) -> tuple[str, str] | None:
    """Base64 of USER:PASSWORD (RFC 7617, section 2) -> both; None for what is none. From anybody, of any characters."""
    try:
        user, colon, password = base64.b64decode(text, validate=True).decode().partition(":")
    except ValueError:
        return None
    return (user, password) if colon else None


def _entry(entry: dict[str, Any], where: str) -> Credentials | None:
    words = {name: entry.get(name) or "" for name in ("auth", "username", "password", "identitytoken")}
    if not all(isinstance(word, str) for word in words.values()):
        raise FormatError("an entry with something other than text", where=where)
    user, password = words["username"], words["password"]
    if words["auth"]:
        pair = basic_pair(words["auth"])
        if pair is None:
            raise FormatError("`auth` is not base64 of USER:PASSWORD", where=where)
        user, password = pair[0], pair[1].rstrip("\x00")  # as docker does
    if words["identitytoken"]:
        return Credentials(user=user, identity=words["identitytoken"])
    return Credentials(user=user, password=password) if user else None  # `{}`: the helper has it


def _ask(name: str, host: str, helper: Helper) -> Credentials | None:
    """docker-credential-helpers' protocol: JSON with ServerURL, Username, Secret."""
    where = f"docker-credential-{name}"
    if (printed := helper(name, host)) is None:
        return None
    try:
        said = json.loads(printed)
        user, secret = said["Username"], said["Secret"]
    except (ValueError, KeyError, TypeError):
        raise FormatError("the helper printed no credentials", where=where, want='{"Username", "Secret"}') from None
    if not isinstance(user, str) or not isinstance(secret, str):
        raise FormatError("the helper printed no credentials", where=where, want='{"Username", "Secret"}')
    return Credentials(identity=secret) if user == _IDENTITY else Credentials(user=user, password=secret)


def _normal(key: str) -> str:
    """`https://index.docker.io/v1/` -> `index.docker.io`; scheme, API version and last slash are no part of a key."""
    bare = key.partition("://")[2] or key
    return re.sub(r"/v[12]/?\Z", "", bare).rstrip("/")


def _spellings(host: str) -> tuple[str, ...]:
    return HUB_NAMES if host in HUB_NAMES else (host,)
