"""Whether the cluster's ingress controllers serve: the probe through an Ingress, at the node's own ports 80 and 443.

One Ingress names each controller's class, and one names none: that is the first controller's by default. Asked are the
node itself and another machine, by the name that the Ingress has and no DNS knows.
"""

import json
from collections.abc import Awaitable, Callable
from typing import Any, Final

from bundles.choices import NONE
from bundles.errors import SealiftError
from runtime.choices import Chosen
from runtime.prove.checks import Check, Scene, page_of, pods
from runtime.prove.probe import NAME, NAMESPACE, PAGE

DEFAULT: Final = "default"
_DOMAIN: Final = "prove.test"  # RFC 6761: no name of anybody


def ingress_checks(chosen: Chosen) -> tuple[Check, ...]:
    """The checks of what was chosen; none when nobody serves Ingresses."""
    controllers = [name for name in chosen.ingress if name != NONE]
    if not controllers:
        return ()
    checks = [
        Check(
            name=f"ingress-{name}",
            text=f"an Ingress of class {name} is served at the node's address",
            work=_served(name, name),
            patience=90.0,
        )
        for name in controllers
    ]
    text = f"an Ingress that names no class is served by {controllers[0]}, also with TLS"
    return (*checks, Check(name="ingress-default", text=text, work=_served(DEFAULT, None), patience=90.0))


def ingress_object(name: str, ingress_class: str | None) -> bytes:
    """An Ingress for `NAME.prove.test` that leads to the probe's service, as a document for kubectl."""
    path = {"path": "/", "pathType": "Prefix", "backend": {"service": {"name": NAME, "port": {"number": 80}}}}
    spec: dict[str, Any] = {"rules": [{"host": host_of(name), "http": {"paths": [path]}}]}
    if ingress_class is not None:
        spec["ingressClassName"] = ingress_class
    metadata = {"name": name, "namespace": NAMESPACE}
    document = {"apiVersion": "networking.k8s.io/v1", "kind": "Ingress", "metadata": metadata, "spec": spec}
    return json.dumps(document).encode()


def host_of(name: str) -> str:
    """The name that an Ingress serves."""
    return f"{name}.{_DOMAIN}"


def _served(name: str, ingress_class: str | None) -> Callable[[Scene], Awaitable[None]]:
    async def work(scene: Scene) -> None:
        await scene.hands.kubectl("apply", "-f", "-", feed=ingress_object(name, ingress_class))
        found = json.loads(await scene.hands.kubectl("-n", NAMESPACE, "get", "ingress", name, "-o", "json"))
        if not found["spec"].get("ingressClassName"):
            raise SealiftError("no IngressClass is the default one", where=f"ingress {name}")
        for scheme in ("http",) if ingress_class else ("http", "https"):
            for neighbour in (False, True):
                url = f"{scheme}://{scene.address}{PAGE}"
                page = await scene.hands.fetch(url, neighbour=neighbour, host=host_of(name))
                page_of(page, await pods(scene))

    return work
