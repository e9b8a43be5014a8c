"""The stage `join` of a server: a further one takes over its cluster's authorities before it would make own ones.

A server that has etcd's data is of its cluster already: nobody is asked, so that all servers can start at once.
"""

import asyncio
from dataclasses import replace
from typing import Final

from bundles.errors import SealiftError, TrustError
from runtime.configs.etcd import peer_url
from runtime.daemon.context import Node
from runtime.daemon.runner import Control
from runtime.entropy import SystemEntropy
from runtime.etcd.members import Applicant
from runtime.etcd.membership import has_data, read_member_name
from runtime.joining.bootstrap import Inheritance, check_shared, keep_agent_secret, read_bootstrap, take_over
from runtime.joining.members import Application
from runtime.joining.servers import first_server
from runtime.joining.supervisor import SupervisorClient
from runtime.pki.ensure import secret_folder
from runtime.supervisor.token import SERVER_USER
from runtime.tokens import configured, ensure_node_password

_BRIEFLY: Final = 3.0  # seconds: all servers may be starting at once


async def inherit(node: Node, control: Control) -> str:
    """Trust, settings, files. Nothing to do for a cluster's first server and for one that has joined.

    Raises TrustError for a wrong token, another cluster or an agents' token, ProblemsError for settings that are not
    the cluster's, NotYetError for a server that is not there.
    """
    if node.config.server_url is None:
        return "the first server"
    if await asyncio.to_thread(has_data, node.paths):
        node.found.left = not await still_member(node, seconds=_BRIEFLY)
        return "no member any more: it will join anew" if node.found.left else "a member already"
    client = server_client(node)
    if client.token.authority is None:
        node.say("warning: the token has no hash (K10...): whoever answers at the server's address is believed")
    secret_folder(node.paths.agent)
    async with client.telling_clocks():
        await client.trust()
        check_shared(node.config, await client.document("config"), where=client.url)
        inheritance = read_bootstrap(await client.document("server-bootstrap"), where=client.url)
    written = await asyncio.to_thread(_write, node, inheritance)
    return f"{written} files of the cluster written"


def server_client(node: Node) -> SupervisorClient:
    """The supervisor of the configured server. Raises TrustError for a token of agents."""
    assert node.config.server_url is not None
    found = configured(node.config.token, default_user=SERVER_USER)
    hint = "copy server/token of a server"
    if found is None:
        raise SealiftError("no token to join with", hint=f"set token or token-file; {hint}")
    if found.user != SERVER_USER:
        raise TrustError("a token of agents cannot join a server", hint=hint)
    url = f"https://{first_server(node.config.server_url)}"
    return SupervisorClient(url=url, authority=node.paths.agent / "server-ca.crt", token=found)


async def still_member(node: Node, *, seconds: float) -> bool:
    """Asks a server of the cluster; without an answer in time, or without anybody to ask, it is taken for one.

    A server that was removed, or whose cluster was restored from a snapshot while it was away, must not go on with what
    it has: two of those could be a quorum of their own.
    """
    name = await asyncio.to_thread(read_member_name, node.paths)
    if node.config.server_url is None or not name:
        return True
    try:
        async with asyncio.timeout(seconds):
            return await application(node, Applicant(name=name, peer_url=peer_url(node.config))).still()
    except (SealiftError, TimeoutError):
        return True


def application(node: Node, applicant: Applicant) -> Application:
    """What this server asks for membership with: certificates of the cluster, which it has taken over by now.

    The token in its configuration may have been rotated long ago.
    """
    password = ensure_node_password(node.paths.node_password, SystemEntropy())
    client = server_client(node)
    if node.admin.certificate is not None and node.admin.certificate.exists():
        client = replace(client, known=node.admin)
    return Application(client=client, applicant=applicant, password=password)


def _write(node: Node, inheritance: Inheritance) -> int:
    written = take_over(node.paths, inheritance)
    keep_agent_secret(node.config, inheritance)
    return written
