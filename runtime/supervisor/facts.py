"""What the supervisor knows when a request comes, as one value: routes look nothing up."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from runtime.pki.certificates import Signer
from runtime.supervisor.catalogue import Catalogue


@dataclass(frozen=True, kw_only=True, slots=True)
class Facts:
    """A server, at one moment.

    Args:
        server_authority: server-ca.crt, the file's bytes.
        client_authority: client-ca.crt.
        servers: signs what kubelets serve with.
        clients: signs who nodes are.
        now: aware, UTC.
        serial: 16 fresh random bytes.
        ready: whether the control plane answers.
        apiservers: `HOST:PORT` of all apiservers.
        config: what agents need to know of the cluster, by k3s' field names.
        bootstrap: what further servers need, by k3s' names; contains keys.
        catalogue: what the registry has; None while no bundle is admitted.
        metrics: for Prometheus.
        members: etcd's members, and how this one stands.
    """

    server_authority: bytes
    client_authority: bytes
    servers: Signer = field(repr=False)
    clients: Signer = field(repr=False)
    now: datetime
    serial: bytes = field(repr=False)
    ready: bool
    apiservers: tuple[str, ...]
    config: Mapping[str, Any]
    bootstrap: Mapping[str, Any] = field(default_factory=dict, repr=False)
    members: Mapping[str, Any] = field(default_factory=dict)
    catalogue: Catalogue | None = None
    metrics: bytes = b""
