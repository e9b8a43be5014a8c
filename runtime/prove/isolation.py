"""What wanted out: counters in the switch, which every packet for the world must pass, and proof that they count.

DNS counts by itself: questions go to a name server at the switch. Packets for the cluster's own networks that miss
their way, while the node's rules are not in place yet, are told apart: they asked nothing of the world.
"""

import asyncio
import contextlib
import json
import sys
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any, Final

from bundles.errors import FormatError, SealiftError
from runtime.nodeconf.model import CLUSTER_NETWORKS, SERVICE_NETWORKS
from runtime.prove import network
from runtime.prove.checks import Hands
from runtime.prove.namespaces import Machine, Switch
from runtime.prove.probe import NAME, NAMESPACE

TABLE: Final = "sealift_prove"
# Addresses for documentation, which nobody owns: RFC 5737 and RFC 3849.
CONTROL: Final = ("192.0.2.1", 9)
CONTROL6: Final = ("2001:db8::1", 9)
_KNOCK: Final = """
import socket, sys
for word in sys.argv[1:]:
    host, _, port = word.rpartition("|")
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    socket.socket(family, socket.SOCK_DGRAM).sendto(b"control", (host, int(port)))
"""


@dataclass(frozen=True, kw_only=True, slots=True)
class Outside:
    """What was counted: packets for the world, DNS packets, stray packets of the cluster, and who was wanted.

    `wanted` has entries `ADDRESS PROTOCOL PORT`; DNS questions are not among them.
    """

    world: int = 0
    dns: int = 0
    stray: int = 0
    wanted: tuple[str, ...] = ()

    @property
    def packets(self) -> int:
        """Everything that asked something of the world."""
        return self.world + self.dns

    @property
    def attempts(self) -> int:
        """Destinations; all DNS is one."""
        return len(self.wanted) + (self.dns > 0)


def ruleset() -> str:
    """For `nft -f -` in the switch's namespace: fresh counters. Pure."""
    cluster = ", ".join((CLUSTER_NETWORKS[4], SERVICE_NETWORKS[4]))
    cluster6 = ", ".join((CLUSTER_NETWORKS[6], SERVICE_NETWORKS[6]))
    near = f"{{ {network.LAN}, 224.0.0.0/4, 255.255.255.255 }}"
    near6 = f"{{ {network.LAN6}, fe80::/10, ff00::/8 }}"
    return f"""
table inet {TABLE} {{}}
delete table inet {TABLE}
table inet {TABLE} {{
  counter world {{}}
  counter dns {{}}
  counter stray {{}}
  set wanted4 {{ type ipv4_addr . inet_proto . inet_service; size 65535; flags dynamic; }}
  set wanted6 {{ type ipv6_addr . inet_proto . inet_service; size 65535; flags dynamic; }}
  chain arriving {{
    type filter hook prerouting priority raw;
    ip daddr {network.GATEWAY} meta l4proto {{ tcp, udp }} th dport 53 counter name dns
    ip6 daddr {network.GATEWAY6} meta l4proto {{ tcp, udp }} th dport 53 counter name dns
    ip daddr {{ {cluster} }} counter name stray return
    ip6 daddr {{ {cluster6} }} counter name stray return
    ip daddr {near} return
    ip6 daddr {near6} return
    meta nfproto {{ ipv4, ipv6 }} counter name world
    ip version 4 meta l4proto {{ tcp, udp }} add @wanted4 {{ ip daddr . meta l4proto . th dport }}
    ip6 version 6 meta l4proto {{ tcp, udp }} add @wanted6 {{ ip6 daddr . meta l4proto . th dport }}
  }}
}}
"""


def read_counters(text: str) -> Outside:
    """The output of `nft -j list table` -> what was counted. Raises FormatError. Pure."""
    try:
        items: list[dict[str, Any]] = json.loads(text)["nftables"]
        counters = {item["counter"]["name"]: int(item["counter"]["packets"]) for item in items if "counter" in item}
        wanted = sorted(_destinations(item["set"] for item in items if "set" in item))
        return Outside(world=counters["world"], dns=counters["dns"], stray=counters["stray"], wanted=tuple(wanted))
    except (ValueError, KeyError, TypeError, AttributeError) as exc:
        raise FormatError(f"nft answered something else: {exc!r}", where="nft", got=text[:200]) from exc


def _destinations(sets: Iterable[dict[str, Any]]) -> Iterable[str]:
    for found in sets:
        for element in found.get("elem", []):
            inner = element.get("elem", element)
            yield " ".join(str(part) for part in inner.get("val", inner)["concat"])


@dataclass(frozen=True, slots=True)
class Watch:
    """The counters of one switch."""

    switch: Switch

    async def reset(self) -> None:
        """Begins at zero."""
        await self.switch.run(["nft", "-f", "-"], ruleset())

    async def read(self) -> Outside:
        """What was counted since."""
        return read_counters((await self.switch.run(["nft", "-j", "list", "table", "inet", TABLE])).text)


async def control(watch: Watch, machine: Machine, *, ipv6: bool) -> bool:
    """Sends a packet into the world and one DNS question from the machine: whether both were counted.

    Without it a zero could mean that nobody looked.
    """
    knocks = [CONTROL, (network.GATEWAY, 53), *([CONTROL6] if ipv6 else [])]
    words = [f"{host}|{port}" for host, port in knocks]
    before = await watch.read()
    await machine.call([sys.executable, "-I", "-c", _KNOCK, *words])
    return await _counted(watch, replace(before, world=before.world + 1 + ipv6, dns=before.dns + 1))


async def pod_control(watch: Watch, hands: Hands) -> bool:
    """The same from a pod, whose packets take another way through the node."""
    before = await watch.read()
    with contextlib.suppress(SealiftError):  # nobody answers
        page = (f"--server=http://{CONTROL[0]}", "--request-timeout=1s", "get", "--raw", "/")
        await hands.kubectl("-n", NAMESPACE, "exec", f"deploy/{NAME}", "--", "kubectl", *page)
    return await _counted(watch, replace(before, world=before.world + 1))


async def _counted(watch: Watch, least: Outside) -> bool:
    for _ in range(50):
        after = await watch.read()
        if after.world >= least.world and after.dns >= least.dns:
            return True
        await asyncio.sleep(0.1)
    return False
