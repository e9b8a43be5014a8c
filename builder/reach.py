"""How a command reaches registries, as its options say it; connections are made when something is asked."""

import contextlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from bundles.registry.mirrors import parse_mirrors
from bundles.registry.protocol import Registry


@dataclass(frozen=True, kw_only=True, slots=True)
class Reach:
    """`ca`: files of CA certificates; `plain`: http or TLS where that is said; `mirrors` as `--mirror`; `limit_rate`
    as `--limit-rate`.
    """

    ca: tuple[Path, ...] = ()
    plain: bool | None = None
    mirrors: tuple[str, ...] = ()
    limit_rate: str | None = None

    def __post_init__(self) -> None:
        """A wrong option is said in the first second; raises UsageError."""
        parse_mirrors(self.mirrors, plain=self.plain)

    @contextlib.contextmanager
    def opened(self, env: Mapping[str, str]) -> Iterator[Registry]:
        """The client of all registries, with the credentials that the environment names; closed at the end."""
        from builder.registry import open_registry  # urllib3 and TLS: a tenth of a second that many builds do not need

        registry = open_registry(env, ca=self.ca, plain=self.plain, mirrors=self.mirrors, limit_rate=self.limit_rate)
        try:
            yield registry
        finally:
            registry.close()
