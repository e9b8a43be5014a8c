"""The stages `containerd` and `kubelet`: the two programs that run as long as the node."""

import asyncio
import signal
from collections.abc import Awaitable, Callable, Mapping, Sequence
from pathlib import Path
from typing import Final

from bundles.errors import SealiftError
from runtime import process
from runtime.configs.kubelet import kubelet_arguments
from runtime.configs.write import write_containerd_config
from runtime.daemon import leftovers
from runtime.daemon.api import Identity, is_healthy
from runtime.daemon.context import Node, containerd_environment
from runtime.daemon.runner import Control
from runtime.daemon.waiting import until
from runtime.nodeconf.model import bracketed

_EVERY: Final = 0.1  # seconds between two looks
KUBELET_HEALTH: Final = 10248
LOG_LEVEL: Final = "CONTAINERD_LOG_LEVEL"


async def run_containerd(node: Node, control: Control) -> str:
    """Until containerd ends, for whatever reason; up when its CRI answers."""
    await _end_leftovers(node, "containerd")
    said = await process.call(["containerd", "--version"], env=node.env)
    host, pause = node.host.containerd, node.images.pause
    await asyncio.to_thread(write_containerd_config, node.config, pause=pause, host=host, said=said.text)
    argv = ["containerd", "-c", str(node.paths.containerd_config)]
    if level := node.environment.get(LOG_LEVEL):
        argv += ["--log-level", level]

    async def answers() -> bool:
        if not node.paths.socket.exists():
            return False
        output = await process.call([*node.crictl, "version"], env=node.env, check=False, timeout=10.0)
        return output.code == 0

    log = node.paths.containerd_root / "containerd.log"
    return await _run(argv, containerd_environment(node.env), log, answers, control)


async def run_kubelet(node: Node, control: Control) -> str:
    """Until the kubelet ends; up when it says it is healthy."""
    await _end_leftovers(node, "kubelet")
    url = f"http://{bracketed(node.config.loopback)}:{KUBELET_HEALTH}/healthz"

    async def healthy() -> bool:
        return await is_healthy(url, Identity())

    log = node.paths.logs / "kubelet.log"
    return await _run(["kubelet", *kubelet_arguments(node.config)], node.env, log, healthy, control)


async def _run(
    argv: Sequence[str],
    env: Mapping[str, str],
    log: Path,
    is_up: Callable[[], Awaitable[bool]],
    control: Control,
) -> str:
    child = await process.start(argv, env=env, log=log)
    control.told(f"process {child.pid}")
    end = asyncio.ensure_future(child.wait())
    rise = asyncio.ensure_future(until(is_up, every=_EVERY))
    try:
        await asyncio.wait((end, rise), return_when=asyncio.FIRST_COMPLETED)
        if not end.done():
            await rise  # an error of the question itself
            control.up(f"process {child.pid}")
        how = await end
        raise SealiftError(f"{child.name} ended: {how}", hint=f"its last words are in {log}")
    finally:
        rise.cancel()
        await child.stop()
        end.cancel()


async def _end_leftovers(node: Node, name: str) -> None:
    """A daemon that was killed where setpriv is missing leaves its programs; two of them must never run at once."""

    def work() -> None:
        for left in leftovers.of_node(leftovers.processes(), node.layout, {name}):
            node.say(f"ending {name} of an earlier run, process {left.pid}")
            if not leftovers.end(left, signal.SIGTERM) and not leftovers.end(left, signal.SIGKILL):
                raise SealiftError(f"{name} of an earlier run does not end", got=f"process {left.pid}")

    await asyncio.to_thread(work)
