"""The stages `content` and `files`: what a node has on disk before its first program starts."""

import asyncio
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from bundles.datakey import data_key
from bundles.errors import MissingError, SealiftError
from runtime import admitted, process
from runtime.choice import choose
from runtime.choices import decide
from runtime.configs.write import write_agent_files, write_server_files
from runtime.daemon.actions.images import admitted_index
from runtime.daemon.chosen import choose_images
from runtime.daemon.context import Node, public_environment
from runtime.daemon.runner import Control
from runtime.entropy import SystemEntropy
from runtime.extract import ExtractRequest, extract
from runtime.nodefiles import read_file
from runtime.pki.ensure import Outcome, ensure_agent_pki, ensure_server_pki
from runtime.record import State, state_of
from runtime.tokens import ensure_tokens

_EXTRACT: Final = "from runtime.cli import main; main()"
_SECONDS: Final = 3600.0


async def unpack_content(node: Node, control: Control) -> str:
    """What `sealift-node extract` does.

    Unpacking is a process of its own: it ends with the daemon's stop, and the daemon does not keep its memory.
    """
    unpacked = await asyncio.to_thread(_needs_unpacking, node)
    if unpacked:
        await _unpack_apart(node, control)
    request = ExtractRequest(
        configured_image=node.config.images.get("runtime-image"), agent=node.config.role != "server"
    )
    report = await asyncio.to_thread(
        extract, request, node.layout, platform=node.platform, say=control.told, shims=_shims(node)
    )
    node.found.bin = report.folder / "bin"
    return f"{report.reference} in {report.folder}" + (", unpacked" if unpacked else "")


def _needs_unpacking(node: Node) -> bool:
    """Whether the version folder does not stand yet, as far as that can be told without reading archives."""
    configured = node.config.images.get("runtime-image")
    choice = choose(flag=None, configured=configured, admitted=admitted.read(node.layout.admitted))
    if choice.reference is None:
        return True
    return state_of(node.layout.version(data_key(choice.reference))) in (State.ABSENT, State.UNFINISHED)


async def _unpack_apart(node: Node, control: Control) -> None:
    words = ["extract", "--json", "--data-dir", str(node.layout.data), "--shim-dir", str(_shims(node))]
    if (image := node.config.images.get("runtime-image")) is not None:
        words += ["--runtime-image", image]
    if node.config.role != "server":
        words.append("--agent")
    control.told("unpacking the runtime image")
    argv = [sys.executable, "-P", "-c", _EXTRACT, *words]
    output = await process.call(argv, env=public_environment(node.environment), timeout=_SECONDS, check=False)
    if output.code != 0:
        raise SealiftError(output.complaint.removeprefix("error: "))


def _content(path: Path) -> bytes:
    data = read_file(path)
    if data is None:
        raise MissingError("a file of the cluster is missing", where=path)
    return data


def _shims(node: Node) -> Path:
    return node.paths.state / "io.containerd.runtime.v2.task" / "k8s.io"


async def write_files(node: Node, control: Control) -> str:
    """Certificates first: the administrator's kubeconfig carries copies of them."""
    return await asyncio.to_thread(_write_files, node)


def _write_files(node: Node) -> str:
    index = admitted_index(node.layout)
    images = choose_images(node.config, index)
    node.found.images = images
    if node.config.role == "server":
        node.found.chosen = decide(node.config, index)
    if node.config.role == "agent":  # its certificates came with the stage `join`
        for warning in write_agent_files(node.config, host=node.host.containerd):
            node.say(f"warning: {warning}")
        return ""
    entropy, outcome = SystemEntropy(), Outcome()
    now = datetime.fromtimestamp(node.began, UTC)
    signers = ensure_server_pki(node.config, now=now, entropy=entropy, outcome=outcome)
    ensure_agent_pki(node.config, signers, now=now, entropy=entropy, outcome=outcome)
    for warning in outcome.warnings:
        node.say(f"warning: {warning}")
    for path, why in outcome.renewed:
        node.say(f"renewed {path}: {why}")
    node.found.signers = signers
    node.found.membership = write_server_files(node.config, entropy=entropy)
    ensure_tokens(node.config, authority=_content(node.paths.tls / "server-ca.crt"), entropy=entropy, say=node.say)
    for warning in write_agent_files(node.config, host=node.host.containerd):
        node.say(f"warning: {warning}")
    return f"{len(outcome.made)} made, {len(outcome.renewed)} renewed"
