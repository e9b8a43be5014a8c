"""A static pod as a value: what differs between the pods of a node, everything else is the same for all.

RKE2 v1.34, pkg/podtemplate/spec.go and config.go. Pure.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

from bundles.reference import Reference

Scheme = Literal["HTTP", "HTTPS"]
SSL_FOLDERS: Final = (
    Path("/etc/ssl/certs"),
    Path("/etc/pki/tls/certs"),
    Path("/etc/ca-certificates"),
    Path("/usr/local/share/ca-certificates"),
    Path("/usr/share/ca-certificates"),
)


@dataclass(frozen=True, kw_only=True, slots=True)
class HttpProbe:
    """GET of `path` at `port` of localhost: all these pods have the host's network."""

    port: int
    path: str = "/livez"
    scheme: Scheme = "HTTPS"


@dataclass(frozen=True, kw_only=True, slots=True)
class ExecProbe:
    """A command inside the container."""

    command: tuple[str, ...]


Probe = HttpProbe | ExecProbe


@dataclass(frozen=True, kw_only=True, slots=True)
class Port:
    """A named TCP port."""

    name: str
    number: int


@dataclass(frozen=True, kw_only=True, slots=True)
class PodSpec:
    """One static pod.

    Args:
        name: of the pod, its container, its command and its manifest.
        image: written in the form with index.docker.io, as RKE2 does.
        arguments: with their hyphens.
        ports: for those who look at the pod.
        requests: `cpu` and `memory` quantities.
        limits: the same.
        liveness, readiness, startup: probes, None for none.
        folders: mounted read-write at the same path, made when missing.
        files: mounted read-only at the same path, further to those that the arguments name.
        unhashed: files that arguments name and that change while the pod runs: neither mounted one by one nor hashed.
        privileged: with all rights of the host.
        user: user id, None for the image's.
        annotations: of the pod.
        environment: further variables.
    """

    name: str
    image: Reference
    arguments: tuple[str, ...]
    requests: tuple[tuple[str, str], ...]
    limits: tuple[tuple[str, str], ...] = ()
    ports: tuple[Port, ...] = ()
    liveness: Probe | None = None
    readiness: Probe | None = None
    startup: Probe | None = None
    folders: tuple[Path, ...] = ()
    files: tuple[Path, ...] = ()
    unhashed: tuple[Path, ...] = ()
    privileged: bool = False
    user: int | None = None
    annotations: tuple[tuple[str, str], ...] = ()
    environment: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, kw_only=True, slots=True)
class Images:
    """The images of a server's static pods, and the two that others run with."""

    etcd: Reference
    apiserver: Reference
    controller_manager: Reference
    scheduler: Reference
    proxy: Reference
    helm_controller: Reference
    helm_job: Reference
    pause: Reference
