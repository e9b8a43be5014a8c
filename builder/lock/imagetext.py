"""The images of a lock <-> their text: one line for each blob, sorted by the images' names. Pure."""

import itertools
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Final

from builder.lock.images import LockedBlob, LockedEvidence, LockedImage
from builder.recipe.kinds import Field, Items, Number, Record, Text
from bundles import oci, ustar
from bundles.digest import Digest
from bundles.errors import FormatError
from bundles.platform import Platform
from bundles.reference import Reference

MIRROR: Final = "mirror:"
_NAME: Final = Text(what="an image's name in the recipe", pattern=r"[a-z0-9](?:[a-z0-9._-]{0,62})")
_SIZE: Final = Number(most=ustar.MAX_SIZE)
_HEX: Final = Text(what="64 lower-case hex digits", pattern=r"[0-9a-f]{64}")
_DOCUMENTS: Final = "|".join((oci.MANIFEST, oci.DOCKER_MANIFEST, oci.INDEX, oci.DOCKER_INDEX))


def _mirrored(text: str) -> None:
    """The one spelling that the lock uses: the whole name, with its registry."""
    if not text.startswith(MIRROR) or Reference.parse(text.removeprefix(MIRROR)).name != text.removeprefix(MIRROR):
        raise FormatError("not the whole name of an image", got=ascii(text[:300]), want=f"{MIRROR}REGISTRY/NAME:TAG")


SOURCE: Final = Text(what="a source", parse=_mirrored, example="mirror:docker.io/rancher/mirrored-pause:3.10.1")
_BLOB: Final = Record(
    doc="A blob.",
    fields={
        "size": Field(kind=_SIZE, doc="Bytes.", required=True),
        "sha256": Field(kind=_HEX, doc="Its digest.", required=True),
    },
)
_DOCUMENT: Final = Record(
    doc="A manifest or an index.",
    fields={
        "type": Field(
            kind=Text(what="a media type", pattern=_DOCUMENTS.replace(".", r"\.").replace("+", r"\+")),
            doc="Its media type.",
            required=True,
        ),
        **_BLOB.fields,
    },
)
_EVIDENCE: Final = Record(
    doc="A signature, attestation or SBOM beside the image.",
    fields={
        "subject": Field(kind=_HEX, doc="The manifest or index that it is about.", required=True),
        "tag": Field(kind=Text(what="a tag", pattern=r"sha256-[0-9a-f]{64}\.[a-z]{3,4}"), doc="Where it lies."),
        "manifest": Field(kind=_DOCUMENT, doc="Its manifest.", required=True),
        "blobs": Field(kind=Items(of=_BLOB, unique=False), doc="What its manifest names.", required=True),
    },
)
IMAGE_RECORD: Final = Record(
    doc="What one image that is taken over is made of.",
    fields={
        "image": Field(kind=_NAME, doc="Its key in images.yaml.", required=True),
        "source": Field(kind=SOURCE, doc="Where from.", required=True),
        "platform": Field(
            kind=Text(what="a platform", parse=Platform.parse), doc="Which of its platforms.", required=True
        ),
        "index": Field(kind=_DOCUMENT, doc="The index that the source names, where it names one."),
        "manifest": Field(kind=_DOCUMENT, doc="The platform's manifest.", required=True),
        "config": Field(kind=_BLOB, doc="The image's configuration.", required=True),
        "layers": Field(kind=Items(of=_BLOB, unique=False), doc="The layers, lowest first.", required=True),
        "signatures": Field(kind=Items(of=_EVIDENCE, unique=False), doc="What is carried along with it."),
    },
)
IMAGES_FIELD: Final = Field(kind=Items(of=IMAGE_RECORD, unique=False), doc="Images that are taken over.")


def make_image(values: Mapping[str, Any]) -> LockedImage:
    """Plain values that fit the record -> the image."""
    return LockedImage(
        image=values["image"],
        source=values["source"],
        platform=values["platform"],
        index=_blob(values["index"]) if "index" in values else None,
        manifest=_blob(values["manifest"]),
        config=_blob(values["config"]),
        layers=tuple(map(_blob, values["layers"])),
        evidence=tuple(map(evidence_of, values.get("signatures", ()))),
    )


def image_values(image: LockedImage) -> dict[str, Any]:
    """The inverse of `make_image`, in the order of the text."""
    values: dict[str, Any] = {"image": image.image, "source": image.source, "platform": image.platform}
    values |= {"index": _plain(image.index)} if image.index else {}
    values |= {"manifest": _plain(image.manifest), "config": _plain(image.config)}
    values |= {"layers": [_plain(layer) for layer in image.layers]}
    return values | ({"signatures": list(map(evidence_plain, image.evidence))} if image.evidence else {})


def sorted_images(images: Iterable[LockedImage]) -> list[LockedImage]:
    """In the order of the text."""
    return sorted(images, key=lambda each: (each.image, each.platform))


def check_order(values: Sequence[Mapping[str, Any]], problem: Callable[[tuple[str, ...], str, str], None]) -> None:
    """Adds a problem for each image that is out of order or there twice."""
    for number, (one, two) in enumerate(itertools.pairwise(map(_order, values)), start=1):
        if two <= one:
            what = "stands twice" if two == one else "is out of order"
            problem(("images", str(number)), f"{two[0]} {what}", "run sealift lock again")


def _order(values: Mapping[str, Any]) -> tuple[str, str]:
    return values["image"], values["platform"]


def _blob(values: Mapping[str, Any]) -> LockedBlob:
    return LockedBlob(size=values["size"], digest=Digest(values["sha256"]), type=values.get("type", ""))


def evidence_of(values: Mapping[str, Any]) -> LockedEvidence:
    """Plain values that fit the record -> what lies beside an image."""
    return LockedEvidence(
        subject=Digest(values["subject"]),
        tag=values.get("tag", ""),
        manifest=_blob(values["manifest"]),
        blobs=tuple(map(_blob, values["blobs"])),
    )


def evidence_plain(one: LockedEvidence) -> dict[str, Any]:
    """The inverse of `evidence_of`."""
    values: dict[str, Any] = {"subject": one.subject.hex} | ({"tag": one.tag} if one.tag else {})
    return values | {"manifest": _plain(one.manifest), "blobs": [_plain(blob) for blob in one.blobs]}


def _plain(blob: LockedBlob) -> dict[str, Any]:
    said: dict[str, Any] = {"type": blob.type} if blob.type else {}
    return said | {"size": blob.size, "sha256": blob.digest.hex}
