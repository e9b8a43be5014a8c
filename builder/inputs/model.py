"""What an input archive holds, as values: files, the inputs they stand for, the releases that need them. Pure.

    inputs.json         the index: canonical JSON, written after all that it names
    SHA256SUMS          the same files for `sha256sum -c`
    README.txt          for whoever finds this without Sealift
    go/                 Go modules and toolchains as a module proxy serves them: GOPROXY=file:///.../go
    debian/             Debian packages and source packages, a folder for each version
    blobs/sha256/       everything else, by digest
    recipes/            each release's recipe with its lock, a tar

A path follows from what lies there: an index cannot lead anywhere else.
"""

from dataclasses import dataclass, field
from typing import Final

from builder.sources.gomod import Module
from bundles.digest import Digest

FORMAT: Final = 1
INDEX: Final = "inputs.json"
SUMS: Final = "SHA256SUMS"
README: Final = "README.txt"
PROXY: Final = "go"
GO: Final = "go:"  # go:PATH@VERSION, a module's content
GO_MOD: Final = "go-mod:"  # its go.mod alone, which the module graph needs
PACKAGES: Final = ("deb:", "deb-source:")
_SHORT: Final = 12  # hex digits that keep two packages apart that have one name


@dataclass(frozen=True, kw_only=True, slots=True, order=True)
class InputFile:
    """A file of the archive: `path` relative to it, `size` in bytes."""

    path: str
    size: int
    digest: Digest


@dataclass(frozen=True, kw_only=True, slots=True)
class Input:
    """One thing that a lock names, in the lock's words: `go:PATH@VERSION`, `deb:SUITE/NAME=VERSION`, ...
    What may have other content tomorrow has its first file's digest behind it: `url:ADDRESS@sha256:HEX`.

    `h1` is go's hash of a module or go.mod; everything else is what its files' digests say. `files` sorted by path.
    """

    source: str
    files: tuple[InputFile, ...]
    h1: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class Release:
    """A locked recipe: bundle `NAME@VERSION`, the digest of its lock, the tar of both, and what it needs (sources)."""

    bundle: str
    lock: Digest
    recipe: InputFile
    inputs: tuple[str, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class Index:
    """All of an archive: inputs by source, releases by lock."""

    inputs: dict[str, Input] = field(default_factory=dict)
    releases: dict[Digest, Release] = field(default_factory=dict)

    def files(self) -> dict[str, InputFile]:
        """Every file by path, the recipes' among them."""
        found = {file.path: file for each in self.inputs.values() for file in each.files}
        return found | {release.recipe.path: release.recipe for release in self.releases.values()}


def module_of(source: str) -> Module:
    """`go:PATH@VERSION` or `go-mod:PATH@VERSION` -> the module; raises FormatError."""
    return Module.parse(source.partition(":")[2])


def go_path(module: Module, ending: str) -> str:
    """Where a module proxy has `zip`, `info` or `mod` of a module (go.dev/ref/mod, "GOPROXY protocol")."""
    return f"{PROXY}/{module.escaped_zip.removesuffix('zip')}{ending}"


def info(module: Module) -> bytes:
    """What a proxy says of a version. Its time is left out: proxies differ in it, and no build reads it."""
    return b'{"Version":"%s"}\n' % module.version.encode()


def package_path(source: str, name: str, digests: tuple[Digest, ...]) -> str:
    """A file `name` of `deb[-source]:SUITE/NAME=VERSION`; `digests` of all its files, in the order of their names.

    A colon is no character for a file name everywhere: `%3a`, as apt writes it.
    """
    package = source.rpartition("/")[2].replace("=", "_")
    short = Digest.of("\n".join(map(str, digests)).encode()).hex[:_SHORT]
    return f"debian/{package}-{short}/{name}".replace(":", "%3a")


def blob_source(source: str, first: Digest) -> str:
    """What an archive calls a thing with blobs: a URL or tag has other content tomorrow, a package version has not."""
    return source if source.startswith(PACKAGES) else f"{source}@{first}"


def blob_path(digest: Digest) -> str:
    """Where everything else is."""
    return f"blobs/sha256/{digest.hex}"


def recipe_path(bundle: str, lock: Digest) -> str:
    """The tar of a recipe; a recipe that was locked twice under one version has two."""
    return f"recipes/{bundle.replace('@', '-')}-{lock.hex[:_SHORT]}.tar"
