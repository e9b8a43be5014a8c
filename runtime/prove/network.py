"""The network of a proof, as text for ip(8): a switch that leads nowhere, and machines plugged into it. Pure.

Every machine has a default route, as RKE2 wants it: what asks for the world arrives at the switch, is counted there
and goes no further. Addresses are private ones that no cluster uses by default.
"""

from dataclasses import dataclass
from typing import Final

LAN: Final = "172.31.77.0/24"
LAN6: Final = "fd5e:a11f:7::/64"
GATEWAY: Final = "172.31.77.1"
GATEWAY6: Final = "fd5e:a11f:7::1"
BRIDGE: Final = "br0"
UPLINK: Final = "eth0"
_FIRST: Final = 11


@dataclass(frozen=True, slots=True)
class Port:
    """The plug of machine `number` (from 1): its address, and the name of the switch's side."""

    number: int

    @property
    def address(self) -> str:
        """IPv4 address of the machine."""
        return f"172.31.77.{_FIRST + self.number - 1}"

    @property
    def address6(self) -> str:
        """IPv6 address of the machine."""
        return f"fd5e:a11f:7::{_FIRST + self.number - 1}"

    @property
    def name(self) -> str:
        """The interface in the switch."""
        return f"port{self.number}"


def switch_batch(ipv6: bool) -> str:
    """For `ip -batch -` in the switch's namespace: the bridge, with the gateway's address and no uplink."""
    lines = [
        "link set lo up",
        f"link add {BRIDGE} type bridge",
        f"addr add {GATEWAY}/24 dev {BRIDGE}",
        *([f"addr add {GATEWAY6}/64 dev {BRIDGE} nodad"] if ipv6 else []),
        f"link set {BRIDGE} up",
    ]
    return "\n".join(lines) + "\n"


def plug_batch(port: Port, pid: int) -> str:
    """For `ip -batch -` in the switch's namespace: a cable into the namespace of process `pid`."""
    return "\n".join(
        [
            f"link add {port.name} type veth peer name {UPLINK} netns {pid}",
            f"link set {port.name} master {BRIDGE} up",
            "",
        ]
    )


def machine_batch(port: Port, ipv6: bool) -> str:
    """For `ip -batch -` in the machine's namespace: its address and its default route, to the switch."""
    lines = [
        "link set lo up",
        f"addr add {port.address}/24 dev {UPLINK}",
        *([f"addr add {port.address6}/64 dev {UPLINK} nodad"] if ipv6 else []),
        f"link set {UPLINK} up",
        f"route add default via {GATEWAY}",
        *([f"route add ::/0 via {GATEWAY6}"] if ipv6 else []),
    ]
    return "\n".join(lines) + "\n"


def hosts_text(name: str, port: Port) -> str:
    """/etc/hosts of a machine."""
    return f"127.0.0.1 localhost\n::1 localhost ip6-localhost\n{port.address} {name}\n"


def resolver_text() -> str:
    """/etc/resolv.conf of a machine: a name server at the switch, where nobody answers and every question counts."""
    return f"nameserver {GATEWAY}\n"
