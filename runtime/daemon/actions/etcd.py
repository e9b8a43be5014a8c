"""The stage `etcd`: a member of its own cluster, or of one that it joins as a learner.

k3s pkg/etcd/etcd.go, Join. A server asks for membership once its kubelet can start etcd, so that no learner stands idle
in the cluster while images are imported; the answer is kept on disk before etcd starts with it.
"""

import asyncio
import time
from dataclasses import replace
from typing import Final

from bundles.errors import SealiftError
from runtime.configs.etcd import Membership, etcd_config, peer_url
from runtime.daemon.actions.controlplane import put
from runtime.daemon.actions.inherit import application, still_member
from runtime.daemon.actions.sandboxes import pods_of
from runtime.daemon.api import Identity, is_healthy
from runtime.daemon.context import Node
from runtime.daemon.runner import Control
from runtime.daemon.waiting import until
from runtime.entropy import SystemEntropy
from runtime.etcd.aside import set_aside
from runtime.etcd.gateway import local_gateway
from runtime.etcd.members import Applicant
from runtime.etcd.membership import ensure_member_name, write_membership
from runtime.joining.supervisor import NotYetError
from runtime.nodefiles import settle
from runtime.pki.ensure import secret_folder
from runtime.staticpods.etcd import NAME, etcd_pod
from runtime.staticpods.place import withdraw

_EVERY: Final = 0.2  # seconds between two questions
_DOUBT: Final = 15.0  # seconds without an answer after which the others are asked whether this is a member still
_ASK_AGAIN: Final = 2.0


async def run_etcd(node: Node, control: Control) -> str:
    """Up when it answers with its health at 2382, where a certificate is asked for, and has a vote.

    Raises SealiftError for a name or an address that another member has, with the cluster's words.
    """
    if node.found.left:
        await _start_over(node)
    while True:
        membership = node.found.membership or await _join(node, control)
        spec = etcd_pod(node.config, node.images.etcd, membership)
        words = await put(node, spec)
        control.told(words)
        if await _serves(node, membership, control):
            if membership.force:
                await asyncio.to_thread(_forced, node, membership)
                continue
            return words if membership.state == "new" else f"{words}, a member of {_count(membership)}"
        await _start_over(node)


def _forced(node: Node, membership: Membership) -> None:
    """A second start with this setting would throw out whoever has joined since."""
    node.say("etcd: this server is the only member now; it starts once more, as an ordinary one")
    plain = replace(membership, force=False)
    settle(node.paths.etcd_config, etcd_config(node.config, plain).encode())
    write_membership(node.paths, plain)
    node.found.membership = plain


async def _join(node: Node, control: Control) -> Membership:
    control.told("waits for the kubelet")
    await _kubelet()
    paths = node.paths
    await asyncio.to_thread(secret_folder, paths.etcd)
    name = await asyncio.to_thread(ensure_member_name, node.config, SystemEntropy())
    asked = application(node, Applicant(name=name, peer_url=peer_url(node.config)))
    while True:
        try:
            membership = await asked.admit()
            break
        except NotYetError as exc:
            control.told(f"waits: {exc.message}")
            await asyncio.sleep(_ASK_AGAIN)
    write_membership(paths, membership)
    settle(paths.etcd_config, etcd_config(node.config, membership).encode())
    node.found.membership = membership
    node.say(f"etcd: joining {membership.cluster}")
    return membership


async def _serves(node: Node, membership: Membership, control: Control) -> bool:
    """True once etcd is healthy and votes; False when the cluster says that this server is no member (any more)."""
    doubt = node.clock() + _DOUBT
    learning = False
    while True:
        vote = await _votes(node)
        if vote:
            return True
        if vote is False and not learning:
            learning = True
            control.told("learns what the others know")
        if node.clock() >= doubt and vote is None:
            if not await still_member(node, seconds=_DOUBT):
                return False
            doubt = node.clock() + _DOUBT
        await asyncio.sleep(_EVERY)


async def _votes(node: Node) -> bool | None:
    """Whether this member votes; None while it does not answer."""
    gateway = local_gateway(node.config)
    try:
        if (await gateway.status()).learner:
            return False
    except SealiftError:
        return None
    return True if await is_healthy(f"{gateway.url}/health", gateway.identity) else None


async def _start_over(node: Node) -> None:
    """This server was removed from the cluster, which it is to join again, as its configuration says."""
    node.say("etcd: this server was removed from its cluster; its data goes aside, and it joins anew")
    await asyncio.to_thread(withdraw, node.paths.manifest(NAME))
    await _kubelet()
    while await pods_of(node, NAME):
        await asyncio.sleep(1.0)
    aside = await asyncio.to_thread(set_aside, node.paths, int(time.time()))
    node.say(f"etcd: the data of before is in {aside}")
    node.found.membership, node.found.left = None, False


async def _kubelet() -> None:
    await until(lambda: is_healthy("http://127.0.0.1:10248/healthz", Identity()), every=_EVERY)


def _count(membership: Membership) -> int:
    return len({pair.partition("=")[0] for pair in membership.cluster.split(",")})
