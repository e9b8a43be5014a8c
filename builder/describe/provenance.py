"""Where a bundle comes from: an in-toto Statement v1 with a SLSA v1 provenance predicate. Pure and deterministic.

Its subjects are all files of the bundle but bundle.json, which lists this one, and itself; and what archives hold: the
images by their manifests, the charts by their packages. bundle.json is signed beside it. No times and no names of the
machine: who builds the same lock with the same tools has the same statement.
"""

import base64
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

from builder.buildroot.cross import machine_of
from builder.buildroot.model import package_of
from builder.describe import published, purl
from builder.describe.model import Bill, Kind
from builder.describe.names import HOME
from builder.describe.parts import host_package
from builder.describe.receipts import BuildFacts
from builder.lock.model import LockedInput
from bundles import jsontext
from bundles.digest import Digest
from bundles.index import FORMAT

STATEMENT: Final = "https://in-toto.io/Statement/v1"
PREDICATE: Final = "https://slsa.dev/provenance/v1"
BUILD_TYPE: Final = f"{HOME}/build/v1"
BUILDER: Final = f"{HOME}/builder/v1"


@dataclass(frozen=True, kw_only=True, slots=True)
class Subject:
    """A file of the bundle by its path, an image by its reference, or a chart by the name of its package."""

    name: str
    sha256: Digest


def document(facts: BuildFacts, bill: Bill, subjects: Sequence[Subject]) -> bytes:
    """Facts, bill and the files written so far -> canonical JSON."""
    recipe, lock = facts.recipe, facts.lock
    definition = {
        "buildType": BUILD_TYPE,
        "externalParameters": {
            "recipe": {
                "name": recipe.name,
                "version": recipe.version,
                "flavour": str(recipe.flavour),
                "sequence": recipe.sequence,
                "digest": {"sha256": lock.recipe.hex},
            },
            "platform": str(facts.platform),
        },
        "internalParameters": {
            "lock": {"sha256": facts.lock_digest.hex},
            "epoch": lock.epoch,
            "format": FORMAT,
            "sandbox": facts.sandbox,
            "tools": dict(sorted(facts.all_tools().items())),
            **_crypto(bill),
            **({"notReproducible": found} if (found := list(_not_reproducible(facts))) else {}),
        },
        "resolvedDependencies": list(_dependencies(facts, bill)),
    }
    details = {
        "builder": {
            "id": BUILDER,
            "version": {
                "sealift": facts.sealift,
                **{name: ", ".join(found) for name in ("zlib", "zstd") if (found := list(facts.described(name)))},
            },
            "builderDependencies": list(_builder(facts)),
        }
    }
    statement = {
        "_type": STATEMENT,
        "subject": [{"name": each.name, "digest": {"sha256": each.sha256.hex}} for each in subjects],
        "predicateType": PREDICATE,
        "predicate": {"buildDefinition": definition, "runDetails": details},
    }
    return jsontext.encode_canonical(statement)


def _dependencies(facts: BuildFacts, bill: Bill) -> Iterator[dict[str, Any]]:
    """The lock itself, every locked input, and every Go module that a program carries; sorted by name, each once."""
    found = {"lock.yaml": {"name": "lock.yaml", "digest": {"sha256": facts.lock_digest.hex}}}
    for each in (*_locked(facts), *_carried(bill)):
        found.setdefault(each["name"], each)
    yield from (found[name] for name in sorted(found))


def _locked(facts: BuildFacts) -> Iterator[dict[str, Any]]:
    machine = machine_of(facts.lock.buildroot) or facts.platform.architecture
    for locked in facts.lock.buildroot:
        yield from _input(locked, package_of(locked)[0].partition(":")[2] or machine)
    for locked in facts.lock.inputs:
        yield from _input(locked, facts.platform.architecture)
    for chart in facts.lock.charts:
        kind = "sha256" if chart.source else "sealiftTree"
        said = {"name": f"chart:{chart.name}@{chart.version}", "digest": {kind: chart.digest.hex}}
        yield said | ({"uri": chart.url or chart.source.partition(":")[2]} if chart.source else {})
    for source in facts.lock.image_sources:
        yield from published.image_source(source)
    for tool in facts.lock.tools:
        yield {
            "name": tool.source,
            "uri": purl.generic("go", tool.source.partition(":")[2]),
            "digest": _dirhash(tool.h1),
        }


def _not_reproducible(facts: BuildFacts) -> Iterator[str]:
    """Images whose bytes come out differently each time: who builds the same lock has other ones."""
    for source in facts.lock.image_sources:
        if engine := facts.facts(f"image {source.image}").get("engine"):
            yield f"image {source.image}: built by {engine}"


def _input(locked: LockedInput, architecture: str) -> Iterator[dict[str, Any]]:
    """One locked input: a module, the files of a package, or what lies beside the recipe."""
    kind, _, rest = locked.source.partition(":")
    if kind in ("go", "go-source"):
        path, _, version = rest.partition("@")
        name = f"go:{path}@{version}"
        yield {"name": name, "uri": purl.golang(path, version)} | ({"digest": _dirhash(locked.h1)} if locked.h1 else {})
    elif kind in ("deb", "deb-source"):
        suite, _, word = rest.rpartition("/")
        name, _, version = word.partition("=")
        name = name.partition(":")[0]
        arch = "source" if kind == "deb-source" else architecture
        uri = purl.debian(name, version, architecture=arch, suite=suite)
        for file in locked.files:
            yield {"name": file.name, "uri": uri, "digest": {"sha256": file.digest.hex}}
    elif kind in ("url", "image"):
        yield published.dependency(locked, architecture)
    elif locked.digest is not None:
        yield {
            "name": locked.source,
            "digest": {"sha256" if kind == "file" else "sealiftTree": locked.digest.hex},
        }
    if locked.sum is not None:
        yield {"name": f"folder:{locked.sum.folder}", "digest": {"sealiftSums": locked.sum.digest.hex}}


def _carried(bill: Bill) -> Iterator[dict[str, Any]]:
    for part in bill.parts:
        h1 = dict(part.notes).get("go:h1", "")
        if part.kind is Kind.MODULE and h1:
            yield {"name": part.key.partition(" ")[0], "uri": part.purl, "digest": _dirhash(h1)}


def _crypto(bill: Bill) -> dict[str, dict[str, str]]:
    """The crypto that was found in each Go program, where the recipe asks for some."""
    found = {part.key.partition(":")[2]: dict(part.notes).get("go:crypto", "") for part in bill.parts}
    said = {name: mode for name, mode in sorted(found.items()) if mode}
    return {"crypto": said} if said else {}


def _builder(facts: BuildFacts) -> Iterator[dict[str, Any]]:
    for name, version in sorted(facts.all_tools().items()):
        part = host_package(name, version, facts.architecture_of(name))
        yield {"name": name, "uri": part.purl}


def _dirhash(h1: str) -> dict[str, str]:
    """Go's `h1:` hash of a module as in-toto writes it: dirHash1, in hex (in-toto attestation, DigestSet)."""
    return {"dirHash1": base64.b64decode(h1.removeprefix("h1:")).hex()}


def subjects(files: Iterable[tuple[str, Digest]]) -> list[Subject]:
    """Names and digests -> subjects, sorted by name."""
    return [Subject(name=name, sha256=digest) for name, digest in sorted(files)]
