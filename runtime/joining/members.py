"""Becoming a member of etcd: a server of the cluster is asked, because only it reaches etcd's gateway.

The route is ours (RKE2's servers speak to etcd's gRPC themselves): POST /v1-rke2/db/member, a server's token, and the
password that proves the node's name. Asking twice is the same as asking once.
"""

import json
import re
from dataclasses import dataclass, field
from typing import Any, Final

from bundles.errors import FormatError
from runtime.configs.etcd import PEER_PORT, Membership
from runtime.etcd.members import Applicant, Member, is_member, membership_of, node_of, read_members
from runtime.joining.supervisor import SupervisorClient
from runtime.nodeconf.parse import NODE_NAME

NAME: Final = "db/member"
_PEER: Final = re.compile(rf"https://(?:[0-9.]{{7,15}}|\[[0-9a-fA-F:.]{{2,45}}\]):{PEER_PORT}")
_ENDING: Final = re.compile(r"[0-9a-f]{8}")
_MAX_NAME: Final = 262  # a Node's name, a hyphen, 8 digits


@dataclass(frozen=True, kw_only=True, slots=True)
class Application:
    """One server that wants to join, and what it proves itself with."""

    client: SupervisorClient
    applicant: Applicant
    password: str = field(repr=False)

    async def admit(self) -> Membership:
        """Becomes a learner -> what to start etcd with.

        Raises SealiftError with the server's words for a name or an address that is taken, NotYetError while another
        joins or etcd does not answer, TrustError for a wrong token or password.
        """
        body = json.dumps({"name": self.applicant.name, "peerURL": self.applicant.peer_url}).encode()
        headers = {"rke2-Node-Name": node_of(self.applicant.name), "rke2-Node-Password": self.password}
        data = await self.client.post(NAME, body, headers)
        where = f"{self.client.url}: {NAME}"
        try:
            members = read_members(json.loads(data), where=where)
        except ValueError as exc:
            raise FormatError("not JSON", where=where, got=repr(data[:100])) from exc
        if not is_member(members, self.applicant):
            raise FormatError("the server did not add this one to etcd", where=where)
        return membership_of(members, self.applicant)

    async def still(self) -> bool:
        """Whether the cluster has this server among its members. Errors as `admit`."""
        members: tuple[Member, ...] = read_members(await self.client.document("db/info"), where=self.client.url)
        return is_member(members, self.applicant)


def read_application(body: bytes) -> Applicant:
    """The body of the request -> who wants to join. Raises FormatError."""
    try:
        document: Any = json.loads(body)
        name, url = document["name"], document["peerURL"]
    except (ValueError, KeyError, TypeError) as exc:
        raise FormatError("not a request to join etcd") from exc
    if not isinstance(name, str) or not isinstance(url, str) or not _fits(name, url):
        raise FormatError("not a member's name and URL")
    return Applicant(name=name, peer_url=url)


def _fits(name: str, url: str) -> bool:
    known = _PEER.fullmatch(url) and _ENDING.fullmatch(name.rpartition("-")[2])
    return bool(known and len(name) <= _MAX_NAME and NODE_NAME.fullmatch(node_of(name)))
