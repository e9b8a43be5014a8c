"""The supervisor's routes as a table: method, path, who may ask, what answers. Pure.

RKE2's paths (k3s pkg/server/handlers/router.go, prefix /v1-rke2), so that whoever knows RKE2 can read a log of these.
Not here, on purpose: `connect` (nothing needs a tunnel: the apiserver reaches kubelets directly), `static`, and
`client-rke2-controller.crt` (nothing runs as that).
"""

from collections.abc import Callable
from dataclasses import dataclass
from http import HTTPStatus
from typing import Final

from bundles.errors import FormatError
from runtime.supervisor.callers import AGENT, MASTERS, MONITORING, NODES, SERVER, Caller
from runtime.supervisor.facts import Facts
from runtime.supervisor.messages import Request, Response, refusal
from runtime.supervisor.routes import certificates, cluster, public, registry, servers

PREFIX: Final = "/v1-rke2"
EVERYBODY: Final[frozenset[str]] = frozenset()
AGENTS: Final = frozenset((AGENT, SERVER, NODES, MASTERS))
SERVERS: Final = frozenset((SERVER, MASTERS))
WATCHERS: Final = AGENTS | {MONITORING}

Answer = Callable[[Request, Facts], Response]


@dataclass(frozen=True, kw_only=True, slots=True)
class Route:
    """One row: `roles` empty is everybody's. `node`: only for a node that has proved its name by its password.

    `below`: also for every path that begins with `path`.

    `act`: the name of what the daemon does for this request instead of answering from what it knows.
    """

    path: str
    answer: Answer
    roles: frozenset[str]
    method: str = "GET"
    node: bool = False
    below: bool = False
    act: str = ""


def _agents(name: str, answer: Answer, *, method: str = "GET", node: bool = False) -> Route:
    return Route(path=f"{PREFIX}/{name}", answer=answer, roles=AGENTS, method=method, node=node)


ROUTES: Final = (
    Route(path="/cacerts", answer=public.cacerts, roles=EVERYBODY),
    Route(path="/ping", answer=public.ping, roles=EVERYBODY),
    _agents("config", cluster.config),
    _agents("apiservers", cluster.apiservers),
    _agents("readyz", cluster.readyz),
    _agents("server-ca.crt", cluster.server_ca),
    _agents("client-ca.crt", cluster.client_ca),
    _agents("serving-kubelet.crt", certificates.serving_kubelet, method="POST", node=True),
    _agents("client-kubelet.crt", certificates.client_kubelet, method="POST", node=True),
    _agents("client-kube-proxy.crt", certificates.client_kube_proxy, method="POST"),
    Route(path=f"{PREFIX}/server-bootstrap", answer=servers.bootstrap, roles=SERVERS),
    Route(path=f"{PREFIX}/db/info", answer=servers.members, roles=SERVERS),
    Route(path=cluster.METRICS, answer=cluster.metrics, roles=WATCHERS),
    Route(path=registry.PREFIX, answer=registry.registry, roles=AGENTS, below=True),
    Route(path=f"{PREFIX}/token", answer=servers.nobody_acts, roles=SERVERS, method="PUT", act="put-token"),
    # Ours: RKE2's servers ask etcd itself, in gRPC.
    Route(
        path=f"{PREFIX}/db/member",
        answer=servers.nobody_acts,
        roles=SERVERS,
        method="POST",
        node=True,
        act="add-member",
    ),
)


def find(method: str, path: str, routes: tuple[Route, ...] = ROUTES) -> Route | Response:
    """The route of a request, or the refusal of one that nobody answers. HEAD is answered as GET."""
    wanted = "GET" if method == "HEAD" else method
    at_path = [route for route in routes if route.path == path or (route.below and path.startswith(route.path))]
    if not at_path:
        return refusal(HTTPStatus.NOT_FOUND)
    for route in at_path:
        if route.method == wanted:
            return route
    return refusal(HTTPStatus.METHOD_NOT_ALLOWED)


def allowed(route: Route, caller: Caller) -> Response | None:
    """None when this caller may ask; else the refusal: 401 for nobody, 403 for somebody else."""
    if not route.roles or route.roles & caller.roles:
        return None
    return refusal(HTTPStatus.FORBIDDEN if caller.roles else HTTPStatus.UNAUTHORIZED)


def answer(route: Route, request: Request, facts: Facts) -> Response:
    """What the route says; a request that cannot be read is the sender's fault, in words without a trace."""
    try:
        return route.answer(request, facts)
    except FormatError as exc:
        return refusal(HTTPStatus.BAD_REQUEST, exc.message)
