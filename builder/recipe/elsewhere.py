"""What a recipe says of images that other tools made: in an archive, or by a container engine."""

from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import ClassVar

from bundles.reference import Reference


@dataclass(frozen=True, kw_only=True, slots=True)
class ArchiveImage:
    """An image of a docker-archive or OCI archive: a file beside the recipe, or the one file of a component.

    `source` is its name there, None for the only image of the platform; `reference` its name in the bundle.
    """

    name: str
    reference: Reference
    file: PurePosixPath | None = None
    component: str = ""
    source: Reference | None = None
    layers: ClassVar[tuple[()]] = ()  # nothing is put into it


@dataclass(frozen=True, kw_only=True, slots=True)
class EngineImage:
    """An image that docker or podman builds of a folder beside the recipe; its bytes are new every time.

    `containerfile` is relative to the folder, `target` a stage of it, `arguments` its ARGs; `network` says whether its
    commands may reach one.
    """

    name: str
    reference: Reference
    folder: PurePosixPath
    containerfile: PurePosixPath
    target: str = ""
    arguments: tuple[tuple[str, str], ...] = field(default=())
    network: bool = False
    layers: ClassVar[tuple[()]] = ()
