"""A new key for Secrets: it writes, the old one still reads, every Secret is written once more, the old one goes.

k3s' `secrets-encrypt rotate-keys`. The apiserver looks at its file once a minute. An interrupted rotation is taken up
where it was: as long as two keys are there, nothing is lost.
"""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from datetime import datetime
from http import HTTPStatus
from typing import Any, Final

from bundles.errors import MissingError, SealiftError
from runtime.daemon.api import Identity, ask
from runtime.entropy import Entropy
from runtime.etcd import sharedkeys
from runtime.etcd.gateway import Gateway
from runtime.joining.bootstrap import shared_document
from runtime.nodeconf.model import NodeConfig
from runtime.nodefiles import read_file, settle
from runtime.secretkeys.config import FINISHED, OCTETS, PREFIX, SecretKey, read_keys, reloads, state_of, write_keys
from runtime.tokens import read_secrets

_PAGE: Final = 200  # Secrets of one answer
_PATIENCE: Final = 240.0  # seconds until an apiserver has read its file
_EVERY: Final = 2.0
_JSON: Final = {"Content-Type": "application/json"}


@dataclass(frozen=True, kw_only=True, slots=True)
class Rotation:
    """What a rotation needs: the only server of a cluster, its administrator, its etcd, the time (UTC), and words."""

    node: NodeConfig
    admin: Identity
    gateway: Gateway
    entropy: Entropy
    now: datetime
    say: Callable[[str], None]

    async def run(self) -> int:
        """Rotates; returns how many Secrets were written. Raises SealiftError, and can be run again then."""
        members = await self.gateway.members()
        if len(members) > 1:
            hint = "remove the other servers (etcd-member remove), rotate, then let them join anew"
            raise SealiftError("keys are rotated in a cluster of one server", got=f"{len(members)} servers", hint=hint)
        keys = self._keys()
        if len(keys) == 1:
            fresh = SecretKey(name=f"{PREFIX}-{self.now:%Y-%m-%dT%H:%M:%SZ}", octets=self.entropy.octets(OCTETS))
            keys = (fresh, *keys)
            await self._put_in_force(keys, "rotate")
        self.say(f"{keys[0].name} writes; every Secret is written once more")
        written = await self._rewrite()
        await self._put_in_force(keys[:1], FINISHED)
        self.say(f"{', '.join(key.name for key in keys[1:])} is gone")
        return written

    def _keys(self) -> tuple[SecretKey, ...]:
        path = self.node.paths.encryption_config
        data = read_file(path)
        if data is None:
            raise MissingError("no encryption configuration", where=path, hint="is this a server?")
        return read_keys(data, where=path)

    async def _put_in_force(self, keys: tuple[SecretKey, ...], stage: str) -> None:
        before = await self._reloads()
        config = write_keys(keys)
        settle(self.node.paths.encryption_config, config)
        settle(self.node.paths.encryption_state, state_of(config, stage))
        await self._keep()
        self.say("waiting for the apiserver to read its file, up to a minute or two")
        async with asyncio.timeout(_PATIENCE):
            while await self._reloads() <= before:
                await asyncio.sleep(_EVERY)

    async def _keep(self) -> None:
        """The cluster's keys inside etcd are these from now on: a snapshot must hold those that read it."""
        secret = read_secrets(self.node).server
        salt, nonce = self.entropy.octets(sharedkeys.SALT), self.entropy.octets(sharedkeys.NONCE)
        sealed = sharedkeys.seal(secret, shared_document(self.node.paths), salt=salt, nonce=nonce)
        await self.gateway.put(sharedkeys.key_name(secret), sealed)

    async def _reloads(self) -> int:
        answer = await ask(f"{self.node.api_url}/metrics", self.admin, seconds=20.0)
        if answer.status != HTTPStatus.OK:
            raise SealiftError("the apiserver does not tell its metrics", got=answer.status)
        return reloads(answer.body.decode("utf-8", "replace"))

    async def _rewrite(self) -> int:
        count = 0
        async for secret in self._secrets():
            place = f"/api/v1/namespaces/{secret['metadata']['namespace']}/secrets/{secret['metadata']['name']}"
            body = json.dumps(secret).encode()
            answer = await ask(f"{self.node.api_url}{place}", self.admin, method="PUT", body=body, headers=_JSON)
            # Changed or deleted in between: whoever changed it has written it with the new key.
            if answer.status not in (HTTPStatus.OK, HTTPStatus.CONFLICT, HTTPStatus.NOT_FOUND):
                raise SealiftError("a Secret cannot be written", where=place, got=answer.status)
            count += 1
        return count

    async def _secrets(self) -> AsyncIterator[dict[str, Any]]:
        token = ""
        while True:
            url = f"{self.node.api_url}/api/v1/secrets?limit={_PAGE}" + (f"&continue={token}" if token else "")
            answer = await ask(url, self.admin, seconds=30.0)
            if answer.status != HTTPStatus.OK:
                raise SealiftError("Secrets cannot be listed", got=answer.status)
            document = answer.document()
            for secret in document["items"]:
                yield {"apiVersion": "v1", "kind": "Secret", **secret}
            token = document["metadata"].get("continue", "")
            if not token:
                return
