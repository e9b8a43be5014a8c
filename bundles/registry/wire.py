"""How hosts are reached, as values: certificates, proxies, patience; and what it is called when that fails. Pure."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Final

_CONNECT: Final = 15.0  # seconds
_READ: Final = 60.0  # seconds without a byte

Body = bytes | Iterable[bytes] | None

Check = Callable[[], None]
"""Called every now and then; raises when there is no use in going on."""


class Broken(Exception):
    """The connection could not be made, or broke. `fatal`: no use in trying again (a wrong certificate)."""

    def __init__(self, reason: str, *, connected: bool, fatal: bool = False) -> None:
        """`reason` in words; `connected` when the host answered at all."""
        super().__init__(reason)
        self.reason, self.connected, self.fatal = reason, connected, fatal


@dataclass(frozen=True, kw_only=True, slots=True)
class HostTls:
    """TLS with one host: a CA file beside the system's trust, a client's certificate and key; `verify` False: anybody.

    containerd's hosts.toml and registries.yaml mean the same by `ca`: it does not replace the system's.
    """

    ca_file: Path | None = None
    cert_file: Path | None = None
    key_file: Path | None = None
    verify: bool = True


@dataclass(frozen=True, kw_only=True, slots=True)
class Wire:
    """How hosts are reached: CA files beside the system's, the environment's proxies, seconds of patience.

    `hosts`: what differs for single hosts, by `HOST[:PORT]` as in URLs.
    """

    ca_files: tuple[Path, ...] = ()
    env: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    connect: float = _CONNECT
    read: float = _READ
    hosts: Mapping[str, HostTls] = field(default_factory=lambda: MappingProxyType({}))
