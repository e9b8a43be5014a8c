"""`sealift-node server` and `agent`: the table of the role, what does each stage, and signals."""

import asyncio
import contextlib
import functools
import os
import signal
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Final

import msgspec

from bundles.errors import SealiftError
from runtime import admitted
from runtime.admission import finish_alone
from runtime.daemon.actions import (
    balance,
    bundle,
    claim,
    cluster,
    content,
    controlplane,
    deploy,
    etcd,
    housekeeping,
    images,
    join,
    kernel,
    members,
    names,
    programs,
    sandboxes,
    snapshots,
    supervise,
)
from runtime.daemon.advance import Ended, Event, State, Told, Up
from runtime.daemon.context import Node
from runtime.daemon.journal import Journal, new_journal, only_daemon, stage_records, write_journal
from runtime.daemon.runner import Control, Runner, Work
from runtime.daemon.table import Table, table_for
from runtime.layout import NodeLayout

WORKS: Final[Mapping[str, Callable[[Node, Control], Awaitable[str]]]] = {
    "content": content.unpack_content,
    "balancer": balance.balance,
    "bundle": bundle.have_bundle,
    "join": join.join,
    "files": content.write_files,
    "supervisor": supervise.supervise,
    "kernel": kernel.prepare_kernel,
    "archives": images.check_archives,
    "containerd": programs.run_containerd,
    "images": images.import_images,
    "manifests": controlplane.clear_manifests,
    "kube-proxy": controlplane.kube_proxy,
    "kubelet": programs.run_kubelet,
    "etcd": etcd.run_etcd,
    "members": members.keep_members,
    "snapshots": snapshots.take_snapshots,
    "kube-apiserver": controlplane.kube_apiserver,
    "kube-scheduler": controlplane.kube_scheduler,
    "kube-controller-manager": controlplane.kube_controller_manager,
    "helm-controller": controlplane.helm_controller,
    "sandboxes": sandboxes.remove_stale,
    "node": cluster.label_node,
    "name": claim.claim_name,
    "names": names.keep_names,
    "deploy": deploy.deploy,
    "announce": cluster.announce,
    "ready": cluster.wait_ready,
    "housekeeping": housekeeping.keep_house,
}


@dataclass(slots=True)
class _Scribe:
    """Keeps daemon.json and the journal of the service manager up to date."""

    node: Node
    table: Table
    journal: Journal

    def see(self, event: Event, state: State) -> None:
        """After each event."""
        match event:
            case Up(now, stage, _, reason) | Ended(now, stage, _, reason, None):
                self.node.say(f"[{now:7.2f}] {stage}" + (f": {reason}" if reason else ""))
            case Ended(now, stage, _, _, error):
                self.node.say(f"[{now:7.2f}] {stage} ended: {error}")
            case Told(stage=stage, detail=detail) if stage == "content":
                self.node.say(detail)
        if isinstance(event, Ended) and event.stage == "bundle" and event.error is None:
            self.journal = msgspec.structs.replace(self.journal, bundle=bundle_name(self.node.layout))
        stages = stage_records(self.table, state, self.node.began)
        stop = state.stop.reason if state.stop else ""
        problems = dict(self.node.found.problems)
        choices = self.node.found.chosen.settings()
        journal = msgspec.structs.replace(self.journal, stages=stages, stop=stop, problems=problems, choices=choices)
        if journal != self.journal:
            self.journal = journal
            with contextlib.suppress(SealiftError):  # a full disk must not end a node whose pods run
                write_journal(self.node.layout, journal)


def serve(node: Node, *, version: str) -> tuple[int, str]:
    """Runs a server or an agent until SIGTERM or SIGINT, or until it cannot go on -> exit code and why.

    Pods run on: their shims are processes of their own. A second signal ends it at once.

    Raises SealiftError when another daemon runs here, or when this user cannot.
    """
    if os.geteuid() != 0:
        raise SealiftError("only root can run a node")
    table = table_for(node.config.role)
    with only_daemon(node.layout):
        finish_alone(node.layout, node.say)
        journal = new_journal(
            pid=os.getpid(),
            version=version,
            bundle=bundle_name(node.layout),
            role=node.config.role,
            node=node.config.node_name,
            began=node.began,
            stages=[],
        )
        scribe = _Scribe(node, table, journal)
        works: dict[str, Work] = {name: functools.partial(WORKS[name], node) for name in table.names}
        runner = Runner(table, works, clock=node.clock, observe=scribe.see)
        return asyncio.run(_run(runner, node))


def bundle_name(layout: NodeLayout) -> str:
    """The admitted bundle's; empty while there is none."""
    record = admitted.read(layout.admitted)
    return record.bundle if record else ""


async def _run(runner: Runner, node: Node) -> tuple[int, str]:
    loop = asyncio.get_running_loop()
    asked = 0

    def on_signal(number: signal.Signals) -> None:
        nonlocal asked
        asked += 1
        if asked == 1:
            node.say(f"{number.name}: stopping; pods run on")
            runner.stop(number.name)
        else:
            os._exit(1)  # containerd and the kubelet go with us; a thread that waits for a lock would hold us for ever

    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, on_signal, number)
    return await runner.run()


def clock_from(start: float) -> Callable[[], float]:
    """Seconds since `start` of the monotonic clock."""
    return lambda: time.monotonic() - start
