"""The whole corpus, one row for each attack."""

from tests.hostile import (
    rows_documents,
    rows_folders,
    rows_index,
    rows_layers,
    rows_locks,
    rows_node,
    rows_outer,
    rows_packages,
    rows_packings,
    rows_published,
    rows_recipes,
    rows_sealed,
    rows_sealed_layers,
    rows_sources,
)
from tests.hostile.corpus_model import Attack

ATTACKS: tuple[Attack, ...] = (
    *rows_layers.ATTACKS,
    *rows_outer.ATTACKS,
    *rows_documents.ATTACKS,
    *rows_packings.ATTACKS,
    *rows_sealed.ATTACKS,
    *rows_sealed_layers.ATTACKS,
    *rows_index.ATTACKS,
    *rows_folders.ATTACKS,
    *rows_recipes.ATTACKS,
    *rows_locks.ATTACKS,
    *rows_sources.ATTACKS,
    *rows_packages.ATTACKS,
    *rows_published.ATTACKS,
    *rows_node.ATTACKS,
)
