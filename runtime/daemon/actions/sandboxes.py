"""The stage `sandboxes`: pods of etcd and kube-apiserver that no manifest asks for any more.

While the apiserver is down the kubelet does not reliably end the previous static pod of the same name, and two etcds
over one folder wait for each other (rke2 pkg/executor/staticpod/spw.go, after rke2#3387 and #3725).
"""

import asyncio
import json
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Final

from bundles.errors import SealiftError
from runtime import process
from runtime.daemon.context import Node
from runtime.daemon.runner import Control
from runtime.staticpods.place import placed_uid

WATCHED: Final = ("etcd", "kube-apiserver")
_EVERY: Final = 3.0  # seconds
_READY: Final = "SANDBOX_READY"


@dataclass(frozen=True, kw_only=True, slots=True)
class Sandbox:
    """A pod sandbox of the CRI; `created` in nanoseconds."""

    id: str
    uid: str
    created: int
    ready: bool


async def remove_stale(node: Node, control: Control) -> str:
    """Until each of the two has exactly the pod its manifest asks for."""
    removed = 0
    for name in WATCHED:
        while True:
            uid = await asyncio.to_thread(placed_uid, node.paths.manifest(name))
            found = await _sandboxes(node, name)
            stale = stale_sandboxes(found, uid)
            for sandbox in stale:
                node.say(f"removing an old pod of {name}, sandbox {sandbox[:13]}")
                await process.call([*node.crictl, "rmp", "-f", sandbox], env=node.env, timeout=120.0)
            removed += len(stale)
            if uid is not None and any(s.uid == uid and s.ready for s in found):
                break
            await asyncio.sleep(_EVERY)
    return f"{removed} removed"


def stale_sandboxes(found: Iterable[Sandbox], uid: str | None) -> tuple[str, ...]:
    """Ids of all but the latest one of the manifest's UID; without a manifest none: it may be about to come."""
    if uid is None:
        return ()
    newest_first = sorted(found, key=lambda sandbox: sandbox.created, reverse=True)
    current = next((sandbox.id for sandbox in newest_first if sandbox.uid == uid), None)
    return tuple(sandbox.id for sandbox in newest_first if sandbox.id != current)


async def pods_of(node: Node, name: str) -> bool:
    """Whether a pod of this name runs, or is about to end."""
    return any(sandbox.ready for sandbox in await _sandboxes(node, name))


async def _sandboxes(node: Node, name: str) -> list[Sandbox]:
    labels = ("--label", f"component={name}", "--label", "tier=control-plane")
    words = [*node.crictl, "pods", "-o", "json", "--namespace", "^kube-system$", *labels]
    return parse_sandboxes((await process.call(words, env=node.env)).stdout)


def parse_sandboxes(text: bytes) -> list[Sandbox]:
    """`crictl pods -o json` -> sandboxes. Raises SealiftError for anything else."""
    try:
        items: list[Any] = json.loads(text).get("items") or []
        return [
            Sandbox(
                id=item["id"],
                uid=item["metadata"]["uid"],
                created=int(item["createdAt"]),
                ready=item["state"] == _READY,
            )
            for item in items
        ]
    except (ValueError, KeyError, TypeError, AttributeError) as exc:
        raise SealiftError("not what crictl prints", got=repr(text[:200])) from exc
