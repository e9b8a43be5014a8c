"""The stage `deploy`: server/manifests is what the cluster has, from the first look and after every change.

k3s pkg/deploy/controller.go: the first pass applies every file, later ones what changed. Objects that left their file
are removed; a file that vanished removes nothing (k3s' rule: put an empty file in its place to remove its objects).
Of several servers one answers for each file (`runtime.daemon.holders`).
"""

import asyncio
import contextlib
import functools
import json
import os
from collections.abc import AsyncIterator, Iterable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final

from bundles.digest import Digest
from bundles.errors import LimitError, SealiftError
from bundles.files import os_errors
from runtime import process
from runtime.daemon.actions.controlplane import HELM_API
from runtime.daemon.actions.names import node_names
from runtime.daemon.addons import HELM_GROUP, ObjectKey, chart_values, eligible, injected, is_disabled, objects_in
from runtime.daemon.api import is_healthy
from runtime.daemon.context import Node
from runtime.daemon.deployed import DeployedFile, entry, read_deployed, write_deployed
from runtime.daemon.holders import Decision, Holders, hold
from runtime.daemon.runner import Control

_EVERY: Final = 5.0  # seconds between two looks at the folder
_SOON: Final = 0.5  # while charts wait for helm-controller
_AGAIN: Final = 5.0  # after a file that failed
_AT_ONCE: Final = 3
_MAX_FILE: Final = 64 << 20  # bytes
_MANAGER: Final = "sealift-deploy"
_BY_DEFAULT: Final = "RKE2_INJECT_CLUSTER_CONFIG"
# A kind that the cluster does not know any more: its objects went with its definition.
_GONE: Final = "no matches for kind"


@dataclass(slots=True)
class _Memory:
    """What a run of this stage knows: `seen` modification times of files that are as the cluster has them."""

    deployed: dict[str, DeployedFile]
    seen: dict[str, tuple[int, int, int]] = field(default_factory=dict)
    failed: dict[str, str] = field(default_factory=dict)
    held: set[str] = field(default_factory=set)
    helm: bool = False
    book: asyncio.Lock = field(default_factory=asyncio.Lock)  # files of one look do not race for the list of holders


async def deploy(node: Node, control: Control) -> str:
    """For ever; up when every file was applied once."""
    memory = _Memory(await asyncio.to_thread(read_deployed, node.layout))
    up = False
    while True:
        await _pass(node, memory)
        if not up and not memory.failed and not memory.held:
            up = True
            control.up(f"{len(memory.seen)} files")
        words = [f"{path}: {why}" for path, why in sorted(memory.failed.items())]
        words += [f"{path} waits for helm-controller" for path in sorted(memory.held)]
        control.told("; ".join(words) or f"{len(memory.seen)} files")
        await asyncio.sleep(_SOON if memory.held else _AGAIN if memory.failed else _EVERY)


async def _pass(node: Node, memory: _Memory) -> None:
    files = await asyncio.to_thread(stamped_files, node.layout.manifests)
    for gone in memory.seen.keys() - files.keys():
        del memory.seen[gone]
    memory.failed = {path: why for path, why in memory.failed.items() if path in files}
    memory.held &= files.keys()
    todo = [path for path in eligible(files) if memory.seen.get(path) != files[path]]
    if memory.held and not memory.helm:
        memory.helm = await is_healthy(f"{node.config.api_url}{HELM_API}", node.admin)
    gate = asyncio.Semaphore(_AT_ONCE)
    applied: dict[str, _Applied] = {}

    async def one(path: str) -> None:
        async with gate, _told(node, memory, path):
            if (done := await _apply(node, memory, path)) is not None:
                applied[path] = done

    await asyncio.gather(*map(one, todo))
    # Only now: an object that moved from one file to another is in the cluster by the other one's right.
    for path, done in applied.items():
        async with _told(node, memory, path):
            await _prune(node, memory, path, done)
            memory.failed.pop(path, None)
            memory.seen[path] = files[path]


@dataclass(frozen=True, slots=True)
class _Applied:
    """What a file holds now, and what it may have held before; `ours`: this server answers for it."""

    digest: Digest
    objects: frozenset[ObjectKey]
    before: frozenset[ObjectKey]
    ours: bool = True


@contextlib.asynccontextmanager
async def _told(node: Node, memory: _Memory, path: str) -> AsyncIterator[None]:
    """A failure is kept for the status, told once, and keeps no other file back."""
    try:
        yield
    except SealiftError as exc:
        if memory.failed.get(path) != str(exc):
            node.say(f"warning: not applied: {path}: {exc}")
        memory.failed[path] = str(exc)


