"""For everybody: whom to trust, and whether somebody is there."""

from runtime.supervisor.facts import Facts
from runtime.supervisor.messages import Request, Response, text


def cacerts(request: Request, facts: Facts) -> Response:
    """The authority that tokens pin, byte for byte: its hash is in the token."""
    return Response(body=facts.server_authority)


def ping(request: Request, facts: Facts) -> Response:
    """`pong`."""
    return text("pong")
