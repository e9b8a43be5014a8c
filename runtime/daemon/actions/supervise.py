"""The stage `supervisor` of a server: what it knows, as facts, behind the door of `runtime.supervisor.serve`."""

import asyncio
import base64
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from bundles.errors import SealiftError
from runtime.daemon.actions.controlplane import etcd_identity
from runtime.daemon.api import ask, is_healthy
from runtime.daemon.context import Node
from runtime.daemon.runner import Control
from runtime.entropy import SystemEntropy
from runtime.joining.clusterdoc import cluster_document
from runtime.nodeconf.model import API_PORT, SUPERVISOR_PORT, bracketed
from runtime.nodefiles import read_file
from runtime.pki.plan import CLIENT_CA, SERVER_CA
from runtime.supervisor.facts import Facts
from runtime.supervisor.limits import Limits
from runtime.supervisor.passwords import NodePasswords, Secrets
from runtime.supervisor.table import Route
from runtime.tokens import read_secrets

_SERIAL: Final = 16
_SLICES: Final = (
    "/apis/discovery.k8s.io/v1/namespaces/default/endpointslices?labelSelector=kubernetes.io/service-name%3Dkubernetes"
)


def node_passwords(node: Node) -> NodePasswords:
    """Passwords of nodes, kept in this cluster."""
    store = Secrets(url=node.config.api_url, identity=node.admin)
    gate = asyncio.Semaphore(Limits().hashing)
    return NodePasswords(store=store, octets=SystemEntropy().octets, gate=gate)


async def supervise(node: Node, control: Control) -> str:
    """Answers until it is cancelled. Raises SealiftError when the port is taken."""
    from runtime.supervisor.serve import Supervisor, listening, server_context

    tls = node.paths.tls
    context = server_context(
        str(tls / "serving-supervisor.crt"), str(tls / "serving-supervisor.key"), str(tls / "client-ca.crt")
    )

    async def facts(route: Route) -> Facts:
        return await gather(node, route)

    supervisor = Supervisor(
        secrets=lambda: read_secrets(node.config), facts=facts, passwords=node_passwords(node), say=node.say
    )
    try:
        async with listening(supervisor, None, SUPERVISOR_PORT, context):
            control.up(f"port {SUPERVISOR_PORT}")
            await asyncio.Event().wait()
    except OSError as exc:
        raise SealiftError(f"cannot listen on port {SUPERVISOR_PORT}: {exc.strerror}") from exc
    return ""


async def gather(node: Node, route: Route) -> Facts:
    """What this route may need to know; what others need is not asked for."""
    signers = node.found.signers
    if signers is None:
        raise SealiftError("the authorities are not there yet")
    wants = route.path.rpartition("/")[2]
    tls = node.paths.tls
    return Facts(
        server_authority=_content(tls / "server-ca.crt"),
        client_authority=_content(tls / "client-ca.crt"),
        servers=signers[SERVER_CA],
        clients=signers[CLIENT_CA],
        now=datetime.now(UTC),
        serial=SystemEntropy().octets(_SERIAL),
        ready=wants == "readyz" and await is_healthy(f"{node.config.api_url}/readyz", node.admin),
        apiservers=await apiservers(node) if wants == "apiservers" else (),
        config=cluster_document(node.config) if wants == "config" else {},
        bootstrap=bootstrap(node) if wants == "server-bootstrap" else {},
        members=await members(node) if wants == "info" else {},
    )


async def apiservers(node: Node) -> tuple[str, ...]:
    """All apiservers as the cluster knows them; this server's own while it knows none."""
    try:
        answer = await ask(f"{node.config.api_url}{_SLICES}", node.admin)
        found = sorted(_addresses(answer.document()))
    except SealiftError:
        found = []
    return tuple(found) or (f"{bracketed(node.config.advertise_address)}:{API_PORT}",)


async def members(node: Node) -> dict[str, Any]:
    """etcd's members, as its own gateway tells them; empty while it does not answer."""
    url = f"https://{bracketed(node.config.loopback)}:2382/v3/cluster/member/list"
    try:
        answer = await ask(url, etcd_identity(node), method="POST", body=b"{}")
        document = answer.document()
    except SealiftError:
        return {}
    return {"members": document.get("members", [])} if isinstance(document, dict) else {}


# k3s pkg/daemons/config, ControlRuntimeBootstrap -> file below server/tls or server.
BOOTSTRAP: Final = {
    "ETCDServerCA": "tls/etcd/server-ca.crt",
    "ETCDServerCAKey": "tls/etcd/server-ca.key",
    "ETCDPeerCA": "tls/etcd/peer-ca.crt",
    "ETCDPeerCAKey": "tls/etcd/peer-ca.key",
    "ServerCA": "tls/server-ca.crt",
    "ServerCAKey": "tls/server-ca.key",
    "ClientCA": "tls/client-ca.crt",
    "ClientCAKey": "tls/client-ca.key",
    "RequestHeaderCA": "tls/request-header-ca.crt",
    "RequestHeaderCAKey": "tls/request-header-ca.key",
    "ServiceKey": "tls/service.key",
    "PasswdFile": "cred/passwd",
    "EncryptionConfig": "cred/encryption-config.json",
    "EncryptionHash": "cred/encryption-state.json",
}


def bootstrap(node: Node) -> dict[str, Any]:
    """What further servers need: content in base64, and when each file was written (RFC 3339)."""
    found = {}
    for name, path in BOOTSTRAP.items():
        file = node.paths.server / path
        written = datetime.fromtimestamp(int(file.stat().st_mtime), UTC).isoformat().replace("+00:00", "Z")
        found[name] = {"Timestamp": written, "Content": base64.b64encode(_content(file)).decode()}
    return found


def _addresses(document: Any) -> set[str]:
    found = set()
    for piece in document.get("items", []):
        port = next((p.get("port") for p in piece.get("ports") or [] if p.get("name") == "https"), API_PORT)
        for endpoint in piece.get("endpoints") or []:
            if endpoint.get("conditions", {}).get("ready") is not False:
                found |= {f"{bracketed(address)}:{port}" for address in endpoint.get("addresses", [])}
    return found


def _content(path: Path) -> bytes:
    data = read_file(path)
    if data is None:
        raise SealiftError("a file of the cluster is missing", where=path)
    return data
