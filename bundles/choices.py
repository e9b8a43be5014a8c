"""What a node may choose: its pod network and who serves its Ingresses, each with archives and charts of its own. Pure.

The settings and their words are RKE2's (rke2 pkg/cli/cmds/server.go): `cni` and `ingress-controller`; charts are named
`rke2-NAME`, archives `rke2-images-NAME` (rke2 scripts/build-images).
"""

from collections.abc import Iterable, Mapping
from typing import Final

from bundles.index import BundleIndex, Choice

CNI: Final = "cni"
INGRESS: Final = "ingress-controller"
NONE: Final = "none"
# RKE2's words, its own default first.
NAMES: Final[Mapping[str, tuple[str, ...]]] = {
    CNI: ("canal", "calico", "cilium", "flannel"),
    INGRESS: ("traefik", "ingress-nginx"),
}


def offered(index: BundleIndex) -> tuple[Choice, ...]:
    """The choices of a bundle, by setting in the bundle's order; the first of a setting is its default.

    A bundle that lists none is read by RKE2's names.
    """
    if index.choices is not None:
        return tuple(index.choices)
    return tuple(choice for key, names in NAMES.items() for name in names if (choice := _by_name(index, key, name)))


def words(choices: Iterable[Choice]) -> list[str]:
    """Choices -> `cni: flannel, canal`, one line for each setting."""
    names: dict[str, list[str]] = {}
    for choice in choices:
        names.setdefault(choice.key, []).append(choice.name)
    return [f"{key}: {', '.join(found)}" for key, found in names.items()]


def _by_name(index: BundleIndex, key: str, name: str) -> Choice | None:
    charts = [chart.name for chart in index.charts if chart.name in (f"rke2-{name}", f"rke2-{name}-crd")]
    path = f"images/rke2-images-{name}.{index.platform.replace('/', '-')}.tar"
    archives = [archive.path for archive in index.archives if archive.path == path]
    return Choice(key=key, name=name, archives=archives, charts=charts) if charts else None
