"""Settings -> NodeConfig, with every problem at once. Pure: the machine's own name and address are passed in."""

import difflib
import ipaddress
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, TypeVar

from bundles.choices import CNI, INGRESS, NAMES, NONE
from bundles.errors import FormatError, Problem, ProblemsError
from bundles.reference import Reference
from runtime.etcd.schedule import parse_schedule
from runtime.nodeconf.keys import IMAGE_KEYS, REFUSED, USED, WITHOUT_EFFECT
from runtime.nodeconf.model import (
    CLUSTER_DOMAIN,
    CLUSTER_NETWORKS,
    COMPONENTS,
    NODE_PORTS,
    RESOLV_CONF,
    SERVICE_NETWORKS,
    SNAPSHOTTER,
    Address,
    Network,
    NodeConfig,
    Role,
    Snapshots,
    Taint,
    Token,
)
from runtime.nodeconf.settings import Setting, Settings
from runtime.nodepaths import NodePaths

T = TypeVar("T")
_LABEL: Final = r"[a-z0-9](?:[-a-z0-9]{0,61}[a-z0-9])?"
NODE_NAME: Final = re.compile(rf"{_LABEL}(?:\.{_LABEL})*")  # RFC 1123 subdomain, as Node names are
_SAN: Final = re.compile(r"(?:\*\.)?[A-Za-z0-9_](?:[-A-Za-z0-9_.]{0,251}[A-Za-z0-9_])?")
_TAINT: Final = re.compile(r"([^=:]+)(?:=([^:]*))?:(NoSchedule|PreferNoSchedule|NoExecute)")
_NODE_LABEL: Final = re.compile(r"[A-Za-z0-9][-A-Za-z0-9_./]*=[-A-Za-z0-9_.]*")
_QUANTITY: Final = re.compile(r"([a-z-]+)-(cpu|memory)=([0-9.]+(?:m|[kKMGT]i?)?)")
_COUNT: Final = re.compile(r"[0-9]{1,6}")
_SNAPSHOT: Final = re.compile(r"[A-Za-z0-9][-A-Za-z0-9._]{0,100}")
_PORTS: Final = re.compile(r"([0-9]{1,5})-([0-9]{1,5})")
_TRUE: Final = ("true", "True", "TRUE", "1", "t", "T")  # Go's strconv.ParseBool, as the flags are read
_FALSE: Final = ("false", "False", "FALSE", "0", "f", "F")


@dataclass(frozen=True, kw_only=True, slots=True)
class Machine:
    """What the configuration does not say: the host's name and the address of its default route."""

    hostname: str
    address: Address | None


@dataclass(frozen=True, kw_only=True, slots=True)
class Parsed:
    """The configuration, and what to tell: known keys that have no effect here."""

    config: NodeConfig
    warnings: tuple[str, ...]


def parse(settings: Settings, *, role: Role, paths: NodePaths, machine: Machine, where: object) -> Parsed:
    """Settings -> Parsed. `data-dir` is the command line's business: `paths` has it.

    Raises ProblemsError with all problems: unknown keys (with the nearest one), settings this runtime does not have,
    and values that cannot be.
    """
    reader = _Reader(settings)
    warnings = _look_at_keys(reader)
    config = _config(reader, role, paths, machine)
    if reader.problems:
        raise ProblemsError(where, reader.problems)
    return Parsed(config=config, warnings=warnings)


