"""A mirrored image's documents -> the image as archives take it, and the names under which a node has it. Pure."""

from collections.abc import Collection, Mapping

from builder.mirror.stored import StoredLayer
from builder.recipe.taken import MirrorImage
from builder.steps.image import CONFIG, MANIFEST
from builder.steps.mirror import INDEX
from bundles import jsontext, oci
from bundles.digest import Digest


def keeps_index(image: MirrorImage, documents: Mapping[str, str], asked: Collection[str]) -> bool:
    """Whether index.json points at the image's original index.

    So the recipe says, or something pins that index: the recipe by its digest, or who asks for it (`asked`: names).
    """
    if INDEX not in documents:
        return False
    if image.keep_index is not None:
        return image.keep_index
    index = digest_of(documents, INDEX)
    return image.source.digest == index or not {*_pinned(image, index)}.isdisjoint(asked)


def node_names(image: MirrorImage, documents: Mapping[str, str], *, kept: bool) -> tuple[str, ...]:
    """What a node finds it by: its name, and the digest that index.json points at."""
    return (image.reference.name, *_pinned(image, digest_of(documents, INDEX if kept else MANIFEST)))


def digest_of(documents: Mapping[str, str], name: str) -> Digest:
    """Of a document in a step's facts."""
    return Digest.of(documents[name].encode())


def stored_layers(documents: Mapping[str, str], where: str) -> tuple[StoredLayer, ...]:
    """The layers that the manifest names, lowest first."""
    manifest = jsontext.decode(documents[MANIFEST].encode(), oci.Manifest, where=where)
    return tuple(StoredLayer(digest=layer.digest, size=layer.size) for layer in manifest.layers)


def config_of(documents: Mapping[str, str]) -> bytes:
    """The config's bytes."""
    return documents[CONFIG].encode()


def _pinned(image: MirrorImage, digest: Digest) -> tuple[str, str]:
    reference = image.reference
    return f"{reference.name}@{digest}", f"{reference.domain}/{reference.repository}@{digest}"
