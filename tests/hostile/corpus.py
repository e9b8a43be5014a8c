"""The whole corpus, one row for each attack."""

from tests.hostile import rows_builder, rows_bundles, rows_layers, rows_node, rows_outer, rows_packings, rows_sealed
from tests.hostile.corpus_model import Attack

ATTACKS: tuple[Attack, ...] = (
    *rows_layers.ATTACKS,
    *rows_outer.ATTACKS,
    *rows_packings.ATTACKS,
    *rows_sealed.ATTACKS,
    *rows_bundles.ATTACKS,
    *rows_builder.ATTACKS,
    *rows_node.ATTACKS,
)
