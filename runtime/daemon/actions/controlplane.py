"""The stages of the static pods: each manifest is written when what it talks to is there, then its health is asked."""

import asyncio
from typing import Final

from runtime.daemon.actions.members import take_keys
from runtime.daemon.api import Identity, is_healthy
from runtime.daemon.context import Node
from runtime.daemon.runner import Control
from runtime.daemon.waiting import until
from runtime.entropy import SystemEntropy
from runtime.etcd.gateway import local_gateway
from runtime.nodeconf.model import bracketed
from runtime.secretkeys.adopt import Adoption
from runtime.staticpods.apiserver import apiserver_pod
from runtime.staticpods.controllers import controller_manager_pod
from runtime.staticpods.helm import helm_pod
from runtime.staticpods.model import PodSpec
from runtime.staticpods.place import compose, place, withdraw
from runtime.staticpods.proxy import proxy_pod
from runtime.staticpods.scheduler import scheduler_pod

_EVERY: Final = 0.2  # seconds between two questions
# Manifests of RKE2's that nobody here writes: its cloud controller does not exist in a bundle.
_NOT_OURS: Final = ("cloud-controller-manager",)
APISERVER: Final = "kube-apiserver"
HELM_API: Final = "/apis/helm.cattle.io/v1"


async def clear_manifests(node: Node, control: Control) -> str:
    """Takes away kube-apiserver's manifest while etcd does not answer (RKE2 does so at every start).

    When etcd answers, the pods of the last run are alive: the manifest stays, and so does the pod.
    """
    gone = [*_NOT_OURS]
    if not node.config.kube_proxy:
        gone.append("kube-proxy")
    if node.config.role == "server" and node.paths.manifest(APISERVER).exists() and not await etcd_answers(node):
        gone.append(APISERVER)
    for name in gone:
        await asyncio.to_thread(withdraw, node.paths.manifest(name))
    return ""


async def kube_apiserver(node: Node, control: Control) -> str:
    """Writes its manifest; up when it is ready for the administrator.

    The keys of Secrets first: one that was away while they rotated would write what the others cannot read.
    """
    await take_keys(node, Adoption(node.config, local_gateway(node.config), SystemEntropy()))
    words = await put(node, apiserver_pod(node.config, node.images.apiserver, node.host.ssl_folders))
    control.told(words)
    await until(lambda: is_healthy(f"{node.config.api_url}/readyz", node.admin), every=_EVERY)
    return words


async def kube_scheduler(node: Node, control: Control) -> str:
    """Writes its manifest; up when it lives."""
    words = await put(node, scheduler_pod(node.config, node.images.scheduler))
    return await _healthy(node, control, words, "10259/livez")


async def kube_controller_manager(node: Node, control: Control) -> str:
    """Writes its manifest; up when it is healthy."""
    spec = controller_manager_pod(node.config, node.images.controller_manager, node.host.ssl_folders)
    return await _healthy(node, control, await put(node, spec), "10257/healthz")


async def kube_proxy(node: Node, control: Control) -> str:
    """Writes its manifest."""
    if not node.config.kube_proxy:
        return "switched off"
    return await put(node, proxy_pod(node.config, node.images.proxy))


async def helm_controller(node: Node, control: Control) -> str:
    """Writes its manifest; up when the cluster knows HelmCharts."""
    words = await put(node, helm_pod(node.config, node.images.helm_controller, node.images.helm_job))
    control.told(words)
    await until(lambda: is_healthy(f"{node.config.api_url}{HELM_API}", node.admin), every=_EVERY)
    return words


async def etcd_answers(node: Node) -> bool:
    """Whether etcd says it is healthy."""
    gateway = local_gateway(node.config)
    return await is_healthy(f"{gateway.url}/health", gateway.identity)


async def _healthy(node: Node, control: Control, words: str, port_and_path: str) -> str:
    """Certificates of these two are not checked: a health probe on loopback, as the kubelet's own."""
    control.told(words)
    url = f"https://{bracketed(node.config.loopback)}:{port_and_path}"
    await until(lambda: is_healthy(url, Identity()), every=_EVERY)
    return words


async def put(node: Node, spec: PodSpec) -> str:
    """The manifest as it has to be; what stands there already is left alone, and so is its pod."""
    path = node.paths.manifest(spec.name)
    manifest = await asyncio.to_thread(compose, spec, path=path, environment=node.environment)
    return "manifest written" if await asyncio.to_thread(place, manifest) else "manifest unchanged"
