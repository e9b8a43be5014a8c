"""The stages `node`, `ready` and `announce`: what the cluster says of this node, and who is told."""

import asyncio
import json
import socket
from datetime import datetime
from http import HTTPStatus
from typing import Any, Final

from bundles.choices import NONE
from bundles.errors import SealiftError
from runtime.choices import Chosen
from runtime.daemon.api import Answer, ask
from runtime.daemon.context import Node
from runtime.daemon.runner import Control
from runtime.daemon.waiting import until

_EVERY: Final = 0.3  # seconds between two questions
# NodeRestriction forbids a kubelet to give itself these (k3s pkg/server, setNodeLabels).
ROLE_LABELS: Final = {
    "node-role.kubernetes.io/control-plane": "true",
    "node-role.kubernetes.io/etcd": "true",
}


async def label_node(node: Node, control: Control) -> str:
    """Waits for the Node object and gives it the labels of its roles."""
    found: dict[str, Any] = {}

    async def exists() -> bool:
        answer = await _node_object(node)
        if answer.status == HTTPStatus.OK:
            found.update(answer.document())
        return bool(found)

    await until(exists, every=_EVERY)
    labels = found.get("metadata", {}).get("labels", {})
    if ROLE_LABELS.items() <= labels.items():
        return "labelled"
    body = json.dumps({"metadata": {"labels": ROLE_LABELS}}).encode()
    headers = {"Content-Type": "application/merge-patch+json"}
    answer = await ask(_url(node), node.admin, method="PATCH", body=body, headers=headers)
    if answer.status != HTTPStatus.OK:
        raise SealiftError("the Node cannot be labelled", got=repr(answer.body[:500]))
    return "labels set"


async def wait_ready(node: Node, control: Control) -> str:
    """Waits for a Ready that this run's kubelet said: the last run's stands there for up to 50 s."""

    async def ready() -> bool:
        answer = await _node_object(node)
        if answer.status != HTTPStatus.OK:
            return False
        words = with_choice(readiness(answer.document(), since=node.began), node.found.chosen)
        if words:
            control.told(words)
        return not words

    await until(ready, every=_EVERY)
    return ""


def readiness(document: dict[str, Any], *, since: float) -> str:
    """A Node object -> why it is not Ready, or not yet by a heartbeat after `since` (Unix time); empty when it is.

    Heartbeats have whole seconds.
    """
    for condition in document.get("status", {}).get("conditions", []):
        if condition.get("type") == "Ready":
            beat = datetime.fromisoformat(condition["lastHeartbeatTime"].replace("Z", "+00:00")).timestamp()
            if beat < int(since):
                return "no heartbeat yet"
            return "" if condition.get("status") == "True" else str(condition.get("message", "not ready"))
    return "no condition yet"


def with_choice(words: str, chosen: Chosen) -> str:
    """Why a Node is not Ready, and that it was told to have no pod network of the bundle; empty when it is."""
    return (
        f"{words}; cni: none: it waits for a pod network of the site's own" if words and chosen.cni == NONE else words
    )


async def announce(node: Node, control: Control) -> str:
    """READY=1 to systemd, sd_notify(3); without NOTIFY_SOCKET there is nobody to tell."""
    address = node.environment.get("NOTIFY_SOCKET", "")
    if not address:
        return "nobody asked"
    try:
        await asyncio.to_thread(_notify, address)
    except OSError as exc:
        raise SealiftError(f"the service manager cannot be told: {exc.strerror}", where=address) from exc
    return "told"


def _notify(address: str) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as link:
        link.connect("\0" + address[1:] if address.startswith("@") else address)
        link.send(b"READY=1\n")


async def _node_object(node: Node) -> Answer:
    try:
        return await ask(_url(node), node.itself)
    except SealiftError:
        return Answer(status=0, body=b"")


def _url(node: Node) -> str:
    return f"{node.config.api_url}/api/v1/nodes/{node.config.node_name}"
