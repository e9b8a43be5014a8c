"""Files of server/manifests as the deploy controller sees them: which count, what is in them, what is injected. Pure.

k3s pkg/deploy/controller.go (shouldDisableFile, yamlToObjects), rke2 pkg/bootstrap/bootstrap.go (setChartValues). What
differs: values are injected on the way to the cluster, so that the files stay the bundle's, byte for byte; a file is
known by its path, so `a.b.yaml` and `a.c.yaml` are two; and disabled files stay where they are.
"""

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any, Final

import yaml

from bundles.errors import FormatError
from runtime import yamlread
from runtime.nodeconf.model import NodeConfig, joined

SUFFIXES: Final = (".yaml", ".yml", ".json")
SKIP: Final = ".skip"
INJECT: Final = "rke2.cattle.io/inject-cluster-config"
HELM_GROUP: Final = "helm.cattle.io"
_TRUE: Final = ("1", "t", "T", "true", "TRUE", "True")  # Go's strconv.ParseBool


@dataclass(frozen=True, kw_only=True, slots=True, order=True)
class ObjectKey:
    """An object's name in a cluster; `namespace` empty when the file gives none."""

    api_version: str
    kind: str
    namespace: str
    name: str

    @property
    def group(self) -> str:
        """Its API group, empty for the core's."""
        return self.api_version.rpartition("/")[0]

    def document(self) -> dict[str, Any]:
        """The least that `kubectl delete -f -` takes."""
        metadata = {"name": self.name} | ({"namespace": self.namespace} if self.namespace else {})
        return {"apiVersion": self.api_version, "kind": self.kind, "metadata": metadata}


def eligible(paths: Iterable[str]) -> tuple[str, ...]:
    """Paths below server/manifests -> those that are applied, sorted.

    A `NAME.yaml.skip` anywhere keeps every file called NAME.yaml away, as in k3s.
    """
    every = [PurePosixPath(path) for path in paths]
    skipped = {path.name.removesuffix(SKIP) for path in every if path.name.endswith(SKIP)}
    return tuple(
        sorted(
            str(path)
            for path in every
            if path.name.lower().endswith(SUFFIXES) and not path.name.startswith(".") and path.name not in skipped
        )
    )


def is_disabled(path: str, disabled: Iterable[str]) -> bool:
    """Whether `disable` names the file (without its suffix) or a folder it is in."""
    parts = PurePosixPath(path)
    return not {parts.stem, *parts.parts[:-1]}.isdisjoint(disabled)


def objects_in(text: bytes, where: object) -> tuple[ObjectKey, ...]:
    """All objects of a file; none when it holds nothing but comments. Lists are taken apart.

    Raises FormatError for what no cluster could take: not YAML, a document without kind or name.
    """
    found = []
    for document in _documents(text, where, yaml.CBaseLoader):
        for item in _items(document):
            metadata = item.get("metadata")
            if not isinstance(metadata, dict):
                raise FormatError("an object without metadata", where=where, got=str(item.get("kind"))[:100])
            key = ObjectKey(
                api_version=str(item.get("apiVersion") or ""),
                kind=str(item.get("kind") or ""),
                namespace=str(metadata.get("namespace") or ""),
                name=str(metadata.get("name") or ""),
            )
            if not (key.api_version and key.kind and key.name):
                raise FormatError("an object needs apiVersion, kind and metadata.name", where=where, got=str(key))
            found.append(key)
    return tuple(found)


def chart_values(config: NodeConfig, ingress_class: str) -> dict[str, str]:
    """What bundled charts are told of the cluster, all as text; `ingress_class`: of Ingresses that name none."""
    clusters = {f"v{network.version}": str(network) for network in config.cluster_cidrs}
    return {
        "global.cattle.systemDefaultRegistry": config.registry,
        "global.clusterCIDR": joined(config.cluster_cidrs),
        "global.clusterCIDRv4": clusters.get("v4", ""),
        "global.clusterCIDRv6": clusters.get("v6", ""),
        "global.clusterDNS": joined(config.cluster_dns),
        "global.clusterDomain": config.cluster_domain,
        "global.prime.enabled": "false",
        "global.rke2DataDir": str(config.paths.data),
        "global.serviceCIDR": joined(config.service_cidrs),
        "global.systemDefaultIngressClass": ingress_class,
        "global.systemDefaultRegistry": config.registry,
    }


