"""Health as Prometheus reads it (text exposition format 0.0.4). Pure."""

from collections.abc import Iterable, Mapping
from typing import Final

from runtime.health.alarms import alarms
from runtime.health.values import Health

Row = tuple[Mapping[str, str], float]
_ESCAPES: Final = str.maketrans({"\\": "\\\\", '"': '\\"', "\n": "\\n"})


def metrics(health: Health) -> str:
    """All gauges, each with its help, in a fixed order. What is not known is left out."""
    families: list[tuple[str, str, Iterable[Row]]] = [
        ("bundle_info", "The bundle this node runs from.", [({"bundle": health.bundle}, 1)] if health.bundle else []),
        ("bundle_end_timestamp_seconds", "When it expires.", _one(health.expires)),
        (
            "certificate_end_timestamp_seconds",
            "When a certificate of this node ends.",
            [({"path": certificate.path}, certificate.ends) for certificate in health.certificates],
        ),
        ("disk_free_bytes", "Free space.", [({"path": disk.path}, disk.free) for disk in health.disks]),
        ("disk_size_bytes", "Size of the filesystem.", [({"path": disk.path}, disk.size) for disk in health.disks]),
        (
            "node_ready",
            "Whether a Node of the cluster is Ready.",
            [
                ({"node": node.name, "roles": ",".join(node.roles), "version": node.version}, node.ready)
                for node in health.nodes or ()
            ],
        ),
        *_etcd(health),
        (
            "alarm",
            "What has to be looked at.",
            [
                ({"severity": alarm.severity, "kind": alarm.kind, "subject": alarm.subject}, 1)
                for alarm in alarms(health)
            ],
        ),
    ]
    return "".join(_family(*family) for family in families)


def _etcd(health: Health) -> list[tuple[str, str, Iterable[Row]]]:
    if health.etcd is None:
        return [("etcd_up", "Whether etcd of this server answers.", [({}, 0)])]
    members = [
        ({"member": m.name, "node": m.node, "learner": str(m.learner).lower()}, 1.0) for m in health.etcd.members
    ]
    return [
        ("etcd_up", "Whether etcd of this server answers.", [({}, 1)]),
        ("etcd_member", "Members of etcd.", members),
        ("etcd_has_leader", "Whether this member knows a leader.", [({}, health.etcd.leader)]),
        ("etcd_database_bytes", "Size of the database.", [({}, health.etcd.database)]),
        ("etcd_spare_voters", "How many more voters may be lost.", _one(health.spare)),
    ]


def _one(value: float | None) -> list[Row]:
    return [] if value is None else [({}, value)]


def _family(name: str, text: str, rows: Iterable[Row]) -> str:
    lines = [_line(f"sealift_{name}", labels, value) for labels, value in rows]
    head = f"# HELP sealift_{name} {text}\n# TYPE sealift_{name} gauge\n"
    return head + "".join(lines) if lines else ""


def _line(name: str, labels: Mapping[str, str], value: float) -> str:
    words = ",".join(f'{key}="{text.translate(_ESCAPES)}"' for key, text in labels.items())
    return f"{name}{{{words}}} {int(value)}\n" if words else f"{name} {int(value)}\n"
