"""Health as `status` shows it: lines for people, a document for machines. Pure."""

from typing import Any

from runtime.health.alarms import alarms
from runtime.health.values import Etcd, Health, NodeView


def lines(health: Health) -> list[str]:
    """Nodes and members of etcd in columns, then what has to be looked at."""
    found = []
    if health.nodes is not None:
        ready = sum(node.ready for node in health.nodes)
        found.append(f"cluster: {ready} of {len(health.nodes)} nodes ready")
        rows = [_row(node, health.etcd) for node in health.nodes]
        widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
        found += ["  " + "  ".join(map(str.ljust, row, widths)).rstrip() for row in rows]
    if health.etcd is not None:
        voters = len(health.etcd.voters)
        words = f"etcd: {voters} voter{'s' if voters != 1 else ''}, {health.etcd.quorum} needed"
        words += f", {spare} to spare" if (spare := health.spare) is not None and spare >= 0 else ""
        found.append(words + ("" if health.etcd.leader else ", no leader"))
    return found + [f"{alarm.severity}: {alarm.subject}: {alarm.message}" for alarm in alarms(health)]


def document(health: Health) -> dict[str, Any]:
    """`cluster` (null while nobody answers), `etcd` (null on agents) and `alarms`; times are epoch seconds."""
    nodes = None
    if health.nodes is not None:
        nodes = [
            {
                "name": node.name,
                "ready": node.ready,
                "roles": list(node.roles),
                "version": node.version,
                "address": node.address,
            }
            for node in health.nodes
        ]
    etcd = None
    if health.etcd is not None:
        members = [{"name": m.name, "node": m.node, "learner": m.learner} for m in health.etcd.members]
        etcd = {
            "members": members,
            "leader": health.etcd.leader,
            "quorum": health.etcd.quorum,
            "spare": health.spare,
            "database": health.etcd.database,
        }
    told = [
        {"severity": alarm.severity, "kind": alarm.kind, "subject": alarm.subject, "message": alarm.message}
        for alarm in alarms(health)
    ]
    disks = [{"path": disk.path, "size": disk.size, "free": disk.free} for disk in health.disks]
    return {"cluster": nodes, "etcd": etcd, "disks": disks, "alarms": told}


def _row(node: NodeView, etcd: Etcd | None) -> tuple[str, ...]:
    members = [member for member in etcd.members if member.node == node.name] if etcd else []
    member = "learner" if any(m.learner for m in members) else "voter" if members else ""
    roles = ",".join(node.roles) or "agent"
    return node.name, "ready" if node.ready else "NOT READY", roles, node.version, node.address, member
