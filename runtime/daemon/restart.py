"""`sealift-node server --cluster-reset`: everything of the old cluster ends on this machine, then it begins anew."""

import time

from bundles.errors import SealiftError
from runtime.daemon.context import Node
from runtime.daemon.journal import only_daemon
from runtime.entropy import SystemEntropy
from runtime.etcd.reset import check_reset, find_snapshot, force, restore
from runtime.reset import tasks
from runtime.reset.run import Report, end_pods, end_programs


def reset_cluster(node: Node, snapshot: str | None) -> None:
    """Checks first, ends pods, then changes etcd's data.

    Raises SealiftError when a daemon runs here, and what `check_reset` and `restore` raise.
    """
    source = find_snapshot(node.config, snapshot) if snapshot else None
    with only_daemon(node.layout):
        size = check_reset(node.config, source)
        _end_pods(node)
        entropy, now = SystemEntropy(), int(time.time())
        if source is None:
            done = force(node.config, entropy)
        else:
            done = restore(node.config, source, size, now=now, entropy=entropy, say=node.say)
    if done.aside is not None:
        node.say(f"etcd's data of before is in {done.aside}")
    if done.keys:
        node.say(f"{done.keys} files of the cluster written")
    node.say("the cluster has one server now: start it without --cluster-reset; then start the others, which join anew")


def _end_pods(node: Node) -> None:
    report = Report()
    end_programs(node.layout, report)
    count = end_pods(node.layout, tasks.read_tasks(node.paths.state), report)
    if report.left:
        raise SealiftError("something of this node does not end", got=", ".join(report.left), hint="end it, then again")
    if count:
        node.say(f"ended {count} processes of pods")
