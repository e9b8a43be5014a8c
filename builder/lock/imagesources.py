"""What a lock pins of images that other tools make, and its text. Pure."""

import itertools
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from builder.recipe import words
from builder.recipe.kinds import Field, Items, Record, Text
from bundles.digest import Digest
from bundles.reference import Reference


@dataclass(frozen=True, kw_only=True, slots=True)
class LockedBase:
    """An image that a Containerfile names, and the manifest or index that it was when it was locked."""

    reference: str
    digest: Digest


@dataclass(frozen=True, kw_only=True, slots=True)
class LockedImageSource:
    """`image` is its key in images.yaml; `source` `archive:PATH` with the file's digest, or `engine:PATH` with that of
    the folder (builder.tree) and the `bases` it is built on.
    """

    image: str
    source: str
    digest: Digest
    bases: tuple[LockedBase, ...] = ()


_BASE: Final = Record(
    doc="A base image.",
    fields={
        "reference": Field(
            kind=Text(what="an image name", pattern=r"[A-Za-z0-9._:/@-]+", parse=Reference.parse),
            doc="As the Containerfile names it, whole.",
            required=True,
        ),
        "sha256": Field(kind=words.HEX, doc="Of its manifest or index.", required=True),
    },
)
RECORD: Final = Record(
    doc="An image that another tool makes.",
    fields={
        "image": Field(
            kind=Text(what="a name", pattern=r"[a-z0-9](?:[a-z0-9._-]{0,62})"), doc="Its key.", required=True
        ),
        "source": Field(
            kind=Text(what="a source", pattern=rf"(?:archive|engine):{words.BELOW}"),
            doc="Where from, beside the recipe.",
            required=True,
        ),
        "sha256": Field(kind=words.HEX, doc="Of the file or folder.", required=True),
        "bases": Field(kind=Items(of=_BASE, unique=False), doc="What it is built on."),
    },
)
FIELD: Final = Field(kind=Items(of=RECORD, unique=False), doc="Images that other tools make.")


def make(values: Mapping[str, Any]) -> LockedImageSource:
    """Plain values that fit the record -> the entry."""
    return LockedImageSource(
        image=values["image"],
        source=values["source"],
        digest=Digest(values["sha256"]),
        bases=tuple(
            LockedBase(reference=one["reference"], digest=Digest(one["sha256"])) for one in values.get("bases", ())
        ),
    )


def plain(entry: LockedImageSource) -> dict[str, Any]:
    """The inverse of `make`."""
    said: dict[str, Any] = {"image": entry.image, "source": entry.source, "sha256": entry.digest.hex}
    bases = [{"reference": one.reference, "sha256": one.digest.hex} for one in entry.bases]
    return said | ({"bases": bases} if bases else {})


def in_order(entries: Iterable[LockedImageSource]) -> list[LockedImageSource]:
    """In the order of the text."""
    return sorted(entries, key=lambda each: each.image)


def check_order(values: Sequence[Mapping[str, Any]], problem: Callable[[tuple[str, ...], str, str], None]) -> None:
    """Adds a problem for each entry that is out of order or there twice."""
    for number, (one, two) in enumerate(itertools.pairwise([each["image"] for each in values]), start=1):
        if two <= one:
            what = "stands twice" if two == one else "is out of order"
            problem(("image-sources", str(number)), f"{two} {what}", "run sealift lock again")