@dataclass(slots=True)
class _Reader:
    """Takes settings by key; every value that cannot be becomes a problem and gives the default."""

    settings: Settings
    problems: list[Problem] = field(default_factory=list)

    def problem(self, key: str, message: str, hint: str = "") -> None:
        setting = self.settings.get(key)
        where = f"{setting.where}:{key}" if setting and not setting.where.startswith("--") else f"--{key}"
        self.problems.append(Problem(where=where, message=message, hint=hint))

    def texts(self, key: str) -> tuple[str, ...]:
        """All values, those with commas split, empty ones left out."""
        setting = self.settings.get(key, Setting((), ""))
        return tuple(part for value in setting.values for part in map(str.strip, value.split(",")) if part)

    def lines(self, key: str) -> tuple[str, ...]:
        """All values as typed, but for leading hyphens."""
        return tuple(value.removeprefix("--") for value in self.settings.get(key, Setting((), "")).values)

    def text(self, key: str, default: str = "") -> str:
        values = self.settings.get(key, Setting((), "")).values
        if len(values) > 1:
            self.problem(key, "takes one value")
        return values[0] if len(values) == 1 else default

    def flag(self, key: str) -> bool:
        text = self.text(key, "false")
        if text not in _TRUE and text not in _FALSE:
            self.problem(key, f"must be true or false, not {text!r}")
        return text in _TRUE

    def each(self, key: str, make: Callable[[str], T]) -> tuple[T, ...]:
        """`make` of each text; its ValueError becomes a problem."""
        made = []
        for text in self.texts(key):
            try:
                made.append(make(text))
            except ValueError as exc:
                self.problem(key, str(exc))
        return tuple(made)

    def matching(self, key: str, pattern: re.Pattern[str], default: str, want: str) -> str:
        text = self.text(key, default)
        if not pattern.fullmatch(text):
            self.problem(key, f"{text!r} is not {want}")
        return text


def _look_at_keys(reader: _Reader) -> tuple[str, ...]:
    warnings = []
    for key, setting in reader.settings.items():
        if key in USED:
            continue
        if key in WITHOUT_EFFECT:
            warnings.append(f"{setting.where}: {key} has no effect here")
        elif key in REFUSED:
            if any(value not in ("", *_FALSE) for value in setting.values):
                reader.problem(key, "this runtime does not have the setting", "take it out")
        else:
            near = difflib.get_close_matches(key, USED, n=1)
            reader.problem(key, "unknown key", f"did you mean {near[0]}?" if near else "take it out")
    return tuple(warnings)


def _config(reader: _Reader, role: Role, paths: NodePaths, machine: Machine) -> NodeConfig:
    addresses = _node_addresses(reader, machine)
    versions = tuple(address.version for address in addresses)
    clusters = _networks(reader, "cluster-cidr", tuple(CLUSTER_NETWORKS[version] for version in versions))
    services = _networks(reader, "service-cidr", tuple(SERVICE_NETWORKS[version] for version in versions))
    _check_networks(reader, clusters, services, versions)
    bind = reader.each("bind-address", ipaddress.ip_address)
    advertise = reader.each("advertise-address", ipaddress.ip_address)
    server_url = reader.text("server") or None
    if role == "agent" and server_url is None:
        reader.problem("server", "an agent needs the server's address", "https://SERVER:9345")
    if server_url is not None and not server_url.startswith("https://"):
        reader.problem("server", f"{server_url!r} is not an https:// address")
    return NodeConfig(
        role=role,
        paths=paths,
        node_name=_node_name(reader, machine),
        node_ips=addresses,
        bind_address=bind[0] if bind else ipaddress.ip_address("0.0.0.0" if addresses[0].version == 4 else "::"),
        advertise_address=advertise[0] if advertise else addresses[0],
        tls_sans=reader.each("tls-san", _san),
        cluster_cidrs=clusters,
        service_cidrs=services,
        cluster_dns=_cluster_dns(reader, services),
        node_ports=_node_ports(reader),
        cluster_domain=reader.matching("cluster-domain", NODE_NAME, CLUSTER_DOMAIN, "a DNS name"),
        labels=reader.each("node-label", _label),
        taints=reader.each("node-taint", _taint),
        server_url=server_url,
        token=_token(reader, "token"),
        agent_token=_token(reader, "agent-token"),
        arguments={name: found for name in COMPONENTS if (found := reader.lines(f"{name}-arg"))},
        images=_images(reader),
        registry=reader.text("system-default-registry").rstrip("/"),
        private_registry=_path(reader, "private-registry"),
        default_endpoints=not reader.flag("disable-default-registry-endpoint"),
        disabled=frozenset(reader.texts("disable")),
        cni=_cni(reader),
        ingress=_ingress(reader),
        kube_proxy=not reader.flag("disable-kube-proxy"),
        requests=_quantities(reader, "control-plane-resource-requests"),
        limits=_quantities(reader, "control-plane-resource-limits"),
        snapshotter=reader.text("snapshotter", SNAPSHOTTER),
        resolv_conf=Path(reader.text("resolv-conf") or RESOLV_CONF),
        protect_kernel_defaults=reader.flag("protect-kernel-defaults"),
        snapshots=_snapshots(reader),
        debug=reader.flag("debug"),
    )


