"""Certificates on demand: when each ends, and new keys and certificates at the next start. Authorities are kept.

RKE2's `certificate rotate` and `certificate check`, with its names of services (k3s pkg/util/services). What is taken
away goes to a folder beside it, so that a wrong step can be undone.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Final

from bundles.errors import SealiftError, UsageError
from bundles.files import fsync_directory, os_errors
from runtime.folders import SECRET_MODE, ensure_folder
from runtime.nodeconf.model import NodeConfig
from runtime.nodefiles import read_file
from runtime.pki.certificates import RENEW_BEFORE, read_chain
from runtime.pki.plan import AUTHORITIES, CLIENT_CA, SERVER_CA, agent_leaves, server_leaves

# RKE2's service -> paths of certificates below server/tls; those of agents stand below agent.
SERVER: Final = {
    "admin": ("client-admin",),
    "api-server": ("client-kube-apiserver", "serving-kube-apiserver"),
    "controller-manager": ("client-controller", "kube-controller-manager/kube-controller-manager"),
    "scheduler": ("client-scheduler", "kube-scheduler/kube-scheduler"),
    "supervisor": ("client-supervisor", "serving-supervisor"),
    "auth-proxy": ("client-auth-proxy",),
    "etcd": ("etcd/client", "etcd/server-client", "etcd/peer-server-client"),
}
AGENT: Final = {"kubelet": ("client-kubelet", "serving-kubelet"), "kube-proxy": ("client-kube-proxy",)}
SERVICES: Final = (*SERVER, *AGENT)


@dataclass(frozen=True, kw_only=True, slots=True)
class Standing:
    """A certificate: its file, whose it is, when it ends, and `state`: ok, renewed at the next start, or ended."""

    path: Path
    service: str
    subject: str
    ends: datetime
    state: str


def stems(node: NodeConfig, services: Iterable[str] = ()) -> dict[Path, str]:
    """Certificates without `.crt` -> the service they belong to; of all services when none is named.

    Raises UsageError for a service that nobody has.
    """
    wanted = tuple(services) or SERVICES
    if unknown := sorted(set(wanted) - set(SERVICES)):
        raise UsageError("no such service", got=", ".join(unknown), want=", ".join(SERVICES))
    found = {node.paths.agent / stem: name for name in AGENT if name in wanted for stem in AGENT[name]}
    if node.role == "server":
        found |= {node.paths.tls / stem: name for name in SERVER if name in wanted for stem in SERVER[name]}
    return found


def planned(node: NodeConfig) -> set[Path]:
    """All certificates that a start makes, without `.crt`: the names above are of these."""
    found = {node.paths.agent / leaf.path for leaf in agent_leaves(node)}
    if node.role == "server":
        found |= {node.paths.tls / leaf.path for leaf in server_leaves(node)}
    return found


def check(node: NodeConfig, now: datetime) -> list[Standing]:
    """All certificates that are there, authorities first; `now` is aware. Raises FormatError for what is none."""
    authorities = {node.paths.agent / authority.path: "authority" for authority in (CLIENT_CA, SERVER_CA)}
    if node.role == "server":
        authorities = {node.paths.tls / authority.path: "authority" for authority in AUTHORITIES}
    found = []
    for stem, service in (authorities | stems(node)).items():
        path = stem.with_name(f"{stem.name}.crt")
        if (data := read_file(path)) is not None:
            certificate = read_chain(data, path)[0]
            ends = certificate.not_valid_after_utc
            state = _state(ends, now, authority=service == "authority")
            subject = certificate.subject.rfc4514_string()
            found.append(Standing(path=path, service=service, subject=subject, ends=ends, state=state))
    return found


def set_aside(node: NodeConfig, services: Iterable[str], now: int) -> tuple[Path, list[Path]]:
    """Moves keys and certificates away -> where to, and which; the next start makes new ones.

    The certificate goes first: a key without one is completed by the next start.
    """
    folder = node.paths.data / ("server" if node.role == "server" else "agent") / f"tls-{now}"
    if folder.exists():
        raise SealiftError("the name for what is replaced is taken", where=folder, hint="try again in a second")
    moved = []
    for stem in stems(node, services):
        for suffix in ("crt", "key"):
            path = stem.with_name(f"{stem.name}.{suffix}")
            target = folder / path.relative_to(node.paths.data)
            with os_errors(path):
                if path.exists():
                    ensure_folder(folder, SECRET_MODE)
                    ensure_folder(target.parent, SECRET_MODE)
                    path.rename(target)
                    fsync_directory(path.parent)
                    moved.append(path)
    return folder, moved


def _state(ends: datetime, now: datetime, *, authority: bool) -> str:
    if now >= ends:
        return "ended"
    return "renewed at the next start" if not authority and now >= ends - RENEW_BEFORE else "ok"
