"""Which images a node runs: the configuration's, else those of the admitted bundle, found by their names. Pure.

RKE2 bakes references into itself; here the bundle is the release. An image is known by the last part of its
repository: `rancher/hardened-etcd` and `example.com/mirror/etcd` both are etcd.
"""

from collections.abc import Iterable, Mapping
from typing import Final

from bundles.errors import Problem, ProblemsError
from bundles.index import BundleIndex
from bundles.reference import Reference
from runtime.nodeconf.model import NodeConfig
from runtime.staticpods.model import Images

# Field of Images -> the configuration's key, and the words an image's name may be or end with, best first.
_ROLES: Final[Mapping[str, tuple[str, tuple[str, ...]]]] = {
    "etcd": ("etcd-image", ("etcd",)),
    "apiserver": ("kube-apiserver-image", ("kube-apiserver", "kubernetes")),
    "controller_manager": ("kube-controller-manager-image", ("kube-controller-manager", "kubernetes")),
    "scheduler": ("kube-scheduler-image", ("kube-scheduler", "kubernetes")),
    "proxy": ("kube-proxy-image", ("kube-proxy", "kubernetes")),
    "helm_controller": ("helm-controller-image", ("helm-controller",)),
    "helm_job": ("helm-job-image", ("klipper-helm", "helm-job")),
    "pause": ("pause-image", ("pause",)),
}


def choose_images(config: NodeConfig, index: BundleIndex | None) -> Images:
    """The images of the static pods. Raises ProblemsError that names every image that nobody has, or two have."""
    offered = [Reference.parse(image.reference) for image in index.images] if index else []
    problems: list[Problem] = []
    chosen: dict[str, Reference] = {}
    for field, (key, words) in _ROLES.items():
        if key in config.images:
            chosen[field] = Reference.parse(config.images[key])
            continue
        found = _named(offered, words)
        if len(found) == 1:
            chosen[field] = _below(found[0], config.registry)
        elif found:
            names = ", ".join(map(str, found))
            problems.append(Problem(where=key, message=f"several images could be meant: {names}", hint=f"set {key}"))
        else:
            message = f"the bundle has no image called {' or '.join(words)}"
            problems.append(Problem(where=key, message=message, hint=f"stage a whole bundle, or set {key}"))
    if problems:
        raise ProblemsError("images of this node", problems)
    return Images(**chosen)


def _named(offered: Iterable[Reference], words: tuple[str, ...]) -> list[Reference]:
    for word in words:
        found = [r for r in offered if (last := r.repository.rpartition("/")[2]) == word or last.endswith(f"-{word}")]
        if found:
            return found
    return []


def _below(reference: Reference, registry: str) -> Reference:
    """`system-default-registry`: the same image as the import names it there."""
    if not registry:
        return reference
    suffix = f":{reference.tag}" if reference.tag else f"@{reference.digest}"
    return Reference.parse(f"{registry}/{reference.repository}{suffix}")
