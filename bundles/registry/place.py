"""Where things are in registries, and which URLs that means. Pure.

A `Repository` is a name (`docker.io/rancher/x`); an `Endpoint` is one way to it: the registry itself, or a mirror that
has it under another name.
"""

import ipaddress
from dataclasses import dataclass
from typing import Final

from bundles.digest import Digest
from bundles.errors import FormatError, UsageError
from bundles.reference import DEFAULT_DOMAIN, Reference

HUB: Final = "registry-1.docker.io"  # where docker.io answers; docker's own client knows it by heart as well
HUB_NAMES: Final = ("docker.io", "index.docker.io", HUB)
ROOT: Final = "/v2"  # distribution-spec, "Endpoints"


@dataclass(frozen=True, kw_only=True, slots=True, order=True)
class Repository:
    """A repository: `host` as in image names (`docker.io`, `site:5000`), `path` below it."""

    host: str
    path: str

    def __str__(self) -> str:
        """`host/path`."""
        return f"{self.host}/{self.path}"


@dataclass(frozen=True, kw_only=True, slots=True)
class Place:
    """`HOST/PATH[:TAG][@DIGEST]` on a command line; without both, the command decides on a tag."""

    repository: Repository
    tag: str | None = None
    digest: Digest | None = None

    @property
    def reference(self) -> str:
        """What a manifest is asked by: the digest, else the tag; empty when there is neither."""
        return str(self.digest) if self.digest else (self.tag or "")

    def __str__(self) -> str:
        """The normalised text."""
        tail = (f":{self.tag}" if self.tag else "") + (f"@{self.digest}" if self.digest else "")
        return f"{self.repository}{tail}"


def parse_place(text: str) -> Place:
    """Text -> Place. The registry is always named: nothing goes to docker.io by accident. Raises UsageError."""
    bare = text.removeprefix("oci://")
    first = bare.partition("/")[0]
    if "/" not in bare or not ("." in first or ":" in first or first == "localhost"):
        raise UsageError("a place without its registry", got=ascii(text[:300]), want="HOST[:PORT]/REPOSITORY[:TAG]")
    tagged = "@" in bare or ":" in bare.rpartition("/")[2]
    try:
        parsed = Reference.parse(bare if tagged else f"{bare}:none")
    except FormatError as exc:
        want = "HOST[:PORT]/REPOSITORY[:TAG]"
        raise UsageError(
            exc.message.replace("an image reference", "a place"), got=ascii(text[:300]), want=want
        ) from exc
    repository = Repository(host=parsed.domain, path=parsed.repository)
    return Place(repository=repository, tag=parsed.tag if tagged else None, digest=parsed.digest)


def parse_prefix(text: str) -> tuple[str, str]:
    """`HOST[:PORT][/PREFIX]` -> the host and the prefix (may be empty); raises UsageError."""
    host, _, prefix = text.removeprefix("oci://").rstrip("/").partition("/")
    place = parse_place(f"{host}/{prefix}/x" if prefix else f"{host}/x")
    return place.repository.host, prefix


@dataclass(frozen=True, kw_only=True, slots=True, order=True)
class Endpoint:
    """One way to a repository: `origin` (`https://HOST[:PORT]`), `root` (the API's path, nearly always /v2), `path`.

    `host` names the registry whose credentials count: that of the URL, and `docker.io` for its real host.
    """

    origin: str
    path: str
    host: str
    root: str = ROOT

    def url(self, tail: str) -> str:
        """`ROOT/PATH/TAIL` there."""
        return f"{self.origin}{self.root}/{self.path}/{tail}"

    def __str__(self) -> str:
        """For errors: without the scheme."""
        return f"{self.origin.partition('://')[2]}{self.root.removesuffix(ROOT)}/{self.path}"


def direct(repository: Repository, *, plain: bool) -> Endpoint:
    """The registry itself, over http when `plain`."""
    host = HUB if repository.host == DEFAULT_DOMAIN else repository.host
    scheme = "http" if plain else "https"
    return Endpoint(origin=f"{scheme}://{host}", path=repository.path, host=repository.host)


def is_loopback(host: str) -> bool:
    """Whether `HOST[:PORT]` is this machine itself: there, plain http is what registries speak (as docker has it)."""
    name = host.rpartition(":")[0] if host.rpartition(":")[2].isdigit() and not host.endswith("]") else host
    name = name.strip("[]")
    if name == "localhost":
        return True
    try:
        return ipaddress.ip_address(name).is_loopback
    except ValueError:
        return False
