"""A new key for Secrets: all servers can read with it before one writes with it, every Secret is written once more,
and the old one goes.

k3s' `secrets-encrypt` (docs "Secrets Encryption"): prepare, rotate, reencrypt, or all of it as rotate-keys. What the
cluster has stands in etcd (see `adopt`), and a step is over when every server's apiserver says that it has read it.
Each looks at its file once a minute. An interrupted rotation is taken up where it was: nothing is lost as long as two
keys are there.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from http import HTTPStatus
from typing import Final

from bundles.errors import MissingError, SealiftError, UsageError
from runtime.daemon.api import Identity, ask
from runtime.entropy import Entropy
from runtime.etcd.gateway import Gateway
from runtime.etcd.members import Member
from runtime.etcd.shared import Sealed, SharedDocument
from runtime.nodeconf.model import API_PORT, NodeConfig, bracketed
from runtime.secretkeys.config import (
    FINISHED,
    OCTETS,
    PREFIX,
    PREPARE,
    ROTATE,
    SecretKey,
    digest_of,
    in_force,
    keys_in,
    read_keys,
    read_state,
    state_of,
    with_keys,
    write_keys,
)
from runtime.secretkeys.rewrite import rewrite
from runtime.tokens import read_secrets

_PATIENCE: Final = 240.0  # seconds until all apiservers have read their files
_EVERY: Final = 2.0


@dataclass(frozen=True, kw_only=True, slots=True)
class Keys:
    """What the cluster has: the keys, the writing one first, and how far a rotation is."""

    keys: tuple[SecretKey, ...]
    stage: str
    digest: str
    read: Sealed


@dataclass(frozen=True, kw_only=True, slots=True)
class Rotation:
    """What a rotation needs: a server, its administrator, its etcd, the time (UTC), and words."""

    node: NodeConfig
    admin: Identity
    gateway: Gateway
    entropy: Entropy
    now: datetime
    say: Callable[[str], None]
    patience: float = _PATIENCE

    async def run(self) -> int:
        """All steps that are left; returns how many Secrets were written. Raises SealiftError; can be run again."""
        found = await self.keys()
        if found.stage != ROTATE:
            if found.stage != PREPARE:
                await self.prepare()
            await self.rotate()
        return await self.reencrypt()

    async def prepare(self) -> None:
        """A new key that every server can read with, and nobody writes with."""
        found = await self.keys()
        _refuse(found.stage in (PREPARE, ROTATE), "a rotation has begun", "secrets-encrypt rotate-keys finishes it")
        await self._everybody()
        fresh = SecretKey(name=f"{PREFIX}-{self.now:%Y-%m-%dT%H:%M:%SZ}", octets=self.entropy.octets(OCTETS))
        await self._settle(found, (*found.keys, fresh), PREPARE)
        self.say(f"all servers read with {fresh.name}")

    async def rotate(self) -> None:
        """The new key writes on every server; the old one still reads."""
        found = await self.keys()
        _refuse(found.stage != PREPARE, "no key was prepared", "secrets-encrypt prepare comes first")
        await self._until_read(found.digest)  # a prepare that was interrupted has not waited for everybody
        await self._settle(found, (found.keys[-1], *found.keys[:-1]), ROTATE)
        self.say(f"all servers write with {found.keys[-1].name}")

    async def reencrypt(self) -> int:
        """Writes every Secret once more, then takes the old keys away; returns how many were written."""
        found = await self.keys()
        _refuse(found.stage != ROTATE, "no key has been rotated", "secrets-encrypt rotate comes first")
        await self._until_read(found.digest)
        self.say("every Secret is written once more")
        count = await rewrite(self.node.api_url, self.admin)
        await self._put(found, found.keys[:1], FINISHED)
        gone = ", ".join(key.name for key in found.keys[1:])
        self.say(f"{gone} is taken away; apiservers forget it within a minute")
        return count

    async def keys(self) -> Keys:
        """Raises MissingError where no cluster is, FormatError for keys that are not rotated here."""
        shared = await self._shared()
        sealed = await shared.sealed()
        if sealed is None:
            hint = "is the daemon of this server running, and the cluster up for some seconds?"
            raise MissingError("the cluster's keys are not in etcd", hint=hint)
        read = await shared.open(sealed)
        config, state = keys_in(read.document, where="etcd")
        stage, digest = read_state(state)
        return Keys(
            keys=read_keys(config, where="etcd"),
            stage=stage if digest == digest_of(config) else "",
            digest=digest_of(config),
            read=read,
        )

    async def servers(self, digest: str) -> dict[str, bool | None]:
        """Each server -> whether its apiserver has read the configuration of this digest; None: no answer."""
        members = await self.gateway.members()
        known = await asyncio.gather(*map(self._digest, members))
        names = (member.node or member.id for member in members)
        return {name: None if has is None else has == digest for name, has in zip(names, known, strict=True)}

    async def _settle(self, found: Keys, keys: tuple[SecretKey, ...], stage: str) -> None:
        await self._until_read(await self._put(found, keys, stage))

    async def _put(self, found: Keys, keys: tuple[SecretKey, ...], stage: str) -> str:
        """Into etcd, from where every server takes it; returns the digest of the configuration."""
        config = write_keys(keys)
        document = with_keys(found.read.document, config, state_of(config, stage), self.now)
        if not await (await self._shared()).replace(found.read, document):
            raise SealiftError("somebody else changes the keys at this moment", hint="look again when that has ended")
        return digest_of(config)

    async def _until_read(self, digest: str) -> None:
        """Raises SealiftError that names the servers which have not read it in time; whoever joins meanwhile counts."""
        self.say("waiting until every apiserver has read its keys, up to a minute or two")
        late = ["none has answered"]
        try:
            async with asyncio.timeout(self.patience):
                while late := [name for name, has in (await self.servers(digest)).items() if not has]:
                    await asyncio.sleep(_EVERY)
        except TimeoutError:
            hint = "start them, or remove those that will not come back (etcd-member remove), then run it again"
            raise SealiftError(f"servers have not read the new keys: {', '.join(late)}", hint=hint) from None

    async def _everybody(self) -> None:
        """Refuses to begin what could not be ended. Raises SealiftError that names who does not answer."""
        if silent := [name for name, has in (await self.servers("")).items() if has is None]:
            hint = "every server has to be up; remove those that will not come back (etcd-member remove)"
            raise SealiftError(f"servers do not answer: {', '.join(silent)}", hint=hint)

    async def _digest(self, member: Member) -> str | None:
        """The digest of what the apiserver beside a member has read; None without an answer."""
        for host in member.hosts:
            try:
                answer = await ask(f"https://{bracketed(host)}:{API_PORT}/metrics", self.admin, seconds=20.0)
            except SealiftError:
                continue
            if answer.status == HTTPStatus.OK:
                return in_force(answer.body.decode("utf-8", "replace"))
        return None

    async def _shared(self) -> SharedDocument:
        secret = (await asyncio.to_thread(read_secrets, self.node)).server
        return SharedDocument(gateway=self.gateway, secret=secret, entropy=self.entropy)


def _refuse(wrong: bool, message: str, hint: str) -> None:
    if wrong:
        raise UsageError(message, hint=hint)
