"""The stages `content` and `files`: what a node has on disk before its first program starts."""

import asyncio
from datetime import UTC, datetime

from runtime.configs.write import write_agent_files, write_server_files
from runtime.daemon.actions.images import admitted_index
from runtime.daemon.chosen import choose_images
from runtime.daemon.context import Node
from runtime.daemon.runner import Control
from runtime.entropy import SystemEntropy
from runtime.extract import ExtractRequest, extract
from runtime.pki.ensure import Outcome, ensure_agent_pki, ensure_server_pki


async def unpack_content(node: Node, control: Control) -> str:
    """What `sealift-node extract` does."""
    shims = node.paths.state / "io.containerd.runtime.v2.task" / "k8s.io"
    request = ExtractRequest(
        configured_image=node.config.images.get("runtime-image"), agent=node.config.role != "server"
    )
    report = await asyncio.to_thread(
        extract, request, node.layout, platform=node.platform, say=control.told, shims=shims
    )
    node.found.bin = report.folder / "bin"
    return f"{report.reference} in {report.folder}" + (", unpacked" if report.unpacked else "")


async def write_files(node: Node, control: Control) -> str:
    """Certificates first: the administrator's kubeconfig carries copies of them."""
    return await asyncio.to_thread(_write_files, node)


def _write_files(node: Node) -> str:
    images = choose_images(node.config, admitted_index(node.layout))
    entropy, outcome = SystemEntropy(), Outcome()
    now = datetime.fromtimestamp(node.began, UTC)
    signers = ensure_server_pki(node.config, now=now, entropy=entropy, outcome=outcome)
    ensure_agent_pki(node.config, signers, now=now, entropy=entropy, outcome=outcome)
    for warning in outcome.warnings:
        node.say(f"warning: {warning}")
    for path, why in outcome.renewed:
        node.say(f"renewed {path}: {why}")
    node.found.membership = write_server_files(node.config, entropy=entropy)
    write_agent_files(node.config, pause=images.pause, host=node.host.containerd)
    node.found.images = images
    return f"{len(outcome.made)} made, {len(outcome.renewed)} renewed"
