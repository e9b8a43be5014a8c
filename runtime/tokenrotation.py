"""Another secret for the whole cluster: in etcd first, then on every server, then nothing opens with the old one.

k3s' `token rotate` writes the datastore's data anew and has all servers restarted. Here every server is told over its
supervisor, with the administrator's certificate; machines that have joined show certificates, and need no token.
"""

import asyncio
import base64
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Final

from bundles.errors import MissingError, SealiftError
from runtime.daemon.api import Identity, ask
from runtime.entropy import Entropy
from runtime.etcd.gateway import Gateway
from runtime.etcd.members import Member
from runtime.etcd.shared import SharedDocument
from runtime.nodeconf.model import SUPERVISOR_PORT, NodeConfig, bracketed
from runtime.supervisor.callers import Secrets
from runtime.supervisor.table import PREFIX
from runtime.tokens import passwd, read_secrets

ROUTE: Final = "token"
_PASSWD: Final = "PasswdFile"
_JSON: Final = {"Content-Type": "application/json"}


@dataclass(frozen=True, kw_only=True, slots=True)
class TokenRotation:
    """A server, its administrator, its etcd, and the new secret."""

    node: NodeConfig
    admin: Identity
    gateway: Gateway
    entropy: Entropy
    secret: str = field(repr=False)
    say: Callable[[str], None]

    async def run(self) -> None:
        """Can be run again with the same secret when it was interrupted, on any server.

        Raises SealiftError, before anything is changed, when a server does not answer; afterwards when one refuses.
        """
        members = await self._everybody()
        before = await asyncio.to_thread(read_secrets, self.node)
        after = Secrets(server=self.secret, agent=self.secret if before.agent == before.server else before.agent)
        old, new = self._shared(before.server), self._shared(after.server)
        if before.server != after.server or await new.sealed() is None:
            await self._seal_anew(old, new, after)
        for member in sorted(members, key=lambda member: member.node == self.node.node_name):
            await self._tell(member)  # this one last: until then it knows that it has not ended
        await new.forget_others()
        self.say("the cluster has another token: change `token:` in the configuration of its servers")

    async def _seal_anew(self, old: SharedDocument, new: SharedDocument, after: Secrets) -> None:
        sealed = await old.sealed()
        if sealed is None:
            hint = "is the cluster up for some seconds? Was the token rotated on another server?"
            raise MissingError("the cluster's keys are not in etcd under its token", hint=hint)
        document = dict((await old.open(sealed)).document)
        content = base64.b64encode(passwd(after.server, after.agent)).decode()
        await new.put(document | {_PASSWD: dict(document.get(_PASSWD, {})) | {"Content": content}})

    async def _everybody(self) -> tuple[Member, ...]:
        members = await self.gateway.members()
        if learners := [member.node or member.id for member in members if member.learner]:
            raise SealiftError(f"a server is joining at this moment: {', '.join(learners)}", hint="try again then")
        up = await asyncio.gather(*(self._answers(member) for member in members))
        if silent := [member.node for member, well in zip(members, up, strict=True) if not well]:
            hint = "every server has to be up; remove those that will not come back (etcd-member remove)"
            raise SealiftError(f"servers do not answer: {', '.join(silent)}", hint=hint)
        return members

    async def _answers(self, member: Member) -> bool:
        try:
            return (await ask(f"{_url(member)}/ping", self.admin)).status == HTTPStatus.OK
        except SealiftError:
            return False

    async def _tell(self, member: Member) -> None:
        body = json.dumps({"secret": self.secret}).encode()
        url = f"{_url(member)}{PREFIX}/{ROUTE}"
        answer = await ask(url, self.admin, method="PUT", body=body, headers=_JSON, seconds=20.0)
        if answer.status != HTTPStatus.OK:
            hint = "run it again with the same --new-token: what was done is not done twice"
            raise SealiftError(f"{member.node} did not take the token", where=url, got=answer.status, hint=hint)
        self.say(f"{member.node} has it")

    def _shared(self, secret: str) -> SharedDocument:
        return SharedDocument(gateway=self.gateway, secret=secret, entropy=self.entropy)


def _url(member: Member) -> str:
    host = next(iter(member.hosts), "")
    return f"https://{bracketed(host)}:{SUPERVISOR_PORT}"
