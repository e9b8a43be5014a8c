"""What a proof puts into the cluster to look at it from inside: one small server, made of an image the bundle has.

The image is the one of kube-apiserver's static pod: its probes need kubectl in it, and kubectl can serve a folder and
fetch a page. So a proof carries no image of its own. Pure.
"""

import json
from collections.abc import Iterable
from typing import Any, Final

NAMESPACE: Final = "sealift-prove"
NAME: Final = "probe"
PORT: Final = 8080
PAGE: Final = "/probe/hostname"
SERVING: Final = "Starting to serve"
_SERVE: Final = (
    "kubectl",
    "proxy",
    "--address=0.0.0.0",
    f"--port={PORT}",
    "--www=/etc",
    "--www-prefix=/probe/",
    "--api-prefix=/none/",
    "--reject-paths=.*",  # nobody shall reach the apiserver through it
)


def objects(image: str) -> bytes:
    """The probe's namespace, deployment and service, as one document for kubectl; `image` as static pods spell it."""
    labels = {"app": NAME}
    pod = _pod(image)
    template = {"metadata": {"labels": labels}, "spec": pod}
    ports = [{"port": 80, "targetPort": PORT}]
    return json.dumps(
        {
            "apiVersion": "v1",
            "kind": "List",
            "items": [
                {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}},
                _object("apps/v1", "Deployment", {"selector": {"matchLabels": labels}, "template": template}),
                _object("v1", "Service", {"type": "NodePort", "selector": labels, "ports": ports}),
            ],
        }
    ).encode()


def far_pod(node: str) -> str:
    """The name of the pod that is pinned to a node."""
    return f"far-{node}"


def far_objects(image: str, nodes: Iterable[str]) -> bytes:
    """A pod on each node, whatever the scheduler thinks; the namespace is there already."""
    items = [
        {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {"name": far_pod(node), "namespace": NAMESPACE, "labels": {"app": "far"}},
            "spec": {**_pod(image), "nodeName": node},
        }
        for node in nodes
    ]
    return json.dumps({"apiVersion": "v1", "kind": "List", "items": items}).encode()


def _pod(image: str) -> dict[str, Any]:
    container = {
        "name": NAME,
        "image": image,
        "imagePullPolicy": "Never",
        "command": list(_SERVE),
        "ports": [{"containerPort": PORT}],
        "env": [{"name": "HOME", "value": "/tmp"}],
        "readinessProbe": {"httpGet": {"path": PAGE, "port": PORT}, "periodSeconds": 1},
    }
    return {"terminationGracePeriodSeconds": 1, "containers": [container]}


def change(word: str) -> str:
    """A patch that makes a new generation of the probe's pod."""
    return json.dumps({"spec": {"template": {"metadata": {"annotations": {"sealift.build/change": word}}}}})


def _object(version: str, kind: str, spec: dict[str, Any]) -> dict[str, Any]:
    return {"apiVersion": version, "kind": kind, "metadata": {"name": NAME, "namespace": NAMESPACE}, "spec": spec}
