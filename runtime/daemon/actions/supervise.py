"""The stage `supervisor` of a server: what it knows, as facts, behind the door of `runtime.supervisor.serve`."""

import asyncio
import json
import time
from dataclasses import replace
from datetime import UTC, datetime
from http import HTTPStatus
from pathlib import Path
from typing import Any, Final

from bundles.errors import FormatError, SealiftError
from runtime.daemon.api import ask, is_healthy
from runtime.daemon.context import Node
from runtime.daemon.gauge import Gauge
from runtime.daemon.runner import Control
from runtime.daemon.shelf import Shelf
from runtime.entropy import SystemEntropy
from runtime.etcd.gateway import local_gateway
from runtime.etcd.members import Admit, Later, Member, Refuse, judge, node_of
from runtime.joining.bootstrap import shared_document
from runtime.joining.clusterdoc import cluster_document
from runtime.joining.members import read_application
from runtime.nodeconf.model import API_PORT, SUPERVISOR_PORT, bracketed
from runtime.nodefiles import read_file
from runtime.pki.plan import CLIENT_CA, SERVER_CA
from runtime.supervisor import token
from runtime.supervisor.bootstrapstore import BootstrapTokens
from runtime.supervisor.facts import Facts
from runtime.supervisor.limits import Limits
from runtime.supervisor.messages import Request, Response, refusal
from runtime.supervisor.messages import document as document_of
from runtime.supervisor.passwords import NodePasswords, Secrets
from runtime.supervisor.routes import registry
from runtime.supervisor.routes.certificates import NAME_HEADER
from runtime.supervisor.routes.cluster import METRICS
from runtime.supervisor.table import Route
from runtime.supervisor.token import SERVER_USER
from runtime.tokens import change_server_secret, ensure_node_password, read_secrets

_SERIAL: Final = 16
_SLICES: Final = (
    "/apis/discovery.k8s.io/v1/namespaces/default/endpointslices?labelSelector=kubernetes.io/service-name%3Dkubernetes"
)


def node_passwords(node: Node) -> NodePasswords:
    """Passwords of nodes, kept in this cluster."""
    store = Secrets(url=node.config.api_url, identity=node.admin)
    gate = asyncio.Semaphore(Limits().hashing)
    return NodePasswords(store=store, octets=SystemEntropy().octets, gate=gate)


def own_password(node: Node, name: str) -> str | None:
    """This server's, for its own name alone."""
    same = name == node.config.node_name
    return ensure_node_password(node.paths.node_password, SystemEntropy()) if same else None


async def supervise(node: Node, control: Control) -> str:
    """Answers until it is cancelled. Raises SealiftError when the port is taken."""
    from runtime.supervisor.serve import Supervisor, listening, server_context

    tls = node.paths.tls
    context = server_context(
        str(tls / "serving-supervisor.crt"), str(tls / "serving-supervisor.key"), str(tls / "client-ca.crt")
    )

    shelf, gauge = Shelf(node.layout), Gauge(node.layout, node.clock, time.time)

    async def facts(route: Route) -> Facts:
        return await gather(node, route, shelf, gauge)

    async def add(request: Request) -> Response:
        return await add_member(node, request)

    async def put(request: Request) -> Response:
        return await put_token(node, request)

    supervisor = Supervisor(
        secrets=lambda: read_secrets(node.config),
        facts=facts,
        passwords=replace(node_passwords(node), itself=lambda name: own_password(node, name)),
        say=node.say,
        acts={"add-member": add, "put-token": put},
        bootstraps=BootstrapTokens(url=node.config.api_url, identity=node.admin).get,
    )
    try:
        async with listening(supervisor, None, SUPERVISOR_PORT, context):
            control.up(f"port {SUPERVISOR_PORT}")
            await asyncio.Event().wait()
    except OSError as exc:
        raise SealiftError(f"cannot listen on port {SUPERVISOR_PORT}: {exc.strerror}") from exc
    return ""


async def gather(node: Node, route: Route, shelf: Shelf, gauge: Gauge) -> Facts:
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
        bootstrap=shared_document(node.paths) if wants == "server-bootstrap" else {},
        members=await members(node) if wants == "info" else {},
        catalogue=await shelf.look() if route.path == registry.PREFIX else None,
        metrics=await gauge.read() if route.path == METRICS else b"",
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
    """etcd's members and how this one stands, as its own gateway tells them; empty while it does not answer."""
    gateway = local_gateway(node.config)
    try:
        found = await gateway.call("cluster/member/list")
        status = await gateway.call("maintenance/status")
    except SealiftError:
        return {}
    return {"members": found.get("members", []), "status": status}


async def add_member(node: Node, request: Request) -> Response:
    """A server that joins becomes a learner; its name and its address must be nobody else's."""
    applicant = read_application(request.body)
    if node_of(applicant.name) != request.headers.get(NAME_HEADER):
        return refusal(HTTPStatus.BAD_REQUEST, "a member's name begins with its node's")
    gateway = local_gateway(node.config)
    try:
        members = await gateway.members()
        match judge(members, applicant):
            case Refuse(reason):
                return refusal(HTTPStatus.CONFLICT, reason)
            case Later(reason):
                return refusal(HTTPStatus.SERVICE_UNAVAILABLE, reason)
            case Admit():
                members = await gateway.add_learner(applicant.peer_url)
                node.say(f"etcd: {applicant.name} joins from {applicant.peer_url}")
    except SealiftError as exc:  # too many learners, no leader, not enough members that are well: all pass
        return refusal(HTTPStatus.SERVICE_UNAVAILABLE, f"etcd: {exc.message}")
    return document_of({"members": [_row(member) for member in members]})


async def put_token(node: Node, request: Request) -> Response:
    """The cluster has another secret: `{"secret": ...}` (`runtime.tokenrotation`, whose etcd has it already)."""
    try:
        document = json.loads(request.body)
        secret = token.parse(document["secret"], default_user=SERVER_USER)
    except (ValueError, KeyError, TypeError, AttributeError) as exc:
        raise FormatError("not a secret") from exc
    if not secret.user or secret.authority is not None:
        raise FormatError("not a secret of a cluster")
    authority = _content(node.paths.tls / "server-ca.crt")
    changed = await asyncio.to_thread(
        change_server_secret, node.config, secret.secret, authority=authority, entropy=SystemEntropy()
    )
    if changed:
        node.say("the cluster's token was rotated: put the new one, or none, into the configuration")
    return document_of({"changed": changed})


def _row(member: Member) -> dict[str, Any]:
    return {"ID": member.id, "name": member.name, "peerURLs": list(member.peer_urls), "isLearner": member.learner}


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
