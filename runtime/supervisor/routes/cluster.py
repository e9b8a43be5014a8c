"""For agents: how this cluster is set up, and where its apiservers are. For watchers: how it is doing."""

from http import HTTPStatus
from typing import Final

from runtime.supervisor.facts import Facts
from runtime.supervisor.messages import Request, Response, document, refusal, text

METRICS: Final = "/metrics"
_PROMETHEUS: Final = "text/plain; version=0.0.4; charset=utf-8"


def metrics(request: Request, facts: Facts) -> Response:
    """Gauges and alarms as Prometheus reads them."""
    return Response(body=facts.metrics, kind=_PROMETHEUS)


def config(request: Request, facts: Facts) -> Response:
    """What agents have to agree on: networks, DNS, domain; k3s' names of fields."""
    return document(dict(facts.config))


def apiservers(request: Request, facts: Facts) -> Response:
    """`["10.0.0.1:6443", ...]`, what agents balance over."""
    return document(list(facts.apiservers))


def readyz(request: Request, facts: Facts) -> Response:
    """`ok` once the control plane answers."""
    if not facts.ready:
        return refusal(HTTPStatus.SERVICE_UNAVAILABLE, "the control plane is not up yet")
    return text("ok")


def server_ca(request: Request, facts: Facts) -> Response:
    """Who signs what servers and kubelets serve with."""
    return Response(body=facts.server_authority)


def client_ca(request: Request, facts: Facts) -> Response:
    """Who signs who nodes are."""
    return Response(body=facts.client_authority)
