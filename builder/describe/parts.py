"""Parts of a bill, each made from the facts about one thing. Pure."""

import re
from collections.abc import Mapping
from typing import Any, Final

from builder.describe import purl
from builder.describe.model import Kind, Part
from builder.recipe.model import Fips, GoComponent, Recipe
from bundles.digest import Digest

STDLIB_LICENCE: Final = "BSD-3-Clause"
_DEBIAN_VERSION = re.compile(r"(?:\d+:)?\d[A-Za-z0-9.+~-]*")


def module(path: str, version: str, *, h1: str = "", replaces: str = "", licence: str = "") -> Part:
    """A Go module as a program carries it; one that was replaced by a folder has the folder's path and no version."""
    local = path.startswith((".", "/"))
    if replaces.partition("@")[0] == path:
        replaces = ""  # go.mod chose another version of the same module: nothing foreign came in
    if local and replaces:
        path, _, version = replaces.partition("@")
        replaces = f"{replaces} (by a folder)"
    notes = [("go:h1", h1), ("go:replaces", replaces)]
    shown = "" if version == "(devel)" else version
    return Part(
        key=f"go:{path}@{version}" + (f" for {replaces}" if replaces else ""),
        kind=Kind.MODULE,
        name=path,
        version=shown,
        purl=purl.golang(path, shown),
        licence=licence,
        notes=tuple((name, value) for name, value in notes if value),
    )


def standard_library(go: str) -> Part:
    """Go's own packages; `go` as a program says it (`go1.26.8`, with words after it for experiments)."""
    version = go.partition(" ")[0].partition("-")[0].removeprefix("go")
    return Part(
        key=f"go:stdlib@{version}",
        kind=Kind.MODULE,
        name="stdlib",
        version=version,
        purl=purl.golang("stdlib", version),
        licence=STDLIB_LICENCE,
    )


def package(name: str, facts: Mapping[str, str], suite: str) -> Part:
    """A Debian binary package, of which files lie in an image."""
    version = facts["version"]
    return Part(
        key=f"deb:{name}={version}",
        kind=Kind.PACKAGE,
        name=name,
        version=version,
        purl=purl.debian(name, version, architecture=facts["architecture"], suite=suite),
        licence=facts["licence"],
        notes=(("deb:source", f"{facts['source']}={facts['source_version']}"),),
    )


def host_package(name: str, version: str, architecture: str) -> Part:
    """A package of the machine that built, by the version that decided a step's content id."""
    name = name.partition(":")[0]  # `libc6-dev:arm64`
    plain, _, rest = version.partition("; ")
    debian = _DEBIAN_VERSION.fullmatch(plain) is not None and (bool(rest) or " " not in version)
    return Part(
        key=f"tool:{name}",
        kind=Kind.TOOL,
        name=name,
        version=plain if debian else version,
        purl=purl.debian(name, plain, architecture=architecture) if debian else purl.generic(name, plain),
        notes=(("tool:says", rest),) if debian and rest else (),
    )


def source(locked: str, version: str, licence: str) -> Part:
    """What C programs were compiled from: `deb-source:SUITE/NAME=VERSION`, or a folder of the recipe."""
    kind, _, rest = locked.partition(":")
    if kind == "deb-source":
        suite, _, word = rest.rpartition("/")
        name, _, version = word.partition("=")
        url = purl.debian(name, version, architecture="source", suite=suite)
    else:
        name, url = rest, ""
    return Part(key=f"source:{locked}", kind=Kind.SOURCE, name=name, version=version, purl=url, licence=licence)


def chart(name: str, version: str, archive: Digest, licence: str) -> Part:
    """A chart by its packaged archive."""
    return Part(
        key=f"chart:{name}",
        kind=Kind.CHART,
        name=name,
        version=version,
        purl=purl.generic(name, version, archive),
        licence=licence,
        sha256=archive,
    )


def crypto_notes(component: GoComponent, recipe: Recipe, found: str) -> tuple[tuple[str, str], ...]:
    """What crypto a Go program was found to have, and why not the bundle's; nothing in a bundle that says nothing."""
    if recipe.fips is Fips.OFF and component.fips is None:
        return ()
    because = (("go:crypto-because", component.fips_reason),) if component.fips_reason else ()
    return (("go:crypto", found), *because)


def placed(
    kind: Kind, component: str, name: str, *, version: str, licence: str, digest: Digest, paths: Any,
    more: tuple[tuple[str, str], ...] = (),
) -> Part:  # fmt: skip
    """A file in images: a program, or one that is taken as it is; `paths` are all places where it lies."""
    return Part(
        key=f"{kind}:{component}/{name}",
        kind=kind,
        name=name.rpartition("/")[2],
        version=version,
        licence=licence,
        sha256=digest,
        notes=(("component", component), *(("path", path) for path in sorted(paths)), *more),
    )
