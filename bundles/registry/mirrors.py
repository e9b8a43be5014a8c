"""Mirrors: where a registry's images are asked for instead of at itself. Pure; the forms users know.

`--mirror docker.io=host/path` here, the file registries.yaml in registriesyaml: mirrors are tried in order, then the
registry itself; rewrites hold for mirrors alone.
"""

import re
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from bundles.errors import UsageError
from bundles.reference import DEFAULT_DOMAIN
from bundles.registry.place import HUB, ROOT, Endpoint, Repository, direct, is_loopback, parse_prefix

ANY: Final = "*"
Replacement = str | Callable[[re.Match[str]], str]


@dataclass(frozen=True, kw_only=True, slots=True)
class Mirror:
    """A host that has another registry's images: `origin`, `root` (the path of its API), and rewrites of names."""

    origin: str
    root: str = ROOT
    rewrites: tuple[tuple[re.Pattern[str], Replacement], ...] = ()

    def endpoint(self, repository: Repository) -> Endpoint:
        """Where this mirror has the repository; the first rewrite that fits counts."""
        path = repository.path
        for pattern, replacement in self.rewrites:
            if pattern.search(path):
                path = pattern.sub(replacement, path)
                break
        root = self.root
        if root.startswith(f"{ROOT}/"):  # a path of its own behind /v2 is part of the name there, for tokens too
            path, root = f"{root.removeprefix(f'{ROOT}/')}/{path}", ROOT
        return Endpoint(origin=self.origin, root=root, path=path, host=_named(self.origin.partition("://")[2]))


@dataclass(frozen=True, kw_only=True, slots=True)
class Ways:
    """All ways to registries: mirrors by registry (`*`: any), and who is spoken to in plain http.

    `plain` None: loopback alone, but for the hosts in `secure`.
    """

    mirrors: Mapping[str, Sequence[Mirror]] = field(default_factory=dict)
    plain: bool | None = None
    secure: Collection[str] = ()

    def to_pull(self, repository: Repository) -> list[Endpoint]:
        """Where to ask for something, in order: mirrors, then the registry itself."""
        return list(dict.fromkeys([*self.mirrored(repository), self.to_push(repository)]))

    def mirrored(self, repository: Repository) -> list[Endpoint]:
        """Its mirrors alone."""
        mirrors = self.mirrors.get(repository.host, self.mirrors.get(ANY, ()))
        return [mirror.endpoint(repository) for mirror in mirrors]

    def to_push(self, repository: Repository) -> Endpoint:
        """The registry itself."""
        return direct(repository, plain=self.is_plain(repository.host))

    def is_plain(self, host: str) -> bool:
        """Whether a registry is spoken to in plain http."""
        return is_loopback(host) and host not in self.secure if self.plain is None else self.plain


def parse_mirrors(words: Iterable[str], *, plain: bool | None = None) -> Ways:
    """`--mirror REGISTRY=HOST[/PREFIX]`, any number -> Ways; raises UsageError."""
    mirrors: dict[str, list[Mirror]] = {}
    for word in words:
        registry, equals, target = word.partition("=")
        if not equals or not registry or not target or "/" in registry:
            raise UsageError("not a mirror", got=ascii(word[:200]), want="REGISTRY=HOST[:PORT][/PREFIX]")
        host, prefix = parse_prefix(re.sub(r"\Ahttps?://", "", target))
        http = target.startswith("http://") or (
            not target.startswith("https://") and (is_loopback(host) if plain is None else plain)
        )
        rewrites = ((re.compile(r"\A"), f"{prefix}/"),) if prefix else ()
        origin = f"{'http' if http else 'https'}://{host}"
        mirrors.setdefault(registry, []).append(Mirror(origin=origin, rewrites=rewrites))
    return Ways(mirrors=mirrors, plain=plain)


def registries_yaml(host: str, prefix: str, domains: Iterable[str], *, plain: bool) -> str:
    """The registries.yaml with which nodes ask HOST/PREFIX for the images of these registries (`domains`)."""
    lines = ["mirrors:"]
    for domain in sorted(set(domains)):
        lines += [f'  "{domain}":', "    endpoint:", f'      - "{"http" if plain else "https"}://{host}"']
        if prefix:
            lines += ["    rewrite:", f'      "^(.*)$": "{prefix}/$1"']
    return "\n".join(lines) + "\n"


def _named(host: str) -> str:
    """The registry whose credentials a host gets: Docker Hub's real host is called docker.io in all files."""
    return DEFAULT_DOMAIN if host == HUB else host
