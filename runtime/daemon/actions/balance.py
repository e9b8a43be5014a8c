"""The stage `balancer` of an agent: two addresses on loopback, one for supervisors and one for apiservers."""

import asyncio
from dataclasses import replace
from datetime import UTC, datetime
from typing import Final

from bundles.errors import SealiftError
from runtime.daemon.api import Identity
from runtime.daemon.context import Node
from runtime.daemon.runner import Control
from runtime.folders import SECRET_MODE, ensure_folder
from runtime.joining import enrol
from runtime.joining.balancer import Balancer, Balancers, balancing
from runtime.joining.servers import (
    APISERVERS,
    SUPERVISORS,
    Server,
    first_server,
    read_apiservers,
    read_list,
    supervisors_of,
    write_list,
)
from runtime.joining.supervisor import SupervisorClient
from runtime.nodeconf.model import API_PORT
from runtime.supervisor.token import AGENT_USER
from runtime.tokens import configured

SUPERVISOR_PORT: Final = 6444  # RKE2's lb-server-port: what an agent's own programs find the supervisor at
_EVERY: Final = 15.0  # seconds between two looks for servers that came or went


async def balance(node: Node, control: Control) -> str:
    """Listens until it is cancelled, and keeps the lists of servers up to date.

    Raises SealiftError when a port is taken: another node runs here.
    """
    balancers = remembered(node)
    node.found.balancers = balancers
    host = node.config.loopback
    try:
        async with (
            balancing(balancers.supervisors, host, SUPERVISOR_PORT),
            balancing(balancers.apiservers, host, API_PORT),
        ):
            control.up(_words(balancers))
            while True:
                await asyncio.sleep(_EVERY)
                if await look(node, balancers):
                    node.say(f"servers: {_words(balancers)}")
    except OSError as exc:
        hint = "does a server or another agent run on this machine?"
        raise SealiftError(f"cannot listen: {exc.strerror}", where=host, hint=hint) from exc


def remembered(node: Node) -> Balancers:
    """The servers of the last run, and the configured one, which is always among them."""
    assert node.config.server_url is not None
    first = first_server(node.config.server_url)
    folder = node.paths.agent_etc
    supervisors = dict.fromkeys((first, *read_list(folder / SUPERVISORS)))
    apiservers = dict.fromkeys((Server(first.host, API_PORT), *read_list(folder / APISERVERS)))
    return Balancers(
        supervisors=Balancer(tuple(supervisors), node.clock), apiservers=Balancer(tuple(apiservers), node.clock)
    )


async def look(node: Node, balancers: Balancers) -> bool:
    """Asks which servers there are; whether they are others than before. No answer changes nothing."""
    client = known_client(node, client_of(node))
    try:
        found = read_apiservers(await client.document("apiservers"), where=client.url)
    except SealiftError:
        return False
    return keep(node, balancers, found)


def keep(node: Node, balancers: Balancers, apiservers: tuple[Server, ...]) -> bool:
    """Balances over these, and remembers them for the next start."""
    assert node.config.server_url is not None
    first = first_server(node.config.server_url)
    changed = balancers.apiservers.replace(apiservers)
    supervisors = tuple(s for s in supervisors_of(apiservers))
    changed |= balancers.supervisors.replace(supervisors)
    if changed:
        folder = node.paths.agent_etc
        ensure_folder(folder, SECRET_MODE)
        write_list(folder / SUPERVISORS, first, balancers.supervisors.servers)
        write_list(folder / APISERVERS, first, balancers.apiservers.servers)
    return changed


def client_of(node: Node) -> SupervisorClient:
    """The supervisors, through the balancer. Raises SealiftError when no token is configured."""
    found = configured(node.config.token, default_user=AGENT_USER)
    if found is None:
        hint = "set token or token-file, or give --token-file; servers have it in server/node-token"
        raise SealiftError("no token to join with", hint=hint)
    url = f"https://{node.config.loopback}:{SUPERVISOR_PORT}"
    return SupervisorClient(url=url, authority=node.paths.agent / "server-ca.crt", token=found)


def known_client(node: Node, client: SupervisorClient) -> SupervisorClient:
    """The same as a node of the cluster, once this machine is one: a token may end, or be rotated.

    After `client.trust()`: the certificates have to be of the authority that was checked.
    """
    stem = node.paths.agent / "client-kubelet"
    if not enrol.has_all(node.config, datetime.now(UTC)):
        return client
    return replace(client, known=Identity(certificate=stem.with_suffix(".crt"), key=stem.with_suffix(".key")))


def _words(balancers: Balancers) -> str:
    return ", ".join(map(str, balancers.apiservers.servers))
