"""Who asks: a node by its certificate, or whoever knows a token. Pure.

k3s pkg/server/auth and pkg/daemons/control/deps (server/cred/passwd). A wrong secret and an unknown user take the same
time and get the same answer.
"""

import hashlib
import hmac
from dataclasses import dataclass, field

from cryptography import x509
from cryptography.x509.oid import NameOID

from runtime.supervisor.messages import Request
from runtime.supervisor.token import AGENT_USER, SERVER_USER

AGENT = "rke2:agent"
SERVER = "rke2:server"
NODES = "system:nodes"
MASTERS = "system:masters"
MONITORING = "system:monitoring"  # Kubernetes' own group for whoever reads metrics
_NODE_PREFIX = "system:node:"


@dataclass(frozen=True, kw_only=True, slots=True)
class Secrets:
    """The secrets of a cluster: what servers and agents join with; none of them in `repr`."""

    server: str = field(repr=False)
    agent: str = field(repr=False)


@dataclass(frozen=True, kw_only=True, slots=True)
class Caller:
    """Whoever asks: a `name` for the log, and its `roles`; nobody has none."""

    name: str = "anonymous"
    roles: frozenset[str] = frozenset()

    def may_be(self, node: str) -> bool:
        """Whether it may ask in the name of `node`: who came with a node's certificate is that node and no other.

        A machine that was taken over can so invent no further nodes; who knows a token may bring in new ones.
        """
        return NODES not in self.roles or self.name == f"{_NODE_PREFIX}{node}"


NOBODY = Caller()


def caller_of(request: Request, secrets: Secrets) -> Caller:
    """A certificate counts before a secret, as in k3s; a secret that is wrong is nobody's."""
    if request.certificate is not None:
        return Caller(name=_name(request.certificate), roles=frozenset(_groups(request.certificate)))
    is_server = _same(request.secret, secrets.server) & (request.user == SERVER_USER)
    # A server's secret is enough to join as an agent, not the other way round.
    is_agent = (_same(request.secret, secrets.agent) | _same(request.secret, secrets.server)) & (
        request.user == AGENT_USER
    )
    if is_server:
        return Caller(name=SERVER_USER, roles=frozenset((SERVER, AGENT)))
    if is_agent:
        return Caller(name=AGENT_USER, roles=frozenset((AGENT,)))
    return NOBODY


def _same(given: str, secret: str) -> bool:
    """In constant time, whatever the lengths; an empty secret is nobody's."""
    given_hash, secret_hash = (hashlib.sha256(text.encode()).digest() for text in (given, secret))
    return hmac.compare_digest(given_hash, secret_hash) & bool(secret)


def _name(certificate: x509.Certificate) -> str:
    names = certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
    return str(names[0].value) if names else ""


def _groups(certificate: x509.Certificate) -> list[str]:
    return [str(name.value) for name in certificate.subject.get_attributes_for_oid(NameOID.ORGANIZATION_NAME)]
