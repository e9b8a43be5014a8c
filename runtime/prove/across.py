"""What only a cluster of several machines can be asked: pods on every node, and the network between them."""

import json
from collections.abc import Awaitable, Callable
from typing import Any, Final

from bundles.errors import SealiftError
from runtime.prove.checks import Check, Scene
from runtime.prove.probe import NAME, NAMESPACE, PAGE, PORT, far_objects, far_pod

_CLIENT: Final = ("kubectl", "--request-timeout=10s")
Work = Callable[[Scene], Awaitable[None]]


async def _spread(scene: Scene) -> None:
    await scene.hands.kubectl("apply", "-f", "-", feed=far_objects(scene.image, scene.nodes))
    for node in scene.nodes:
        await scene.hands.kubectl(
            "-n", NAMESPACE, "wait", "--for=condition=Ready", f"pod/{far_pod(node)}", "--timeout=60s"
        )


async def _pod_to_pod(scene: Scene) -> None:
    """From every node to every other: over the overlay, both ways."""
    addresses = {node: (await _pod(scene, node))["status"]["podIP"] for node in scene.nodes}
    for here in scene.nodes:
        for there in scene.nodes:
            if here != there:
                page = await _from(scene, here, f"--server=http://{addresses[there]}:{PORT}", "get", "--raw", PAGE)
                _is(page, far_pod(there))


async def _far_dns(scene: Scene) -> None:
    """DNS and the service's address from every node, whichever runs the pod."""
    pods = (await scene.hands.kubectl("-n", NAMESPACE, "get", "pods", "-l", f"app={NAME}", "-o", _NAMES)).split()
    for node in scene.nodes:
        url = f"--server=http://{NAME}.{NAMESPACE}.svc.cluster.local"
        page = await _from(scene, node, url, "get", "--raw", PAGE)
        if page.strip() not in pods:
            raise SealiftError(f"from {node}, somebody else answered", got=repr(page[:200]), want=" or ".join(pods))


async def _far_exec(scene: Scene) -> None:
    """exec and logs reach every kubelet."""
    for node in scene.nodes:
        _is(await scene.hands.kubectl("-n", NAMESPACE, "exec", far_pod(node), "--", "hostname"), far_pod(node))
        if "Starting to serve" not in await scene.hands.kubectl("-n", NAMESPACE, "logs", far_pod(node)):
            raise SealiftError("no logs of a pod", where=node)


async def _far_node_port(scene: Scene) -> None:
    """A NodePort at every node's address, as a neighbour reaches it."""
    service = json.loads(await scene.hands.kubectl("-n", NAMESPACE, "get", "service", NAME, "-o", "json"))
    port = service["spec"]["ports"][0]["nodePort"]
    for node in json.loads(await scene.hands.kubectl("get", "nodes", "-o", "json"))["items"]:
        address = next(a["address"] for a in node["status"]["addresses"] if a["type"] == "InternalIP")
        await scene.hands.fetch(f"http://{address}:{port}{PAGE}", neighbour=True)


async def _far_top(scene: Scene) -> None:
    shown = await scene.hands.kubectl("top", "nodes", "--no-headers")
    if missing := [node for node in scene.nodes if node not in shown]:
        raise SealiftError("no figures of a node", got=shown[:300], want=", ".join(missing))


_NAMES: Final = "jsonpath={.items[*].metadata.name}"

ACROSS: Final = (
    Check(name="spread", text="a pod on every node becomes ready", work=_spread, patience=60.0),
    Check(name="pod-to-pod", text="pods of all nodes reach each other", work=_pod_to_pod),
    Check(name="far-dns", text="pods of all nodes reach a service by its name", work=_far_dns),
    Check(name="far-exec", text="kubectl exec and logs on all nodes", work=_far_exec),
    Check(name="far-node-port", text="a neighbour reaches a service at every node's address", work=_far_node_port),
    Check(name="far-top", text="kubectl top has figures of all nodes", work=_far_top, patience=120.0),
)


def node_loss(node: str, kill: Callable[[], Awaitable[None]]) -> Check:
    """A machine is gone from one moment to the next: the cluster notices, and goes on."""
    killed = False

    async def lost(scene: Scene) -> None:
        nonlocal killed
        if not killed:
            await kill()
            killed = True
        found = json.loads(await scene.hands.kubectl("get", "node", node, "-o", "json"))
        ready = next(c["status"] for c in found["status"]["conditions"] if c["type"] == "Ready")
        if ready == "True":
            raise SealiftError("the cluster has not noticed that a node is gone", where=node)
        left = [other for other in scene.nodes if other != node]
        for here in left:
            await _from(scene, here, f"--server=http://127.0.0.1:{PORT}", "get", "--raw", PAGE)

    return Check(name="node-loss", text="a node dies, the cluster notices and goes on", work=lost, patience=120.0)


async def _pod(scene: Scene, node: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(
        await scene.hands.kubectl("-n", NAMESPACE, "get", "pod", far_pod(node), "-o", "json")
    )
    if found["spec"]["nodeName"] != node:
        raise SealiftError("a pod on another node", where=far_pod(node), got=found["spec"]["nodeName"], want=node)
    return found


async def _from(scene: Scene, node: str, *arguments: str) -> str:
    """kubectl inside the pod on a node."""
    return await scene.hands.kubectl("-n", NAMESPACE, "exec", far_pod(node), "--", *_CLIENT, *arguments)


def _is(page: str, name: str) -> None:
    if page.strip() != name:
        raise SealiftError("somebody else answered", got=repr(page[:200]), want=name)
