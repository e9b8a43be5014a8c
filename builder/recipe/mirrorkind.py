"""The keys of images that are mirrored from a registry, and what they become."""

import re
from collections.abc import Callable, Mapping
from typing import Any, Final

from builder.recipe.kinds import Field, Flag, Record, Text
from builder.recipe.taken import MirrorImage
from bundles.errors import FormatError
from bundles.reference import Reference

Values = Mapping[str, Any]
Problem = Callable[[tuple[str, ...], str, str], None]
KEY: Final = "mirror"
_WORD: Final = re.compile(r"\$version(?![A-Za-z0-9_])")
_REFERENCE: Final = r"[A-Za-z0-9._:/$@-]+"

MIRROR_RECORD = Record(
    doc="An image from a registry, taken over as it is: manifest, configuration and layers keep every byte, and so "
    "their digests. `sealift lock` asks the registry which image a tag is today, and the lock pins that one.",
    fields={
        "mirror": Field(
            kind=Text(
                what="an image name with a tag or digest", pattern=_REFERENCE, example="rancher/mirrored-pause:3.10.1"
            ),
            doc="What is asked for: `[registry/]repository:tag`, `repository@sha256:...`, or both; then the tag must "
            "be that digest when it is locked. `$version` is the bundle's version.",
            required=True,
        ),
        "name": Field(
            kind=Text(what="an image name with a tag", pattern=_REFERENCE, example="rancher/mirrored-pause:3.10.1"),
            default="the mirrored one's",
            doc="Its name in the bundle, where that is another one; needed where `mirror` says a digest alone.",
        ),
        "keep-index": Field(
            kind=Flag(),
            default="true where something pins the index's digest",
            doc="true: the archive's index.json points at the original index of a multi-platform image, whose other "
            "platforms are absent; so whoever asks for the image by the index's digest finds it.",
        ),
    },
)


def make_mirror(name: str, values: Values, version: str) -> MirrorImage:
    """One `mirror` entry of images.yaml -> the image; `version` is the bundle's."""
    source = Reference.parse(with_version(values[KEY], version))
    named = Reference.parse(with_version(values["name"], version)) if "name" in values else without_digest(source)
    return MirrorImage(name=name, source=source, reference=named, keep_index=values.get("keep-index"))


def check(name: str, values: Values, problem: Problem) -> Reference | None:
    """Adds what is wrong with a `mirror` entry; returns the name it has in the bundle when that can be told."""
    source = _reference((name, KEY), values.get(KEY), problem)
    if source is None:
        return None
    if "name" not in values:
        if source.tag is None:
            problem((name, KEY), "a digest alone is no name in a bundle", "add `name: repository:tag`")
            return None
        return without_digest(source)
    named = _reference((name, "name"), values["name"], problem)
    if named is None or (named.tag is not None and named.digest is None):
        return named
    problem((name, "name"), "want a name with a tag and without a digest", "the digest is said by `mirror`")
    return None


def without_digest(reference: Reference) -> Reference:
    """The same name by its tag alone; the reference has one."""
    return Reference.parse(reference.original.partition("@")[0])


def with_version(text: str, version: str) -> str:
    """The text with `$version` put in."""
    return _WORD.sub(lambda _: version, text)


def _reference(path: tuple[str, ...], text: Any, problem: Problem) -> Reference | None:
    if not text:
        return None
    try:
        return Reference.parse(with_version(str(text), "v0"))
    except FormatError as exc:
        problem(path, exc.message, f"want {exc.want}")
        return None
