"""What registries.yaml of RKE2 and k3s says, as values: mirrors with rewrites, credentials and TLS by host. Pure."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import urlsplit

from bundles.registry.credentials import Credentials
from bundles.registry.mirrors import ANY, Mirror, Replacement, Ways
from bundles.registry.place import HUB, HUB_NAMES, ROOT, Repository
from bundles.registry.wire import HostTls

_GROUP: Final = re.compile(r"\$(?:\$|\{(\w+)\}|(\w+))")  # Go's regexp.Expand: the longest word after a $


@dataclass(frozen=True, kw_only=True, slots=True)
class Rewrite:
    """A rule for names: Go's regular expression and replacement, as typed."""

    pattern: str
    replacement: str

    def compiled(self) -> tuple[re.Pattern[str], Replacement]:
        """The same in Python's words, for what both know; raises re.error for what Python does not."""
        pattern = re.compile(self.pattern.replace("(?P<", "(?<").replace("(?<", "(?P<"))

        def replace(match: re.Match[str]) -> str:
            return _GROUP.sub(lambda found: _group(match, found), self.replacement)

        return pattern, replace


@dataclass(frozen=True, kw_only=True, slots=True)
class MirrorEntry:
    """A registry's mirrors: URLs with their scheme, in order, and the rewrites that hold for all of them."""

    endpoints: tuple[str, ...] = ()
    rewrites: tuple[Rewrite, ...] = ()


@dataclass(frozen=True, kw_only=True, slots=True)
class HostEntry:
    """What a host is shown and how it is trusted."""

    credentials: Credentials | None = None
    tls: HostTls = field(default_factory=HostTls)


@dataclass(frozen=True, kw_only=True, slots=True)
class Registries:
    """The whole file: mirrors by registry (`*`: any), entries by host (`*`: TLS for hosts without their own)."""

    mirrors: Mapping[str, MirrorEntry] = field(default_factory=dict)
    configs: Mapping[str, HostEntry] = field(default_factory=dict)

    def ways(self) -> Ways:
        """Where our client asks."""
        found = {}
        for registry, entry in self.mirrors.items():
            rules = tuple(one.compiled() for one in entry.rewrites)
            found[registry] = [_mirror(endpoint, rules) for endpoint in entry.endpoints]
        return Ways(mirrors=found, secure=self.secure())

    def secure(self) -> frozenset[str]:
        """Hosts that speak TLS wherever they are: something is said of their certificates."""
        return frozenset(host for host, entry in self.configs.items() if entry.tls != HostTls())

    def keys(self, repository: Repository) -> Credentials | None:
        """What the host of a repository is shown."""
        return self.entry(repository.host).credentials

    def tls(self) -> dict[str, HostTls]:
        """By `HOST[:PORT]` as in URLs, for every host that the file names."""
        hosts = {*self.configs, *(urlsplit(url).netloc for one in self.mirrors.values() for url in one.endpoints)}
        hosts |= {HUB} if hosts & set(HUB_NAMES) else set()
        return {host: self.entry(host).tls for host in hosts - {ANY}}

    def entry(self, host: str) -> HostEntry:
        """A host's own entry; docker.io has several names; else what `*` says."""
        names = HUB_NAMES if host in HUB_NAMES else (host,)
        found = [self.configs[name] for name in names if name in self.configs]
        return found[0] if found else HostEntry(tls=self.configs[ANY].tls if ANY in self.configs else HostTls())


def _mirror(endpoint: str, rules: tuple[tuple[re.Pattern[str], Replacement], ...]) -> Mirror:
    """An endpoint's path is the API's own path (containerd's `override_path`), unless it is none at all."""
    parts = urlsplit(endpoint)
    return Mirror(origin=f"{parts.scheme}://{parts.netloc}", root=parts.path or ROOT, rewrites=rules)


def _group(match: re.Match[str], found: re.Match[str]) -> str:
    """What `$1` or `${name}` stands for; a group that there is not, for nothing, as Go has it."""
    name = found[1] or found[2]
    if name is None:
        return "$"
    key: str | int = int(name) if name.isdigit() else name
    try:
        return match[key] or ""
    except IndexError:
        return ""
