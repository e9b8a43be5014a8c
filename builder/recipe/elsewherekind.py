"""The keys of images that other tools made, and what they become."""

from collections.abc import Callable, Mapping
from pathlib import PurePosixPath
from typing import Any, Final

from builder.recipe import words
from builder.recipe.elsewhere import ArchiveImage, EngineImage
from builder.recipe.kinds import Field, Flag, Record, Table, Text
from builder.recipe.urlkind import with_version
from bundles.errors import FormatError
from bundles.reference import Reference

Values = Mapping[str, Any]
Problem = Callable[[tuple[str, ...], str, str], None]
ARCHIVE: Final = "archive"
ENGINE: Final = "engine"
KINDS: Final = (ARCHIVE, ENGINE)
CONTAINERFILES: Final = ("Containerfile", "Dockerfile")
_REFERENCE: Final = Text(
    what="an image name with a tag", pattern=r"[A-Za-z0-9._:/$@-]+", example="rancher/mirrored-pause:3.10.1"
)
_NAME: Final = r"[a-z0-9](?:[a-z0-9._-]{0,62})"

ARCHIVE_RECORD = Record(
    doc="An image out of an archive that docker, podman, skopeo, crane or another bundler wrote. Manifest, "
    "configuration and layers keep their bytes where the archive has an OCI manifest; for `docker save` of old a "
    "manifest is made here, the same every time, and its layers are compressed.",
    fields={
        ARCHIVE: Field(
            kind=Text(
                what="./file, or the name of a component", pattern=rf"{words.LOCAL}|{_NAME}", example="./images/app.tar"
            ),
            doc="The archive: a file beside the recipe, or a component that is one file (`url`). `.tar`, also `.gz`, "
            "`.zst`, `.bz2`.",
            required=True,
        ),
        "image": Field(kind=_REFERENCE, default="its only image", doc="Which of its images."),
        "name": Field(
            kind=_REFERENCE, default="what `image` says", doc="Its name in the bundle; needed where `image` says none."
        ),
    },
)
ENGINE_RECORD = Record(
    doc="An image that docker or podman builds of a Containerfile. Its commands have no network unless `network` "
    "says so, its base images are pinned by the lock; still the same folder gives other bytes each time, and the "
    "bundle's provenance says so. For what cannot be had in another way. Needs `sealift[engine]`.",
    fields={
        ENGINE: Field(
            kind=Text(what="./folder", pattern=words.LOCAL, example="./images/app"),
            doc="The folder with its Containerfile or Dockerfile; it is the build's context.",
            required=True,
        ),
        "name": Field(kind=_REFERENCE, doc="Its name in the bundle.", required=True),
        "containerfile": Field(
            kind=Text(what="a path below the folder", pattern=words.BELOW, example="Containerfile"),
            default="Containerfile",
            doc="Which file says how.",
        ),
        "target": Field(kind=Text(what="a stage's name", pattern=r"[a-z0-9][a-z0-9._-]{0,62}"), doc="The stage."),
        "arguments": Field(
            kind=Table(
                key=Text(what="an ARG's name", pattern=r"[A-Za-z_][A-Za-z0-9_]*", example="VERSION"),
                value=Text(what="a text"),
            ),
            doc="Values of ARGs.",
        ),
        "network": Field(kind=Flag(), default="false", doc="Whether its commands may reach a network."),
    },
)


def make(name: str, values: Values, version: str) -> ArchiveImage | EngineImage:
    """One entry of images.yaml -> the image; `version` is the bundle's."""
    if ENGINE in values:
        return EngineImage(
            name=name,
            reference=Reference.parse(with_version(values["name"], version)),
            folder=PurePosixPath(values[ENGINE]),
            containerfile=PurePosixPath(values.get("containerfile", CONTAINERFILES[0])),
            target=values.get("target", ""),
            arguments=tuple(sorted((key, with_version(text, version)) for key, text in _arguments(values))),
            network=values.get("network", False),
        )
    local = values[ARCHIVE].startswith("./")
    source = Reference.parse(with_version(values["image"], version)) if "image" in values else None
    return ArchiveImage(
        name=name,
        reference=Reference.parse(with_version(values["name"], version)) if "name" in values else _own(source),
        file=PurePosixPath(values[ARCHIVE]) if local else None,
        component="" if local else values[ARCHIVE],
        source=source,
    )


def _own(source: Reference | None) -> Reference:
    assert source is not None, "check saw that one of both is there"
    return source


def _arguments(values: Values) -> list[tuple[str, str]]:
    return list(values.get("arguments", {}).items())


def check(name: str, values: Values, components: Mapping[str, list[str]], problem: Problem) -> Reference | None:
    """Adds what is wrong with an entry; `components` are the outputs of each. Returns its name when it has one."""
    if (archive := values.get(ARCHIVE)) and not archive.startswith("./"):
        if archive not in components:
            problem((name, ARCHIVE), f"no component {archive}", "write ./path for a file beside the recipe")
        elif len(components[archive]) > 1:
            problem((name, ARCHIVE), f"{archive} is more than one file", "an archive is one file")
    if ARCHIVE in values and "image" not in values and "name" not in values:
        problem((name, ARCHIVE), "nothing says what the image is called", "add `image: NAME` or `name: NAME`")
        return None
    found = {key: _reference((name, key), values.get(key), problem) for key in ("image", "name")}
    own = found["name"] or found["image"]
    if own is not None and (own.tag is None or own.digest is not None):
        problem((name, "name"), "want a name with a tag and without a digest", "add `name: repository:tag`")
        return None
    return own


def _reference(path: tuple[str, ...], text: Any, problem: Problem) -> Reference | None:
    if not text:
        return None
    try:
        return Reference.parse(with_version(str(text), "v0"))
    except FormatError as exc:
        problem(path, exc.message, f"want {exc.want}")
        return None
