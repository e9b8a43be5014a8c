"""The stage `names` of a server: whoever deletes a Node gives its name free for another machine.

k3s pkg/nodepassword (the Node controller's OnRemove): the Secret with the machine's password goes with the Node. Only
where the Node was seen to be there: a machine that has certificates and no Node yet is about to join.
"""

import asyncio
import contextlib
from http import HTTPStatus
from typing import Any, Final

from bundles.errors import SealiftError
from runtime.daemon.api import ask
from runtime.daemon.context import Node
from runtime.daemon.runner import Control
from runtime.supervisor.passwords import Secrets

_EVERY: Final = 10.0  # seconds
_NAMES: Final = {"Accept": "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1"}


async def keep_names(node: Node, control: Control) -> str:
    """Runs until it is cancelled; every server looks, and who comes second finds nothing to do."""
    store = Secrets(url=node.config.api_url, identity=node.admin)
    seen: frozenset[str] = frozenset()
    control.up("")
    while True:
        with contextlib.suppress(SealiftError):  # the apiserver is away for a while: its stage tells
            seen = await look(node, store, seen)
        await asyncio.sleep(_EVERY)


async def look(node: Node, store: Secrets, seen: frozenset[str]) -> frozenset[str]:
    """The Nodes that are there now, after the names of those that went were given free."""
    there = await node_names(node)
    for name in sorted(seen - there):
        if await store.delete(name):
            node.say(f"{name} was deleted: another machine may have the name now")
    return there


async def node_names(node: Node) -> frozenset[str]:
    """All Nodes. Raises SealiftError when nobody says: an empty list would free every name."""
    answer = await ask(f"{node.config.api_url}/api/v1/nodes", node.admin, headers=_NAMES)
    if answer.status != HTTPStatus.OK:
        raise SealiftError("the Nodes cannot be listed", got=answer.status)
    return read_names(answer.document())


def read_names(document: Any) -> frozenset[str]:
    """A list of objects -> their names. Raises SealiftError for anything else."""
    try:
        return frozenset(str(item["metadata"]["name"]) for item in document["items"])
    except (KeyError, TypeError) as exc:
        raise SealiftError("not a list of Nodes", got=repr(document)[:200]) from exc
