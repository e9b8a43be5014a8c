"""Mirrors: where a registry's images are asked for instead of at itself. Pure; the forms users know.

`--mirror docker.io=host/path`, and registries.yaml of RKE2 and k3s (their documentation, "Private Registry
Configuration"): endpoints are tried in order, then the registry itself; rewrites hold for mirrors alone.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import urlsplit

from bundles.errors import FormatError, Problem, ProblemsError, SealiftError, UsageError
from bundles.registry import url as urls
from bundles.registry.place import Endpoint, Repository, direct, is_loopback, parse_prefix

ANY: Final = "*"
_GROUP: Final = re.compile(r"\$(?:\{(\w+)\}|(\d+))")


@dataclass(frozen=True, kw_only=True, slots=True)
class Mirror:
    """`origin` of a host that has another registry's images, `before` (a path before /v2), and rewrites of names."""

    origin: str
    before: str = ""
    rewrites: tuple[tuple[re.Pattern[str], str], ...] = ()

    def endpoint(self, repository: Repository) -> Endpoint:
        """Where this mirror has the repository; the first rewrite that fits counts."""
        path = repository.path
        for pattern, replacement in self.rewrites:
            if pattern.search(path):
                path = pattern.sub(replacement, path)
                break
        return Endpoint(origin=self.origin, before=self.before, path=path, host=self.origin.partition("://")[2])


@dataclass(frozen=True, kw_only=True, slots=True)
class Ways:
    """All ways to registries: mirrors by registry (`*`: any), and who is spoken to in plain http."""

    mirrors: Mapping[str, Sequence[Mirror]] = field(default_factory=dict)
    plain: bool | None = None  # None: loopback alone

    def to_pull(self, repository: Repository) -> list[Endpoint]:
        """Where to ask for something, in order: mirrors, then the registry itself."""
        mirrors = self.mirrors.get(repository.host, self.mirrors.get(ANY, ()))
        found = [*(mirror.endpoint(repository) for mirror in mirrors), self.to_push(repository)]
        return list(dict.fromkeys(found))

    def to_push(self, repository: Repository) -> Endpoint:
        """The registry itself."""
        return direct(repository, plain=self.is_plain(repository.host))

    def is_plain(self, host: str) -> bool:
        """Whether a registry is spoken to in plain http."""
        return is_loopback(host) if self.plain is None else self.plain


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


def read_registries(document: Any, *, where: object) -> Ways:
    """A parsed registries.yaml -> Ways; raises ProblemsError with all that is wrong. `configs` are not looked at."""
    problems: list[Problem] = []
    plain = document if document is not None else {}
    table = (plain.get("mirrors") or {}) if isinstance(plain, dict) else None
    if not isinstance(table, dict):
        raise ProblemsError(where, [Problem(where=f"{where}: mirrors", message="want an object")])
    mirrors: dict[str, list[Mirror]] = {}
    for registry, entry in table.items():
        place = f"{where}: mirrors: {registry}"
        if not isinstance(entry, dict | None):
            problems.append(Problem(where=place, message="want an object"))
            continue
        rewrites = _rewrites((entry or {}).get("rewrite") or {}, place, problems)
        endpoints = (entry or {}).get("endpoint") or (entry or {}).get("endpoints") or []
        made = [_mirror(text, rewrites, place, problems) for text in endpoints] if isinstance(endpoints, list) else []
        mirrors[str(registry)] = [mirror for mirror in made if mirror is not None]
    if problems:
        raise ProblemsError(where, problems)
    return Ways(mirrors=mirrors)


def registries_yaml(host: str, prefix: str, domains: Iterable[str], *, plain: bool) -> str:
    """The registries.yaml with which nodes ask HOST/PREFIX for the images of these registries (`domains`)."""
    lines = ["mirrors:"]
    for domain in sorted(set(domains)):
        lines += [f'  "{domain}":', "    endpoint:", f'      - "{"http" if plain else "https"}://{host}"']
        if prefix:
            lines += ["    rewrite:", f'      "^(.*)$": "{prefix}/$1"']
    return "\n".join(lines) + "\n"


def _mirror(
    text: Any, rewrites: tuple[tuple[re.Pattern[str], str], ...], place: str, problems: list[Problem]
) -> Mirror | None:
    try:
        if not isinstance(text, str):
            raise FormatError("an endpoint is a URL")
        url = text if "://" in text else f"https://{text}"
        urls.origin(url)
        parts = urlsplit(url)
    except SealiftError as exc:
        problems.append(Problem(where=place, message=f"not an endpoint: {exc.message}"))
        return None
    before = parts.path.rstrip("/").removesuffix("/v2")
    return Mirror(origin=f"{parts.scheme}://{parts.netloc}", before=before, rewrites=rewrites)


def _rewrites(table: Any, place: str, problems: list[Problem]) -> tuple[tuple[re.Pattern[str], str], ...]:
    """Go's regular expressions and `$1` as Python has them; for what both know they are the same."""
    if not isinstance(table, dict):
        problems.append(Problem(where=place, message="rewrite: want an object"))
        return ()
    found = []
    for pattern, replacement in table.items():
        try:
            compiled = re.compile(str(pattern))
            text = _GROUP.sub(r"\\g<\1\2>", str(replacement).replace("\\", r"\\"))
            compiled.sub(text, "")
        except (re.error, IndexError) as exc:
            problems.append(Problem(where=place, message=f"rewrite: not a pattern: {exc}"))
            continue
        found.append((compiled, text))
    return tuple(found)
