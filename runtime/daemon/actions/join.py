"""The stage `join` of an agent: certificates, and what the cluster has decided. A server's is in `inherit`.

An agent that has joined before starts without a server: its certificates are good, and the cluster's decisions are on
disk. What a server says is asked again when one answers.
"""

import asyncio
import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from bundles.errors import FormatError, SealiftError
from runtime.daemon.actions.balance import client_of, keep, known_client
from runtime.daemon.actions.inherit import inherit
from runtime.daemon.context import Node
from runtime.daemon.runner import Control
from runtime.entropy import SystemEntropy
from runtime.folders import ensure_folder
from runtime.joining import enrol
from runtime.joining.clusterdoc import with_cluster
from runtime.joining.servers import read_apiservers
from runtime.joining.supervisor import NotYetError, SupervisorClient
from runtime.nodefiles import read_file, settle
from runtime.pki.ensure import secret_folder
from runtime.supervisor.token import SERVER_USER
from runtime.tokens import ensure_node_password

_KNOWN: Final = "cluster.json"


async def join(node: Node, control: Control) -> str:
    """Asks the servers; goes on with what is known when none answers and everything is there.

    Raises TrustError for a refusal (wrong token, other cluster, name taken), in the server's and our own words.
    """
    if node.config.role == "server":
        return await inherit(node, control)
    client = client_of(node)
    if client.token.user == SERVER_USER:
        control.told("joining with a server's token")
    if client.token.authority is None:
        node.say("warning: the token has no hash (K10...): whoever answers at the server's address is believed")
    secret_folder(node.paths.agent)
    try:
        async with client.telling_clocks():
            issued, document = await _ask(node, client)
    except NotYetError as exc:
        document = known(node)
        if document is None or not enrol.has_all(node.config, _now(node)):
            raise
        node.say(f"warning: no server answers, going on with what is known: {exc.message}")
        issued = 0
    node.found.config = with_cluster(node.configured, document, where=client.url)
    return f"{issued} certificates issued" if issued else "certificates are good"


def known(node: Node) -> object | None:
    """What a server said of the cluster in an earlier run; None when it is not there or cannot be read."""
    data = read_file(_path(node))
    try:
        return json.loads(data) if data is not None else None
    except ValueError:
        return None


async def _ask(node: Node, client: SupervisorClient) -> tuple[int, object]:
    await client.trust()
    client = known_client(node, client)
    document = await client.document("config")
    with_cluster(node.configured, document, where=client.url)
    entropy = SystemEntropy()
    enrolment = enrol.Enrolment(
        node=node.config,
        client=client,
        password=await asyncio.to_thread(ensure_node_password, node.paths.node_password, entropy),
        now=_now(node),
        entropy=entropy,
        say=node.say,
    )
    issued = await enrolment.run()
    ensure_folder(_path(node).parent)
    settle(_path(node), json.dumps(document, sort_keys=True).encode() + b"\n")
    await _learn_servers(node, client)
    return issued, document


async def _learn_servers(node: Node, client: SupervisorClient) -> None:
    assert node.found.balancers is not None
    try:
        found = read_apiservers(await client.document("apiservers"), where=client.url)
    except (SealiftError, FormatError):
        return  # the balancer asks again
    keep(node, node.found.balancers, found)


def _path(node: Node) -> Path:
    return node.layout.admitted.with_name(_KNOWN)


def _now(node: Node) -> datetime:
    return datetime.fromtimestamp(node.began, UTC)
