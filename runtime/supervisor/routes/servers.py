"""For further servers: the cluster's keys, and who is in etcd."""

from http import HTTPStatus

from runtime.supervisor.facts import Facts
from runtime.supervisor.messages import Request, Response, document, refusal


def bootstrap(request: Request, facts: Facts) -> Response:
    """The authorities with their keys, the key of service account tokens and that of secrets, by k3s' names."""
    if not facts.bootstrap:
        return refusal(HTTPStatus.SERVICE_UNAVAILABLE, "this server is not set up yet")
    return document(dict(facts.bootstrap))


def members(request: Request, facts: Facts) -> Response:
    """etcd's members: what a joining server adds itself to."""
    if not facts.members:
        return refusal(HTTPStatus.SERVICE_UNAVAILABLE, "etcd is not up yet")
    return document(dict(facts.members))


def nobody_acts(request: Request, facts: Facts) -> Response:
    """For routes that are done, not answered, where nobody does them."""
    return refusal(HTTPStatus.SERVICE_UNAVAILABLE, "this server cannot do that")
