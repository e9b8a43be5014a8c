"""The table of checks: what a user does with a cluster on the first day, done by a proof."""

import asyncio
import contextlib
import json
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Any, Final, Protocol

from bundles.errors import SealiftError
from runtime.prove import probe
from runtime.prove.probe import NAME, NAMESPACE, PAGE, PORT, SERVING
from runtime.prove.report import CheckResult

_FORWARDED: Final = 18080
_TARGET: Final = f"deploy/{NAME}"


class Hands(Protocol):
    """What checks work with: kubectl as the administrator on the node, and neighbours of the node."""

    async def kubectl(self, *arguments: str, feed: bytes | None = None) -> str:
        """Runs kubectl -> its output. Raises SealiftError when it fails."""

    def forwarding(self, *arguments: str) -> AbstractAsyncContextManager[None]:
        """kubectl that runs for the block, and is ended after it."""

    async def fetch(self, url: str, *, neighbour: bool, host: str = "") -> str:
        """A page, fetched on the node or, as another machine would, from the switch. Raises SealiftError.

        `host`: what the request says instead of the URL's own; then whatever certificate comes is taken.
        """


@dataclass(frozen=True, kw_only=True, slots=True)
class Scene:
    """What checks know: who works, the image of the probe, the first node's name and address, all nodes' names."""

    hands: Hands
    image: str
    node: str
    address: str
    nodes: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True, slots=True)
class Check:
    """One row: `work` returns when all is well, else raises SealiftError; tried again for `patience` seconds."""

    name: str
    text: str
    work: Callable[[Scene], Awaitable[None]]
    patience: float = 30.0


async def _probe_runs(scene: Scene) -> None:
    await scene.hands.kubectl("apply", "-f", "-", feed=probe.objects(scene.image))
    await scene.hands.kubectl("-n", NAMESPACE, "rollout", "status", _TARGET, "--timeout=60s")


async def _dns(scene: Scene) -> None:
    url = f"http://{NAME}.{NAMESPACE}.svc.cluster.local"
    page_of(await _inside(scene, f"--server={url}", "get", "--raw", PAGE), await pods(scene))


async def _cluster_ip(scene: Scene) -> None:
    service = await _service(scene)
    url = f"http://{service['spec']['clusterIP']}"
    page_of(await _inside(scene, f"--server={url}", "get", "--raw", PAGE), await pods(scene))
    page_of(await scene.hands.fetch(url + PAGE, neighbour=False), await pods(scene))


async def _node_port(scene: Scene) -> None:
    service = await _service(scene)
    url = f"http://{scene.address}:{service['spec']['ports'][0]['nodePort']}{PAGE}"
    for neighbour in (False, True):
        page_of(await scene.hands.fetch(url, neighbour=neighbour), await pods(scene))


async def _logs(scene: Scene) -> None:
    _has(await scene.hands.kubectl("-n", NAMESPACE, "logs", _TARGET), SERVING)


async def _exec(scene: Scene) -> None:
    _has(await _inside(scene, "version", "--client"), "Client Version")


async def _port_forward(scene: Scene) -> None:
    async with scene.hands.forwarding("-n", NAMESPACE, "port-forward", _TARGET, f"{_FORWARDED}:{PORT}"):
        url = f"http://127.0.0.1:{_FORWARDED}{PAGE}"
        page_of(await _answer(scene.hands, url), await pods(scene))


async def _top(scene: Scene) -> None:
    _has(await scene.hands.kubectl("top", "nodes", "--no-headers"), scene.node)
    _has(await scene.hands.kubectl("top", "pods", "-n", "kube-system", "--no-headers"), "etcd-")


