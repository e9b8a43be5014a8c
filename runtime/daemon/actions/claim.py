"""The stage `name` of a server: its own name is as protected as an agent's.

Whoever knows the agents' token could otherwise ask for the certificates of a server's kubelet, and be that node.
"""

import asyncio
import json
from http import HTTPStatus

from bundles.errors import SealiftError, TrustError
from runtime.daemon.actions.supervise import node_passwords
from runtime.daemon.context import Node
from runtime.daemon.runner import Control
from runtime.entropy import SystemEntropy
from runtime.supervisor.passwords import NodePasswords
from runtime.tokens import ensure_node_password


async def claim_name(node: Node, control: Control) -> str:
    """Keeps the hash of this machine's password in the cluster.

    Raises TrustError when the cluster knows another machine under this name, SealiftError when it does not answer.
    """
    password = await asyncio.to_thread(ensure_node_password, node.paths.node_password, SystemEntropy())
    await claim(node_passwords(node), node.config.node_name, password)
    return node.config.node_name


async def claim(passwords: NodePasswords, name: str, password: str) -> None:
    """The same for any store. Errors as `claim_name`."""
    refused = await passwords.check(name, password)
    if refused is None:
        return
    words = json.loads(refused.body)["message"]
    raise TrustError(words) if refused.status == HTTPStatus.FORBIDDEN else SealiftError(words)
