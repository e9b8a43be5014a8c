"""What a recipe says of what is fetched as somebody publishes it: files of URLs and of container images, charts."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import Final

from bundles.digest import Digest
from bundles.reference import Reference


@dataclass(frozen=True, kw_only=True, slots=True)
class Witness:
    """Who else says what a file from a URL must be, beside the lock.

    `sha256` as the recipe's author knows it. `key` is a public key beside the recipe (PEM), `signature` the URL of a
    signature of the file, or of `sums` (the URL of a list of sha256) where there is one.
    """

    sha256: Digest | None = None
    key: PurePosixPath | None = None
    signature: str = ""
    sums: str = ""


NO_WITNESS: Final = Witness()


@dataclass(frozen=True, kw_only=True, slots=True)
class UrlComponent:
    """A file from a URL, kept as `kept`; or `files` of the archive that it is: file name -> path in the archive.

    `mode` (octal) is that of the file; those of an archive keep whether they are executable.
    """

    name: str
    url: str
    version: str = ""
    kept: str
    files: Mapping[str, PurePosixPath] = field(default_factory=dict)
    mode: int = 0o644
    static: bool = True
    plain: bool = False
    witness: Witness = NO_WITNESS

    @property
    def outputs(self) -> tuple[str, ...]:
        """The files it makes, by name."""
        return tuple(self.files) or (self.kept,)


@dataclass(frozen=True, kw_only=True, slots=True)
class ImageFilesComponent:
    """Files out of a published container image: file name -> path in the image."""

    name: str
    reference: Reference
    files: Mapping[str, PurePosixPath]
    static: bool = True

    @property
    def version(self) -> str:
        """The tag."""
        return self.reference.tag or ""

    @property
    def outputs(self) -> tuple[str, ...]:
        """The files it makes, by name."""
        return tuple(self.files)


@dataclass(frozen=True, kw_only=True, slots=True)
class PublishedChart:
    """A chart as somebody packaged it; its HelmChart manifest is named `rke2-<name>`, its bytes stay what they are.

    `kind` is `tgz` (`place`: its URL), `repo` (the repository's URL; `chart` and `version` in it) or `oci` (a
    reference).
    """

    name: str
    kind: str
    place: str
    chart: str = ""
    version: str = ""
    sha256: Digest | None = None
    plain: bool = False
    bootstrap: bool = False
    take_ownership: bool = False
    discover: tuple[Mapping[str, object], ...] = ()

    @property
    def manifest_name(self) -> str:
        """Name of the HelmChart object, and of its file without `.yaml`."""
        return f"rke2-{self.name}"

    @property
    def source(self) -> str:
        """Where from, in the lock's words."""
        return f"repo:{self.place}#{self.chart}" if self.kind == "repo" else f"{self.kind}:{self.place}"


def last_part(url: str) -> str:
    """The file name of a URL: the last part of its path; "" for none."""
    path = url.partition("#")[0].partition("?")[0].partition("://")[2].partition("/")[2]
    return path.rpartition("/")[2]