def injected(text: bytes, values: Mapping[str, str], where: object, *, by_default: bool = False) -> bytes:
    """A file with `values` in `spec.set` of each HelmChart that wants them; other files unchanged, byte for byte.

    `by_default`: HelmCharts without the annotation want them too (RKE2_INJECT_CLUSTER_CONFIG).
    """
    if HELM_GROUP.encode() not in text:
        return text
    documents = list(_documents(text, where, _GoLoader))
    changed = False
    for document in documents:
        for item in _items(document):
            if _wants_values(item, by_default, where):
                changed |= _inject(item, values, where)
    return _json(documents, where) if changed else text


def _json(documents: Iterable[Any], where: object) -> bytes:
    try:
        return b"".join(json.dumps(document, allow_nan=False).encode() + b"\n" for document in documents)
    except (TypeError, ValueError) as exc:
        raise FormatError(f"a value that no cluster takes: {exc}", where=where) from exc


def _wants_values(item: Mapping[str, Any], by_default: bool, where: object) -> bool:
    if item.get("kind") != "HelmChart" or item.get("apiVersion") != f"{HELM_GROUP}/v1":
        return False
    annotations = _table(_table(item, "metadata", where), "annotations", where)
    return str(annotations[INJECT]) in _TRUE if INJECT in annotations else by_default


def _inject(item: dict[str, Any], values: Mapping[str, str], where: object) -> bool:
    spec = _table(item, "spec", where)
    before = _table(spec, "set", where)
    after = before | dict(values)
    item["spec"] = spec | {"set": after}
    return after != before


def _table(item: Mapping[str, Any], key: str, where: object) -> dict[str, Any]:
    """The mapping below a key; an empty one where there is none."""
    found = item.get(key) or {}
    if not isinstance(found, dict):
        raise FormatError("a HelmChart that no cluster takes", where=where, got=f"{key}: {str(found)[:100]!r}")
    return found


def _items(document: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """A document, or the members of a List."""
    items = document.get("items")
    if str(document.get("kind", "")).endswith("List") and isinstance(items, list):
        yield from (item for item in items if isinstance(item, dict))
    else:
        yield document


def _documents(text: bytes, where: object, loader: type[Any]) -> Iterator[dict[str, Any]]:
    for document in yamlread.documents(text, where, loader):
        if document in (None, ""):
            continue
        if not isinstance(document, dict):
            raise FormatError("a document that is no object", where=where, got=repr(document)[:100])
        yield document


class _GoLoader(yaml.CSafeLoader):
    """Reads as Kubernetes does: no dates, no numbers in base 60, and what looks like 1e3 is a number."""


_GoLoader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if not tag.endswith((":timestamp", ":int", ":float"))]
    for first, resolvers in yaml.CSafeLoader.yaml_implicit_resolvers.items()
}
_INT: Final = re.compile(r"[-+]?(?:0b[01_]+|0o?[0-7_]+|0x[0-9a-fA-F_]+|0|[1-9][0-9_]*)\Z")
_FLOAT: Final = re.compile(r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?\Z")
_GoLoader.add_implicit_resolver("tag:yaml.org,2002:int", _INT, list("-+0123456789"))
_GoLoader.add_implicit_resolver("tag:yaml.org,2002:float", _FLOAT, list("-+.0123456789"))


def _number(loader: yaml.CSafeLoader, node: yaml.ScalarNode) -> int:
    text = loader.construct_scalar(node).replace("_", "")
    sign, digits = (-1 if text.startswith("-") else 1), text.lstrip("+-")
    if digits.startswith("0") and digits[1:2].isdigit():
        digits = f"0o{digits}"
    return sign * int(digits, 0)


def _real(loader: yaml.CSafeLoader, node: yaml.ScalarNode) -> float:
    return float(loader.construct_scalar(node))


_GoLoader.add_constructor("tag:yaml.org,2002:int", _number)
_GoLoader.add_constructor("tag:yaml.org,2002:float", _real)
