"""Which pod network and ingress controllers a server runs: the configuration's, among those of its bundle. Pure.

As RKE2 does (pkg/cli/cmds/server.go; pkg/bootstrap, updateManifests): charts of what was not chosen are there and
disabled, and the first ingress controller's class is that of Ingresses which name none. What differs: a choice that the
bundle does not have is an error at once, not a chart that never comes.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from bundles import choices
from bundles.choices import CNI, INGRESS, NONE
from bundles.errors import Problem, ProblemsError
from bundles.index import BundleIndex, Choice
from runtime.nodeconf.model import NodeConfig

_UNKNOWN: Final = "traefik"  # RKE2's class when neither the configuration nor the bundle names one


@dataclass(frozen=True, kw_only=True, slots=True)
class Chosen:
    """`cni` and `ingress` by name; empty where the bundle leaves no choice and none was made.

    `charts`: names of those that are not to run; `archives`: paths in the bundle that nothing chosen needs.
    """

    cni: str = ""
    ingress: tuple[str, ...] = ()
    charts: frozenset[str] = frozenset()
    archives: frozenset[str] = frozenset()

    @property
    def ingress_class(self) -> str:
        """The class of Ingresses that name none; empty when nobody serves them."""
        return (self.ingress[0] if self.ingress != (NONE,) else "") if self.ingress else _UNKNOWN

    def settings(self) -> dict[str, str]:
        """For people and reports: setting -> what was chosen."""
        found = {CNI: self.cni, INGRESS: ", ".join(self.ingress)}
        return {key: text for key, text in found.items() if text}


def decide(config: NodeConfig, index: BundleIndex | None) -> Chosen:
    """A server's configuration and its bundle (None: none is admitted) -> what runs.

    Raises ProblemsError that names what the bundle has, and which one would do.
    """
    offered = choices.offered(index) if index else ()
    wanted = {CNI: (config.cni,) if config.cni else (), INGRESS: config.ingress}
    problems: list[Problem] = []
    taken: dict[str, tuple[str, ...]] = {}
    for key, names in wanted.items():
        known = [choice.name for choice in offered if choice.key == key]
        problems += [_lacks(key, name, known, index) for name in names if name not in (NONE, *known)]
        taken[key] = names or tuple(known[:1])
    if problems:
        raise ProblemsError("choices of this node", problems)
    return _chosen(offered, taken)


def _chosen(offered: Iterable[Choice], taken: Mapping[str, tuple[str, ...]]) -> Chosen:
    kept = [choice for choice in offered if choice.name in taken[choice.key]]
    left = [choice for choice in offered if choice.name not in taken[choice.key]]
    return Chosen(
        cni=next(iter(taken[CNI]), ""),
        ingress=taken[INGRESS],
        charts=frozenset(_all(left, "charts") - _all(kept, "charts")),
        archives=frozenset(_all(left, "archives") - _all(kept, "archives")),
    )


def _all(found: Iterable[Choice], field: str) -> set[str]:
    return {part for choice in found for part in getattr(choice, field)}


def _lacks(key: str, name: str, known: list[str], index: BundleIndex | None) -> Problem:
    has = f"has {', '.join(known)}" if known else "has none to choose"
    bundle = f"{index.name} {index.version}" if index else "no bundle is admitted: it"
    hint = (
        f"choose what it has, or {NONE}; or stage a bundle whose `sealift inspect` says `choice {key}: {name}`: its "
        f"recipe has {name} in its `choices`, as recipes/rke2-v1.34-upstream has all of RKE2's"
    )
    return Problem(where=key, message=f"{name} is not in the bundle: {bundle} {has}", hint=hint)
