"""The stage `members`: learners get their vote once they have caught up, and who is gone for good leaves etcd.

k3s pkg/etcd/etcd.go (manageLearners) and member_controller.go. etcd itself refuses a learner that is behind, so the
leader simply tries. Whoever's Node was deleted is removed, as is a learner that does not come along for five minutes.
Keys that Secrets are encrypted with come the same way: through etcd.
"""

import asyncio
from typing import Final

from bundles.errors import FormatError, SealiftError, TrustError
from runtime.daemon.api import Identity, ask
from runtime.daemon.context import Node
from runtime.daemon.runner import Control
from runtime.entropy import SystemEntropy
from runtime.etcd.gateway import EtcdError, Gateway, local_gateway, read_status
from runtime.etcd.learners import PATIENCE, Watched, stuck, watch
from runtime.etcd.members import Member, beside_nodes, vanished
from runtime.etcd.shared import SharedDocument
from runtime.joining.bootstrap import shared_document
from runtime.nodeconf.model import SUPERVISOR_PORT, bracketed
from runtime.secretkeys.adopt import Adoption
from runtime.supervisor.table import PREFIX
from runtime.tokens import read_secrets

_EVERY: Final = 3.0  # seconds; k3s: 15
_LABEL: Final = "node-role.kubernetes.io/etcd"
_NODES: Final = f"/api/v1/nodes?labelSelector={_LABEL.replace('/', '%2F')}"


async def keep_members(node: Node, control: Control) -> str:
    """Runs until it is cancelled."""
    gateway = local_gateway(node.config)
    watched: Watched = {}
    seen: frozenset[str] = frozenset()
    count = -1
    adoption = Adoption(node.config, gateway, SystemEntropy())
    while True:
        try:
            status, members = await gateway.status(), await gateway.members()
            if len(members) != count:
                count = len(members)
                control.up(", ".join(member.name or member.id for member in members))
            await _look_for_keys(node, adoption, status.leads)
            nodes = await node_names(node)
            if status.leads:
                watched = await _teach(node, gateway, members, watched)
                await _part(node, gateway, members, nodes, seen)
            seen |= beside_nodes(members, nodes or frozenset())
        except SealiftError:
            pass  # etcd or the apiserver is away for a while: their stages tell
        await asyncio.sleep(_EVERY)


async def _look_for_keys(node: Node, adoption: Adoption, leads: bool) -> None:
    """The cluster's keys stand in etcd, sealed with its token, so that a snapshot can be restored on a new machine.

    Whoever leads has put them there; all take from there which keys Secrets are encrypted with.
    """
    await take_keys(node, adoption)
    if adoption.missing and leads:
        secret = (await asyncio.to_thread(read_secrets, node.config)).server
        shared = SharedDocument(gateway=adoption.gateway, secret=secret, entropy=adoption.entropy)
        await shared.put(await asyncio.to_thread(shared_document, node.paths))


async def take_keys(node: Node, adoption: Adoption) -> None:
    """What cannot be used is told, and keeps nothing else back."""
    try:
        if name := await adoption.look():
            node.say(f"Secrets: the cluster has other keys, {name} writes")
    except (FormatError, TrustError) as exc:
        node.say(f"warning: the keys of Secrets are not taken from the cluster: {exc}")


async def node_names(node: Node) -> frozenset[str] | None:
    """The Nodes that run etcd, None when nobody says."""
    try:
        answer = await ask(f"{node.config.api_url}{_NODES}", node.admin)
        if answer.status != 200:
            return None
        return frozenset(item["metadata"]["name"] for item in answer.document()["items"])
    except (SealiftError, KeyError, TypeError):
        return None


async def _teach(node: Node, gateway: Gateway, members: tuple[Member, ...], before: Watched) -> Watched:
    learners = [member for member in members if member.learner]
    applied: dict[str, int | None] = {}
    for member in learners:
        try:
            await gateway.promote(member.id)
            node.say(f"etcd: {member.name or member.id} votes")
        except EtcdError:  # it is behind, or has not started
            applied[member.id] = await _applied(node, member)
    watched = watch(before, node.clock(), applied)
    for identity in stuck(watched, node.clock()):
        await gateway.remove(identity)
        node.say(f"etcd: removed a learner that has made no progress for {PATIENCE:.0f} s, {identity}")
    return watched


async def _applied(node: Node, member: Member) -> int | None:
    """How far a learner has come, by its own server's word."""
    tls = node.paths.tls
    identity = Identity(
        authority=tls / "server-ca.crt", certificate=tls / "client-supervisor.crt", key=tls / "client-supervisor.key"
    )
    for host in member.hosts:
        url = f"https://{bracketed(host)}:{SUPERVISOR_PORT}{PREFIX}/db/info"
        try:
            document = (await ask(url, identity)).document()
            return read_status(document.get("status"), where=url).applied
        except (SealiftError, AttributeError):
            continue
    return None


async def _part(
    node: Node, gateway: Gateway, members: tuple[Member, ...], nodes: frozenset[str] | None, seen: frozenset[str]
) -> None:
    if nodes is None:
        return
    for member in vanished(members, nodes, seen):
        if member.node != node.config.node_name:  # another leader's business
            await gateway.remove(member.id)
            node.say(f"etcd: removed {member.name}: its Node was deleted")
