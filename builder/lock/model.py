"""The values of a lock.

Sources name no package-registry host (`go:PATH@VERSION`, `deb:SUITE/NAME=VERSION`): the machine's own client
configuration says where from. Nothing here was guessed: h1 sums are Go's directory hashes (`h1:...`, as in go.sum),
sha256 of packages come from a Release-signed index.
"""

from dataclasses import dataclass

from builder.errors import RecipeError
from builder.lock.images import LockedImage
from builder.lock.imagesources import LockedImageSource
from bundles.digest import Digest

FORMAT = 1


@dataclass(frozen=True, kw_only=True, slots=True)
class LockedFile:
    """One file to fetch: name, size in bytes, digest."""

    name: str
    size: int
    digest: Digest


@dataclass(frozen=True, kw_only=True, slots=True)
class LockedSum:
    """The go.mod and go.sum beside the recipe that pin a component's modules.

    `folder` is relative to the recipe; `digest` covers go.mod, go.sum and tools.go there; `modules` counts the
    modules; `unverified` names those that the checksum database does not know (trust on first use).
    """

    folder: str
    digest: Digest
    modules: int
    unverified: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True, slots=True)
class LockedTool:
    """A toolchain: `go-toolchain:1.26.8` with its h1 and the zip's size in bytes."""

    source: str
    h1: str
    size: int


@dataclass(frozen=True, kw_only=True, slots=True)
class LockedInput:
    """What one component is made of; a userland has one for each of its packages.

    | source | pinned by |
    |---|---|
    | `go:MODULE@VERSION` | `h1`, `sum` |
    | `go-source:MODULE@VERSION` | `h1` |
    | `deb:SUITE/NAME=VERSION`, `deb-source:SUITE/NAME=VERSION` | `files` |
    | `url:https://...` | `files`; `signed` names the key whose signature was checked when it was locked |
    | `image:NAME#PLATFORM` | `files`: manifest, config, layers, lowest first |
    | `folder:PATH`, `file:PATH` | `digest` (a folder's: see builder.tree) |
    """

    component: str
    source: str
    h1: str | None = None
    digest: Digest | None = None
    files: tuple[LockedFile, ...] = ()
    sum: LockedSum | None = None
    license: str | None = None
    signed: Digest | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class LockedChart:
    """A chart by its source folder's digest, or that of the package somebody published; version of its Chart.yaml.

    `name` is its key in charts.yaml. Of a published one: `source` (`tgz:URL`, `repo:URL#CHART`, `oci:REFERENCE`), its
    `size` in bytes, and the `url` at which a repository has it.
    """

    name: str
    version: str
    digest: Digest
    source: str = ""
    url: str = ""
    size: int = 0


@dataclass(frozen=True, kw_only=True, slots=True)
class Lock:
    """A whole lock. `recipe` is the digest of the parsed recipe; `epoch` in seconds is the time of everything built.

    `buildroot` holds the packages that C is compiled in (builder.buildroot.model); empty for the host's compiler.
    """

    recipe: Digest
    bundle: str
    epoch: int
    tools: tuple[LockedTool, ...]
    buildroot: tuple[LockedInput, ...]
    inputs: tuple[LockedInput, ...]
    charts: tuple[LockedChart, ...]
    images: tuple[LockedImage, ...] = ()
    image_sources: tuple[LockedImageSource, ...] = ()

    def image_source(self, name: str) -> LockedImageSource | None:
        """What an image that another tool makes is made of, where it lies beside the recipe."""
        return next((each for each in self.image_sources if each.image == name), None)

    def image(self, name: str) -> LockedImage:
        """What an image that is taken over is made of; raises RecipeError when it is not in."""
        for each in self.images:
            if each.image == name:
                return each
        raise RecipeError("not in the lock", where=f"image {name}", hint="run sealift lock")

    def of(self, component: str) -> tuple[LockedInput, ...]:
        """What a component is made of: one entry, or one for each package of a userland; none when it is not in."""
        return tuple(each for each in self.inputs if each.component == component)
