"""What the documents are made from: recipe, lock, and what the steps of a build left. Pure."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from builder.buildroot.cross import component_needs, machine_of, tools_named
from builder.buildroot.model import ROOT, c_packages, closure, tool_versions
from builder.lock.model import Lock
from builder.plan.model import Receipt, Step
from builder.recipe.model import Recipe
from bundles import jsontext
from bundles.digest import Digest
from bundles.platform import Platform

# Facts of the steps that read licences (builder.steps.licences).
MODULES: Final = "modules"  # PATH@VERSION -> expression
SOURCE: Final = "source"  # expression of what was compiled, or of a chart
PACKAGES: Final = "packages"  # name -> version, source, source_version, architecture, licence
TEXTS: Final = "texts"  # LicenseRef -> text
SANDBOX: Final = "sandbox"  # fact of a step that ran without one (builder.run)
_VERSION: Final = 1  # of the documents: raised when the same receipts give other bytes


def licences_name(component: str) -> str:
    """The name of the step that reads a component's licences."""
    return f"licences {component}"


def component_of(step: str) -> str:
    """A step's name -> the component whose sources it reads: `component runc`, `licences runc` -> `runc`."""
    return step.removeprefix("component ").removeprefix("licences ").partition(" for ")[0]


def _is_own(step: str) -> bool:
    """Whether it makes a component for the bundle, and not for the machine that builds it."""
    return step.startswith("component ") and " for " not in step


@dataclass(frozen=True, kw_only=True, slots=True)
class BuildFacts:
    """`lock_digest` is that of lock.yaml; `ids`, `steps` and `receipts` by step name; `sealift` is our version."""

    recipe: Recipe
    lock: Lock
    lock_digest: Digest
    platform: Platform
    steps: Mapping[str, Step]
    ids: Mapping[str, Digest]
    receipts: Mapping[str, Receipt]
    sealift: str

    def identity(self) -> Digest:
        """All that decides the documents, beside the archives that they name. Cheap: nothing is described for it."""
        document = {
            "version": _VERSION,
            "sealift": self.sealift,
            "lock": str(self.lock_digest),
            "sandbox": self.sandbox,
            "steps": {name: str(step) for name, step in self.ids.items()},
        }
        return Digest.of(jsontext.encode_canonical(document))

    def architecture_of(self, tool: str) -> str:
        """The architecture of a C tool or library, by its package's name."""
        return tool.partition(":")[2] or machine_of(self.lock.buildroot) or self.platform.architecture

    @property
    def sandbox(self) -> str:
        """Where the steps ran: `network namespace`, `build root SUITE`, `none` if one could have reached a network."""
        said = [str(found.facts[SANDBOX]) for found in self.receipts.values() if SANDBOX in found.facts]
        within = f"build root {self.recipe.buildroot}" if self.recipe.buildroot else "network namespace"
        return said[0] if said else within

    def tools(self, component: str) -> Mapping[str, str]:
        """The C tools that a component was built with: package -> version; of the build root, or the machine's."""
        found: Any = self.steps[f"component {component}"].description.get("tools", {})
        if ROOT in found:
            machine = machine_of(self.lock.buildroot)
            needs = component_needs(self.recipe.components[component], self.recipe, self.platform, machine)
            names = tools_named(c_packages(self.recipe)[component], self.platform, machine)
            found = tool_versions(closure(self.lock.buildroot, needs), names)
        return {str(name): str(version) for name, version in found.items()}

    def all_tools(self) -> Mapping[str, str]:
        """Those of all components; one machine has one version of each."""
        names = (name.removeprefix("component ") for name in self.steps if _is_own(name))
        return {tool: version for name in names for tool, version in self.tools(name).items()}

    def described(self, name: str) -> Iterator[str]:
        """What steps say under a key of their descriptions: `zstd`, `zlib`."""
        yield from sorted({str(step.description[name]) for step in self.steps.values() if name in step.description})

    def facts(self, step: str) -> Mapping[str, Any]:
        """A step's facts; empty for one that is not part of this build."""
        return self.receipts[step].facts if step in self.receipts else {}

    def licences(self, component: str) -> Mapping[str, Any]:
        """What the licences step of a component found out."""
        return self.facts(licences_name(component))