async def _apply(node: Node, memory: _Memory, path: str) -> _Applied | None:
    """Brings what a file holds into the cluster; None while it has to wait for helm-controller."""
    disabled = is_disabled(path, node.config.disabled | node.found.chosen.charts)
    text = b"" if disabled else await asyncio.to_thread(_effective, node, path)
    objects = frozenset(objects_in(text, path))
    if not memory.helm and any(key.group == HELM_GROUP for key in objects):
        memory.helm = await is_healthy(f"{node.config.api_url}{HELM_API}", node.admin)
        if not memory.helm:
            memory.held.add(path)
            return None
    memory.held.discard(path)
    found = memory.deployed.get(path)
    done = _Applied(digest=Digest.of(text), objects=objects, before=found.held() if found else frozenset())
    async with memory.book:
        ours = await _ours(node, path, done.digest, found)
    if not ours:
        return replace(done, ours=False)
    if done.before != objects:
        # Remembered first: after a crash in between, what may be in the cluster is known.
        await _remember(node, memory, entry(path, done.digest, done.before | objects))
    if objects:
        await _kubectl(node, ["apply", "--server-side", "--force-conflicts", f"--field-manager={_MANAGER}"], text)
        node.say(f"applied {path}")
    return done


async def _ours(node: Node, path: str, digest: Digest, found: DeployedFile | None) -> bool:
    decision, holder = await hold(
        Holders(url=node.config.api_url, identity=node.admin),
        path,
        node=node.config.node_name,
        digest=digest,
        before=found.sha256 if found else None,
        nodes=functools.partial(node_names, node),
    )
    if decision is Decision.OTHER:
        node.say(f"warning: not applied: {path}: {holder} has applied another one; change this one to apply it")
    return decision is Decision.APPLY


async def _prune(node: Node, memory: _Memory, path: str, done: _Applied) -> None:
    """Removes what a file held before and holds no more, unless another file, or another server, holds it now."""
    if not done.ours:
        await _remember(node, memory, entry(path, done.digest, done.objects))
        return
    elsewhere = {key for other, file in memory.deployed.items() if other != path for key in file.held()}
    if gone := done.before - done.objects - elsewhere:
        await remove_objects(node, gone)
        node.say(f"removed {len(gone)} objects that are not in {path} any more")
    await _remember(node, memory, entry(path, done.digest, done.objects))


async def _remember(node: Node, memory: _Memory, file: DeployedFile) -> None:
    if memory.deployed.get(file.path) != file:
        memory.deployed[file.path] = file
        await asyncio.to_thread(write_deployed, node.layout, dict(memory.deployed))


async def remove_objects(node: Node, keys: Iterable[ObjectKey]) -> None:
    """Deletes objects by name; those that are gone, and kinds that are gone, are fine."""
    for key in sorted(keys, reverse=True):
        text = json.dumps(key.document()).encode()
        with contextlib.suppress(_KindGone):
            await _kubectl(node, ["delete", "--ignore-not-found", "--wait=false"], text)


class _KindGone(SealiftError):
    pass


async def _kubectl(node: Node, words: list[str], text: bytes) -> None:
    validation = ["--validate=false"] if words[0] == "apply" else []
    argv = [
        "kubectl",
        f"--kubeconfig={node.paths.cred / 'admin.kubeconfig'}",
        f"--cache-dir={node.layout.admitted.with_name('kubectl')}",
        *words,
        *validation,
        "-f",
        "-",
    ]
    output = await process.call(argv, env=node.env, feed=process.feed_bytes(text), timeout=300.0, check=False)
    if output.code != 0:
        kind = _KindGone if words[0] == "delete" and _GONE in output.complaint else SealiftError
        raise kind(f"kubectl {words[0]}: {output.complaint}")


def _effective(node: Node, path: str) -> bytes:
    """What goes to the cluster."""
    by_default = node.environment.get(_BY_DEFAULT, "") in ("1", "t", "T", "true", "TRUE", "True")
    text = read_manifest(node.layout.manifests / path)
    return injected(text, chart_values(node.config, node.found.chosen.ingress_class), path, by_default=by_default)


def read_manifest(path: Path) -> bytes:
    """A file of server/manifests. Raises LimitError above 64 MiB."""
    with os_errors(path), path.open("rb") as file:
        data = file.read(_MAX_FILE + 1)
    if len(data) > _MAX_FILE:
        raise LimitError("manifest too large", where=path, want=f"<= {_MAX_FILE} bytes")
    return data


def stamped_files(folder: Path) -> dict[str, tuple[int, int, int]]:
    """All files below `folder` by path, each with size, time (ns) and inode; linked folders at its top are followed."""
    found: dict[str, tuple[int, int, int]] = {}
    if not folder.is_dir():
        return found
    with os_errors(folder), os.scandir(folder) as entries:
        tops = [Path(item.path) for item in entries if item.is_dir()]
    for top in (folder, *tops):
        for path, folders, names in os.walk(top):
            if top == folder:
                folders.clear()
            for name in names:
                with contextlib.suppress(FileNotFoundError):
                    status = Path(path, name).stat()
                    relative = Path(path, name).relative_to(folder).as_posix()
                    found[relative] = (status.st_size, status.st_mtime_ns, status.st_ino)
    return found
