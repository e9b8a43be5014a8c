"""The document that all servers share, inside etcd: sealed with the server token (see `sharedkeys`)."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from bundles.errors import FormatError
from runtime.entropy import Entropy
from runtime.etcd import sharedkeys
from runtime.etcd.gateway import Gateway


@dataclass(frozen=True, slots=True)
class Sealed:
    """The document, by k3s' names, and the very bytes it was read from."""

    sealed: bytes = field(repr=False)
    document: Mapping[str, Any] = field(repr=False)


@dataclass(frozen=True, kw_only=True, slots=True)
class SharedDocument:
    """What stands in etcd for one server token."""

    gateway: Gateway
    secret: str = field(repr=False)
    entropy: Entropy

    async def sealed(self) -> bytes | None:
        """The sealed bytes, None when there are none for this token."""
        return await self.gateway.get(await self._name())

    async def open(self, sealed: bytes) -> Sealed:
        """Sealed bytes -> what is in them. Raises TrustError and FormatError for others'."""
        document = await asyncio.to_thread(sharedkeys.unseal, self.secret, sealed)
        if not isinstance(document, dict):
            raise FormatError("not what servers share", where="etcd", got=type(document).__name__)
        return Sealed(sealed, document)

    async def put(self, document: Mapping[str, Any]) -> None:
        """Writes it, whatever was there."""
        await self.gateway.put(await self._name(), await self._seal(document))

    async def replace(self, before: Sealed, document: Mapping[str, Any]) -> bool:
        """Writes it unless somebody was faster; whether it was written."""
        return await self.gateway.replace(await self._name(), before.sealed, await self._seal(document))

    async def forget_others(self) -> None:
        """Takes away what other tokens open."""
        own = await self._name()
        for name in await self.gateway.names(sharedkeys.PREFIX):
            if name != own:
                await self.gateway.delete(name)

    async def _name(self) -> str:
        return await asyncio.to_thread(sharedkeys.key_name, self.secret)

    async def _seal(self, document: Mapping[str, Any]) -> bytes:
        salt, nonce = self.entropy.octets(sharedkeys.SALT), self.entropy.octets(sharedkeys.NONCE)
        return await asyncio.to_thread(sharedkeys.seal, self.secret, document, salt=salt, nonce=nonce)