def _cni(reader: _Reader) -> str:
    """One name; RKE2 takes `multus` before it too, which is another chart that no bundle has."""
    names = reader.texts(CNI)
    if len(names) > 1:
        reader.problem(CNI, f"takes one pod network, not {', '.join(names)}")
    _known(reader, CNI, names)
    return names[0] if names else ""


def _ingress(reader: _Reader) -> tuple[str, ...]:
    names = tuple(dict.fromkeys(reader.texts(INGRESS)))
    if NONE in names and len(names) > 1:
        reader.problem(INGRESS, "`none` stands alone")
    _known(reader, INGRESS, names)
    return names


def _known(reader: _Reader, key: str, names: Sequence[str]) -> None:
    for name in names:
        if name not in (NONE, *NAMES[key]):
            near = difflib.get_close_matches(name, NAMES[key], n=1)
            hint = f"did you mean {near[0]}?" if near else f"one of {', '.join((NONE, *NAMES[key]))}"
            reader.problem(key, f"{name!r} is not known", hint)


def _node_name(reader: _Reader, machine: Machine) -> str:
    name = reader.text("node-name", machine.hostname).lower()
    if not NODE_NAME.fullmatch(name) or len(name) > 253:
        reader.problem(
            "node-name", f"{name!r} cannot be a node's name", "set node-name: lower case letters, digits, -, ."
        )
    return name


def _node_addresses(reader: _Reader, machine: Machine) -> tuple[Address, ...]:
    """At most one address per family; a stand-in after a problem, so that the other settings are looked at too."""
    addresses = reader.each("node-ip", ipaddress.ip_address)
    if not addresses and "node-ip" not in reader.settings:
        if machine.address is not None:
            return (machine.address,)
        reader.problem("node-ip", "this machine has no default route, so no address is known", "set node-ip")
    if len({address.version for address in addresses}) < len(addresses):
        reader.problem("node-ip", "takes one address per family")
    for address in addresses:
        if address.is_loopback or address.is_unspecified or address.is_multicast:
            reader.problem("node-ip", f"{address} cannot be a node's address")
    return addresses or (ipaddress.IPv4Address("192.0.2.1"),)


def _networks(reader: _Reader, key: str, defaults: Sequence[str]) -> tuple[Network, ...]:
    found = reader.each(key, ipaddress.ip_network)
    return found or tuple(map(ipaddress.ip_network, defaults))


def _check_networks(
    reader: _Reader, clusters: tuple[Network, ...], services: tuple[Network, ...], versions: tuple[int, ...]
) -> None:
    for key, networks in (("cluster-cidr", clusters), ("service-cidr", services)):
        families = [network.version for network in networks]
        if len(set(families)) < len(families) or not set(families) & set(versions):
            reader.problem(key, "takes one network per family of the node's addresses")
    for cluster in clusters:
        for service in services:
            if cluster.overlaps(service):  # False for different families
                reader.problem("service-cidr", f"{service} overlaps the pods' {cluster}")


