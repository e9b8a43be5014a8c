"""PodSpec -> manifest: RKE2's shape of a pod, its hash of files and its UID.

RKE2 v1.34, pkg/podtemplate/podtemplate.go (Pod, createProbe, addVolumes) and pkg/executor/staticpod/staticpod.go
(writeTemplate). Pure: the files' hash and the environment are passed in.

What differs: RKE2 hashes a Go dump of the pod for the UID; here it is the pod's JSON. Both change when anything in
the manifest changes, which is what the UID is for: the kubelet stops the old pod and starts the new one.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from runtime.staticpods.model import ExecProbe, HttpProbe, PodSpec, Probe
from runtime.yamltext import yaml_text

NAMESPACE: Final = "kube-system"
PRIORITY_CLASS: Final = "system-cluster-critical"
_EXEC_PERIOD: Final = 5  # seconds: a program is started each time


@dataclass(frozen=True, slots=True)
class _Pace:
    """When a probe begins, how long it may take, after how many failures it counts, and how often; seconds."""

    delay: int
    timeout: int
    failures: int
    period: int


_LIVENESS: Final = _Pace(10, 15, 8, 10)
_READINESS: Final = _Pace(0, 15, 3, 1)
_STARTUP: Final = _Pace(10, 15, 24, 10)


@dataclass(frozen=True, kw_only=True, slots=True)
class Manifest:
    """A static pod's manifest: `text` is the file, `uid` 32 hexadecimal digits, also inside it."""

    name: str
    path: Path
    uid: str
    text: str


def render(
    spec: PodSpec, *, path: Path, files: Sequence[Path], file_hash: str, environment: Mapping[str, str]
) -> Manifest:
    """The manifest of `spec` at `path`.

    Args:
        spec: the pod.
        path: where the manifest will stand; part of the UID.
        files: all files to mount, sorted.
        file_hash: sha256 over their contents, so that a new certificate restarts the pod.
        environment: this process's; variables about proxies are handed on.
    """
    variables = {"FILE_HASH": file_hash, **proxy_variables(environment), **dict(spec.environment)}
    metadata: dict[str, Any] = {
        "name": spec.name,
        "namespace": NAMESPACE,
        "labels": {"component": spec.name, "tier": "control-plane"},
    }
    if spec.annotations:
        metadata["annotations"] = dict(spec.annotations)
    mounts = [("dir", number, path) for number, path in enumerate(spec.folders)]
    mounts += [("file", number, path) for number, path in enumerate(files)]
    pod: dict[str, Any] = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": metadata,
        "spec": {
            "hostNetwork": True,
            "priorityClassName": PRIORITY_CLASS,
            "containers": [_container(spec, variables, mounts)],
            "volumes": [_volume(*mount) for mount in mounts],
        },
    }
    uid = pod_uid(pod, path)
    metadata["uid"] = uid
    return Manifest(name=spec.name, path=path, uid=uid, text=yaml_text(pod))


def pod_uid(pod: Mapping[str, object], path: Path) -> str:
    """32 hexadecimal digits over a pod without a UID and the path of its manifest; not for security."""
    text = json.dumps(pod, sort_keys=True, separators=(",", ":")) + f"file:{path}"
    return hashlib.md5(text.encode(), usedforsecurity=False).hexdigest()


def proxy_variables(environment: Mapping[str, str]) -> dict[str, str]:
    """The variables whose name has `proxy` in any case, sorted."""
    return {name: environment[name] for name in sorted(environment) if "proxy" in name.lower()}


def _container(spec: PodSpec, variables: Mapping[str, str], mounts: Sequence[tuple[str, int, Path]]) -> dict[str, Any]:
    container: dict[str, Any] = {
        "name": spec.name,
        "image": spec.image.index_name,
        "imagePullPolicy": "IfNotPresent",
        "command": [spec.name],
        "args": list(spec.arguments),
        "env": [{"name": name, "value": value} for name, value in variables.items()],
        "resources": {"requests": dict(spec.requests)} | ({"limits": dict(spec.limits)} if spec.limits else {}),
        "securityContext": {"privileged": spec.privileged},
    }
    if spec.user is not None:
        container["securityContext"]["runAsUser"] = spec.user
    if spec.ports:
        container["ports"] = [
            {"name": port.name, "containerPort": port.number, "protocol": "TCP"} for port in spec.ports
        ]
    probes = (
        ("livenessProbe", spec.liveness, _LIVENESS),
        ("readinessProbe", spec.readiness, _READINESS),
        ("startupProbe", spec.startup, _STARTUP),
    )
    container |= {name: _probe(probe, pace) for name, probe, pace in probes if probe is not None}
    if mounts:
        container["volumeMounts"] = [_mount(*mount) for mount in mounts]
    return container


def _probe(probe: Probe, pace: _Pace) -> dict[str, Any]:
    match probe:
        case HttpProbe():
            action: dict[str, Any] = {
                "httpGet": {"host": "localhost", "path": probe.path, "port": probe.port, "scheme": probe.scheme}
            }
            period = pace.period
        case ExecProbe():
            action = {"exec": {"command": list(probe.command)}}
            period = max(pace.period, _EXEC_PERIOD)
    delay = {"initialDelaySeconds": pace.delay} if pace.delay else {}
    return {
        **action,
        **delay,
        "timeoutSeconds": pace.timeout,
        "failureThreshold": pace.failures,
        "periodSeconds": period,
    }


def _mount(kind: str, number: int, path: Path) -> dict[str, Any]:
    mount: dict[str, Any] = {"name": f"{kind}{number}", "mountPath": str(path)}
    return mount | {"readOnly": True} if kind == "file" else mount


def _volume(kind: str, number: int, path: Path) -> dict[str, Any]:
    host_type = "File" if kind == "file" else "DirectoryOrCreate"
    return {"name": f"{kind}{number}", "hostPath": {"path": str(path), "type": host_type}}