async def _rollout(scene: Scene) -> None:
    before = await pods(scene)
    await scene.hands.kubectl("-n", NAMESPACE, "patch", _TARGET, "-p", probe.change("-".join(sorted(before))))
    await scene.hands.kubectl("-n", NAMESPACE, "rollout", "status", _TARGET, "--timeout=60s")
    # Pods that end still answer for a moment; only new ones are left soon.
    for _ in range(100):
        after = await pods(scene)
        if after and not after & before:
            page_of(await _inside(scene, f"--server=http://127.0.0.1:{PORT}", "get", "--raw", PAGE), after)
            return
        await asyncio.sleep(0.2)
    raise SealiftError("old pods stay after a rollout", got=", ".join(sorted(after & before)))


CHECKS: Final = (
    Check(name="probe", text="a deployment of an image of the bundle becomes ready", work=_probe_runs),
    Check(name="dns", text="a pod reaches a service by its name", work=_dns),
    Check(name="cluster-ip", text="a pod and the node reach a service by its address", work=_cluster_ip),
    Check(name="node-port", text="the node and another machine reach a service by the node's address", work=_node_port),
    Check(name="logs", text="kubectl logs", work=_logs),
    Check(name="exec", text="kubectl exec", work=_exec),
    Check(name="port-forward", text="kubectl port-forward", work=_port_forward),
    Check(name="top", text="kubectl top nodes and pods", work=_top, patience=120.0),
    Check(name="rollout", text="a changed deployment replaces its pods", work=_rollout),
)


async def run_checks(
    scene: Scene, clock: Callable[[], float], say: Callable[[str], None], checks: Sequence[Check] = CHECKS
) -> tuple[CheckResult, ...]:
    """Runs all checks, also after one that failed. `clock` gives seconds that never go back."""
    results = []
    for check in checks:
        begin = clock()
        trouble = await _until_well(check, scene, clock)
        seconds = clock() - begin
        results.append(CheckResult(name=check.name, ok=not trouble, seconds=round(seconds, 2), error=trouble))
        end = f"\n{trouble}" if trouble else ""
        say(f"{'FAILED' if trouble else 'ok'}: {check.name} ({check.text}), {seconds:.1f} s{end}")
    return tuple(results)


async def _until_well(check: Check, scene: Scene, clock: Callable[[], float]) -> str:
    """Empty when it went well in time, else the last trouble."""
    end = clock() + check.patience
    while True:
        try:
            async with asyncio.timeout(max(1.0, check.patience + end - clock())):
                await check.work(scene)
            return ""
        except SealiftError as exc:
            trouble = str(exc)
        except TimeoutError:
            trouble = "it did not end"
        if clock() >= end:
            return trouble
        await asyncio.sleep(1.0)


async def _inside(scene: Scene, *arguments: str) -> str:
    """kubectl inside the probe."""
    command = ("kubectl", "--request-timeout=10s", *arguments)
    return await scene.hands.kubectl("-n", NAMESPACE, "exec", _TARGET, "--", *command)


async def _answer(hands: Hands, url: str) -> str:
    """A page of a server that begins to listen in a moment."""
    for _ in range(50):
        with contextlib.suppress(SealiftError):
            return await hands.fetch(url, neighbour=False)
        await asyncio.sleep(0.2)
    return await hands.fetch(url, neighbour=False)


async def _service(scene: Scene) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(await scene.hands.kubectl("-n", NAMESPACE, "get", "service", NAME, "-o", "json"))
    return found


async def pods(scene: Scene) -> frozenset[str]:
    """Names of the probe's pods."""
    text = await scene.hands.kubectl("-n", NAMESPACE, "get", "pods", "-o", "jsonpath={.items[*].metadata.name}")
    return frozenset(text.split())


def page_of(page: str, pods: frozenset[str]) -> None:
    """The probe's page is the name of the pod that served it."""
    if page.strip() not in pods:
        raise SealiftError("somebody else answered", got=repr(page[:200]), want=" or ".join(sorted(pods)))


def _has(text: str, word: str) -> None:
    if word not in text:
        raise SealiftError("not what was expected", got=repr(text[:500]), want=repr(word))
