"""How a command reaches registries, as its options say it; connections are made when something is asked."""

import contextlib
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from bundles.registry.bandwidth import Bucket, parse_rate
from bundles.registry.mirrors import parse_mirrors
from bundles.registry.protocol import Registry


@dataclass(frozen=True, kw_only=True, slots=True)
class Reach:
    """`ca`: files of CA certificates; `plain`: http or TLS where that is said; `mirrors` as `--mirror`; `limit_rate`
    as `--limit-rate`, which all connections share through `bucket`, those to URLs too.
    """

    ca: tuple[Path, ...] = ()
    plain: bool | None = None
    mirrors: tuple[str, ...] = ()
    limit_rate: str | None = None
    bucket: Bucket = field(init=False, compare=False, repr=False)
    _kept: list[Registry] = field(init=False, compare=False, repr=False)

    def __post_init__(self) -> None:
        """A wrong option is said in the first second; raises UsageError."""
        parse_mirrors(self.mirrors, plain=self.plain)
        rate = parse_rate(self.limit_rate) if self.limit_rate else 0
        object.__setattr__(self, "bucket", Bucket(rate, time.monotonic))  # frozen, but for what is made here
        object.__setattr__(self, "_kept", [])

    @contextlib.contextmanager
    def kept(self, env: Mapping[str, str]) -> Iterator[None]:
        """Within the block `opened` gives one client to all, with the connections and tokens that it has already."""
        with self.opened(env) as registry:
            self._kept.append(registry)
            try:
                yield
            finally:
                self._kept.pop()

    @contextlib.contextmanager
    def opened(self, env: Mapping[str, str]) -> Iterator[Registry]:
        """The client of all registries, with the credentials that the environment names; closed at the end."""
        if self._kept:
            yield self._kept[-1]
            return
        from builder.registry import open_registry  # urllib3 and TLS: a tenth of a second that many builds do not need

        registry = open_registry(env, ca=self.ca, plain=self.plain, mirrors=self.mirrors, bucket=self.bucket)
        try:
            yield registry
        finally:
            registry.close()