def _cluster_dns(reader: _Reader, services: tuple[Network, ...]) -> tuple[Address, ...]:
    """Given, or the tenth address of each service network (k3s pkg/cli/server)."""
    found: tuple[Address, ...] = reader.each("cluster-dns", ipaddress.ip_address)
    for address in found:
        if not any(address in network for network in services if network.version == address.version):
            reader.problem("cluster-dns", f"{address} is not in the service network")
    small = [network for network in services if network.num_addresses < 16]
    for network in small:
        reader.problem("service-cidr", f"{network} is too small")
    return found or tuple(network[10] for network in services if network not in small)


def _node_ports(reader: _Reader) -> str:
    text = reader.text("service-node-port-range", NODE_PORTS)
    match = _PORTS.fullmatch(text)
    if not match or not 1 <= int(match[1]) <= int(match[2]) <= 65535:
        reader.problem("service-node-port-range", f"{text!r} is not FIRST-LAST")
    return text


def _path(reader: _Reader, key: str) -> Path | None:
    text = reader.text(key)
    if text and not text.startswith("/"):
        reader.problem(key, f"{text!r} is not an absolute path")
    return Path(text) if text else None


def _token(reader: _Reader, key: str) -> Token | None:
    text, file = reader.text(key), reader.text(f"{key}-file")
    if text and file:
        reader.problem(key, f"{key} and {key}-file are both set")
    if text:
        return Token(text=text)
    return Token(file=Path(file)) if file else None


def _images(reader: _Reader) -> dict[str, str]:
    images = {key: text for key in IMAGE_KEYS if (text := reader.text(key))}
    for key, text in images.items():
        try:
            Reference.parse(text)
        except FormatError as exc:
            reader.problem(key, f"{exc.message}: {text!r}")
    return images


def _quantities(reader: _Reader, key: str) -> dict[str, str]:
    found = {}
    for text in reader.texts(key):
        match = _QUANTITY.fullmatch(text)
        if match and match[1] in COMPONENTS:
            found[f"{match[1]}-{match[2]}"] = match[3]
        else:
            reader.problem(key, f"{text!r} is not COMPONENT-cpu=QUANTITY or COMPONENT-memory=QUANTITY")
    return found


def _snapshots(reader: _Reader) -> Snapshots:
    plain = Snapshots()
    schedule = reader.text("etcd-snapshot-schedule-cron", plain.schedule)
    try:
        parse_schedule(schedule)
    except ValueError as exc:
        reader.problem("etcd-snapshot-schedule-cron", str(exc))
    retention = reader.matching("etcd-snapshot-retention", _COUNT, str(plain.retention), "a number")
    folder = reader.text("etcd-snapshot-dir")
    if folder and not folder.startswith("/"):
        reader.problem("etcd-snapshot-dir", f"{folder!r} is not an absolute path")
    return Snapshots(
        enabled=not reader.flag("etcd-disable-snapshots"),
        schedule=schedule,
        retention=int(retention) if _COUNT.fullmatch(retention) else plain.retention,
        name=reader.matching("etcd-snapshot-name", _SNAPSHOT, plain.name, "letters, digits, '-', '.' and '_'"),
        folder=Path(folder) if folder else None,
    )


def _san(text: str) -> str:
    try:
        return str(ipaddress.ip_address(text))
    except ValueError:
        if not _SAN.fullmatch(text):
            raise ValueError(f"{text!r} is neither an address nor a DNS name") from None
        return text


def _label(text: str) -> str:
    if not _NODE_LABEL.fullmatch(text):
        raise ValueError(f"{text!r} is not KEY=VALUE")
    return text


def _taint(text: str) -> Taint:
    match = _TAINT.fullmatch(text)
    if not match:
        raise ValueError(f"{text!r} is not KEY=VALUE:EFFECT with NoSchedule, PreferNoSchedule or NoExecute")
    return Taint(key=match[1], value=match[2] or "", effect=match[3])
