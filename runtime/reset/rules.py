"""Packet filter rules of kube-proxy, CNI plugins and flannel: which they are, and a rule set without them. Pure."""

import re
from collections.abc import Iterable, Mapping
from typing import Any, Final

# As rke2-killall.sh, plus comments of the portmap plugin and flannel, which it matches in any case.
_OURS: Final = re.compile(r"KUBE-|CNI-|FLANNEL|flannel|cali-|CILIUM_|kube-proxy")
_TABLES: Final = re.compile(r"kube-proxy|flannel-ipv[46]|cni_hostport|cni_plugins_masquerade|cni_plugins_portmap")
# Tables that iptables-nft makes; without rules they mean nothing, and iptables makes them again when it needs them.
_COMPATIBLE: Final = ("filter", "nat", "mangle", "raw", "security")


def without_ours(saved: str) -> str | None:
    """`iptables-save` text without our rules, for `iptables-restore`; None when there are none."""
    lines = saved.removesuffix("\n").split("\n")  # comments of others may hold what else splits lines in Python
    kept = [line for line in lines if line.startswith("#") or not _OURS.search(line)]
    return "\n".join(kept) + "\n" if len(kept) < len(lines) else None


def tables_to_delete(ruleset: Iterable[Mapping[str, Any]]) -> list[tuple[str, str]]:
    """The objects of `nft -j list ruleset` -> (family, table) of our tables, and of iptables' own that are empty."""
    objects = list(ruleset)
    tables = [(o["table"]["family"], o["table"]["name"]) for o in objects if "table" in o]
    busy = {(o["rule"]["family"], o["rule"]["table"]) for o in objects if "rule" in o}
    for found in (o["chain"] for o in objects if "chain" in o):
        if "hook" not in found or found.get("policy", "accept") != "accept":
            busy.add((found["family"], found["table"]))
    busy |= {(o[kind]["family"], o[kind]["table"]) for kind in ("set", "map") for o in objects if kind in o}
    return [
        (family, name)
        for family, name in tables
        if _TABLES.fullmatch(name) or (family in ("ip", "ip6") and name in _COMPATIBLE and (family, name) not in busy)
    ]
