"""The values of a recipe, after parsing: valid by construction, `$version` substituted, defaults filled in.

A recipe is a folder: bundle.yaml (what a site gets), components.yaml (where every file comes from), images.yaml
(files into images), charts.yaml (HelmChart manifests). Names are map keys. `x-sealift` comments in field docs feed
the generated reference.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path, PurePosixPath

from builder.recipe.elsewhere import ArchiveImage, EngineImage
from builder.recipe.fetched import NO_WITNESS, ImageFilesComponent, PublishedChart, UrlComponent, Witness
from builder.recipe.offers import RecipeChoice
from builder.recipe.taken import MirrorImage
from bundles.platform import Platform
from bundles.reference import Reference

DEFAULT_LEVEL = 9
CHARTS = "charts"  # the component name that stands for all packaged charts in an image's layers


class Flavour(StrEnum):
    """Which containerd line a bundle carries (bundle-format 1)."""

    CLASSIC = "classic"
    MODERN = "modern"


class Fips(StrEnum):
    """The crypto of every Go component."""

    BORINGCRYPTO = "boringcrypto"
    GO_NATIVE = "go-native"
    OFF = "off"


@dataclass(frozen=True, kw_only=True, slots=True)
class GoComponent:
    """Programs of one Go module, compiled here, static.

    `module` and `version` for `go: MODULE@VERSION`; `folder` for `go: ./src/x`, a module beside the recipe.
    `packages` maps program name -> package path below the module ("" = the module's root). `fips` and why, where it
    is not the recipe's.
    """

    name: str
    module: str | None
    version: str
    folder: PurePosixPath | None
    packages: Mapping[str, str]
    stamps: Mapping[str, str] = field(default_factory=dict)
    tags: tuple[str, ...] = ()
    cgo: bool = False
    needs: tuple[str, ...] = ()
    sumdb: bool = True
    unverified: tuple[str, ...] = ()
    replace: Mapping[str, str] = field(default_factory=dict)
    static: bool = True
    fips: Fips | None = None
    fips_reason: str = ""

    @property
    def outputs(self) -> tuple[str, ...]:
        """The files it makes, by name."""
        return tuple(self.packages)


@dataclass(frozen=True, kw_only=True, slots=True)
class CompileComponent:
    """C sources and a short list of commands. `source`: `deb-source:NAME=VERSION`, `go-source:MODULE@VERSION`,
    `url:https://...`, `./dir`.

    `output` maps file name -> path below the source folder.
    """

    name: str
    source: str
    version: str
    run: tuple[str, ...]
    output: Mapping[str, PurePosixPath]
    needs: tuple[str, ...] = ()
    static: bool = True
    witness: Witness = NO_WITNESS

    @property
    def outputs(self) -> tuple[str, ...]:
        """The files it makes, by name."""
        return tuple(self.output)


@dataclass(frozen=True, kw_only=True, slots=True)
class DebComponent:
    """Files of one Debian binary package: `deb: NAME=VERSION`. `files` maps file name -> path in the package."""

    name: str
    package: str
    version: str
    files: Mapping[str, PurePosixPath]
    static: bool = False

    @property
    def outputs(self) -> tuple[str, ...]:
        """The files it takes, by name."""
        return tuple(self.files)


@dataclass(frozen=True, kw_only=True, slots=True)
class UserlandComponent:
    """Files of Debian binary packages at their own paths, with the shared libraries that they need.

    `packages` are `NAME=VERSION`; the lock adds those of libraries. `files` are paths: the last part may hold `*`, one
    that ends with `/` is an empty folder. `links` maps a path to names beside it, or absolute paths, that lead there.
    """

    name: str
    packages: tuple[str, ...]
    files: tuple[str, ...]
    links: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    @property
    def outputs(self) -> tuple[str, ...]:
        """The paths it names; what comes with them is known when it is built."""
        return self.files


@dataclass(frozen=True, kw_only=True, slots=True)
class FileComponent:
    """A file beside the recipe; `mode` is octal, 0o644 or 0o755."""

    name: str
    path: PurePosixPath
    version: str = ""
    mode: int = 0o644

    @property
    def outputs(self) -> tuple[str, ...]:
        """Its one file."""
        return (self.path.name,)


Component = (
    GoComponent
    | CompileComponent
    | DebComponent
    | UserlandComponent
    | FileComponent
    | UrlComponent
    | ImageFilesComponent
)


@dataclass(frozen=True, kw_only=True, slots=True)
class Placement:
    """`what: where` of a layer: a component (all its outputs), one output of it, or the charts, into a folder."""

    component: str
    output: str | None
    folder: PurePosixPath


@dataclass(frozen=True, kw_only=True, slots=True)
class AssembleImage:
    """Layers of components over `scratch`. For the runtime image `reference` carries the bundle's tag."""

    name: str
    reference: Reference
    layers: tuple[tuple[Placement, ...], ...]
    user: str = ""
    entrypoint: tuple[str, ...] = ()
    command: tuple[str, ...] = ()
    environment: Mapping[str, str] = field(default_factory=dict)
    workdir: str = ""
    labels: Mapping[str, str] = field(default_factory=dict)


Image = AssembleImage | MirrorImage | ArchiveImage | EngineImage


@dataclass(frozen=True, kw_only=True, slots=True)
class FolderChart:
    """A chart's source folder beside the recipe; its HelmChart manifest is named `rke2-<name>`."""

    name: str
    folder: PurePosixPath
    bootstrap: bool = False
    take_ownership: bool = False
    discover: tuple[Mapping[str, object], ...] = ()

    @property
    def manifest_name(self) -> str:
        """Name of the HelmChart object, and of its file without `.yaml`."""
        return f"rke2-{self.name}"


Chart = FolderChart | PublishedChart


@dataclass(frozen=True, kw_only=True, slots=True)
class Recipe:
    """A whole recipe; `folder` is where it was read from, all other paths are relative to it.

    `helm` is the component that renders the charts, `asks` says who beside them asks for which images (by key).
    `base` is the folder of the recipe that it derives from: what is not beside the recipe is there.
    """

    folder: Path
    name: str
    version: str
    flavour: Flavour
    sequence: int
    platforms: tuple[Platform, ...]
    components: Mapping[str, Component]
    images: Mapping[str, Image]
    charts: Mapping[str, Chart]
    archives: Mapping[str, tuple[str, ...]]
    runtime: str
    go: str | None = None
    fips: Fips = Fips.OFF
    buildroot: str | None = None
    budget: int | None = None
    expires_days: int | None = None
    level: int = DEFAULT_LEVEL
    helm: str | None = None
    asks: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    choices: tuple[RecipeChoice, ...] = ()
    base: Path | None = None

    @property
    def tag(self) -> str:
        """The runtime image's tag: the version, and `-classic` where a stock RKE2 must never pick it up."""
        return self.version if self.flavour is Flavour.MODERN else f"{self.version}-{self.flavour}"
