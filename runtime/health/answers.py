"""The answers of the apiserver and of etcd -> values. Pure; what cannot be read is a FormatError.

Nodes are asked for as a table, as kubectl does it: some 200 bytes for each, not ten thousand.
"""

from typing import Any, Final

from bundles.errors import FormatError
from runtime.etcd.members import read_members
from runtime.health.values import Etcd, MemberView, NodeView

TABLE: Final = {"Accept": "application/json;as=Table;v=v1;g=meta.k8s.io"}
MAX_NODES: Final = 1000


def read_nodes(document: Any) -> tuple[NodeView, ...]:
    """A Table of Nodes -> those, sorted by name."""
    try:
        columns = [column["name"] for column in document["columnDefinitions"]]
        rows = [dict(zip(columns, row["cells"], strict=True)) for row in document.get("rows") or ()]
        return tuple(sorted(_node(row) for row in rows))
    except (KeyError, TypeError, ValueError, AttributeError) as exc:
        raise FormatError("not a table of nodes", got=repr(document)[:200]) from exc


def _node(row: dict[str, Any]) -> NodeView:
    roles = str(row.get("Roles", ""))
    return NodeView(
        name=str(row["Name"]),
        ready="Ready" in str(row["Status"]).split(","),
        roles=() if roles in ("", "<none>") else tuple(roles.split(",")),
        version=str(row.get("Version", "")),
        address=str(row.get("Internal-IP", "")).replace("<none>", ""),
    )


def read_etcd(members: Any, status: Any) -> Etcd:
    """`cluster/member/list` and `maintenance/status` of the gateway."""
    found = tuple(
        sorted(
            MemberView(name=member.name, node=member.node, learner=member.learner)
            for member in read_members(members, where="etcd")
        )
    )
    try:
        return Etcd(
            members=found,
            leader=int(status.get("leader", 0)) != 0,
            database=int(status.get("dbSize", 0)),
            troubles=tuple(str(text)[:200] for text in status.get("errors") or ()),
        )
    except (TypeError, ValueError, AttributeError) as exc:
        raise FormatError("not the status of an etcd", got=repr(status)[:200]) from exc
