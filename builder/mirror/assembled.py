"""A mirrored image as an archive's plan takes it. Pure."""

from collections.abc import Mapping, Sequence

from builder.askers import Asker
from builder.assemble import BuiltImage
from builder.mirror.built import config_of, digest_of, keeps_index, node_names, stored_layers
from builder.recipe.taken import MirrorImage
from builder.steps.image import MANIFEST
from builder.steps.mirror import INDEX


def taken_image(
    image: MirrorImage, documents: Mapping[str, str], everybody: Mapping[str, Sequence[Asker]]
) -> BuiltImage:
    """Image, its step's documents, and who asks for which name -> the image, every byte as it was published."""
    kept = keeps_index(image, documents, everybody.keys())
    asked = [one.name for name in node_names(image, documents, kept=kept) for one in everybody.get(name, ())]
    return BuiltImage(
        reference=image.reference,
        manifest=documents[MANIFEST].encode(),
        config=config_of(documents),
        layers=stored_layers(documents, image.source.name),
        why=", ".join(dict.fromkeys(asked)) or "recipe",
        index=documents[INDEX].encode() if kept else None,
        index_digest=digest_of(documents, INDEX) if INDEX in documents else None,
    )
