"""Which registries a node may ask for its runtime image, in order: those that its configuration names, no other."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from bundles.digest import Digest
from bundles.platform import Platform
from bundles.reference import DEFAULT_DOMAIN, Reference
from bundles.registry.mirrors import Ways
from bundles.registry.place import Endpoint, Repository, parse_prefix
from bundles.registry.registriesyaml import Registries
from bundles.registry.timing import Timing, real_timing
from bundles.talk import Progress, SilentProgress


@dataclass(frozen=True, kw_only=True, slots=True)
class Named:
    """What the configuration names.

    Args:
        registries: registries.yaml.
        system_default: `system-default-registry`, HOST[:PORT][/PATH]; empty: none.
        default_endpoints: False: a registry that has mirrors is not asked itself.
    """

    registries: Registries
    system_default: str = ""
    default_endpoints: bool = True


@dataclass(frozen=True, kw_only=True, slots=True)
class Network:
    """How `extract` may use the network.

    Args:
        named: the registries of the configuration.
        env: proxies, and where the user's own credentials lie.
        unsigned: an image that no bundle vouches for is taken.
        admit: is told of such an image before anything of it is used (image, where it comes from, its digest).
        timing: clock and sleep.
        progress: is told of bytes that came.
    """

    named: Named
    env: Mapping[str, str] = field(repr=False)
    unsigned: bool
    admit: Callable[[str, str, Digest], None]
    timing: Timing = field(default_factory=real_timing)
    progress: Progress = field(default_factory=SilentProgress)


@dataclass(frozen=True, kw_only=True, slots=True)
class Wanted:
    """An image: `digest` where a staged bundle says it; `typed`: the reference is the administrator's own words."""

    reference: Reference
    platform: Platform
    digest: Digest | None
    typed: bool


def ways_to(reference: Reference, named: Named, *, typed: bool) -> list[Endpoint]:
    """Where the image may be asked for; empty: nowhere.

    `typed`: the reference is the administrator's own words: then its registry is one that was named, and
    `system-default-registry` does not count (rke2 pkg/images/images.go, GetReference). docker.io is asked only by way
    of its mirrors, as long as none of them is docker.io itself.
    """
    place = Repository(host=reference.domain, path=reference.repository)
    if named.system_default and not typed:
        host, prefix = parse_prefix(named.system_default)
        place = Repository(host=host, path=f"{prefix}/{place.path}" if prefix else place.path)
    ways = named.registries.ways()
    mirrors = ways.mirrored(place)
    hosts = {place.host} if typed or named.system_default else set(named.registries.configs)
    allowed = place.host != DEFAULT_DOMAIN and place.host in hosts
    own = [ways.to_push(place)] if allowed and (named.default_endpoints or not mirrors) else []
    return list(dict.fromkeys([*mirrors, *own]))


def only(endpoint: Endpoint, repository: Repository) -> Ways:
    """A client's ways that all lead to this endpoint."""
    return _Only(endpoint=endpoint, repository=repository)


@dataclass(frozen=True, kw_only=True, slots=True)
class _Only(Ways):
    endpoint: Endpoint
    repository: Repository

    def to_pull(self, repository: Repository) -> list[Endpoint]:
        return [self.endpoint] if repository == self.repository else []

    def to_push(self, repository: Repository) -> Endpoint:
        return self.endpoint
