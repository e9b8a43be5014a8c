"""Whether what is locked of published files and charts is still what the recipe asks for."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

from builder.lock.model import LockedChart, LockedInput
from builder.recipe.fetched import PublishedChart, UrlComponent, Witness
from builder.recipe.model import CompileComponent, Recipe
from builder.recipe.places import beside
from bundles.errors import SealiftError

if TYPE_CHECKING:
    from bundles.signing.keys import PublicKey


def witnessed(recipe: Recipe, component: UrlComponent | CompileComponent, locked: LockedInput) -> Iterator[str]:
    """What a locked file is not that the recipe wants, in words; reads the key beside the recipe."""
    witness = component.witness
    try:
        key = key_beside(recipe, witness)
    except SealiftError as exc:
        yield f"component {component.name}: {exc.message}: {witness.key}"
        return
    if found := disagreement(locked, witness, key):
        yield f"component {component.name}: {found}"


def key_beside(recipe: Recipe, witness: Witness) -> "PublicKey | None":
    """The key of a witness, read beside the recipe; None where it has none."""
    if witness.key is None:
        return None
    from builder.sources.witness import read_key  # it fetches and checks signatures: most recipes need neither

    return read_key(beside(recipe, witness.key))


def disagreement(locked: LockedInput, witness: Witness, key: "PublicKey | None") -> str:
    """What a locked file is not that its witness wants, in words; "" for nothing. Pure."""
    if witness.sha256 is not None and witness.sha256 != locked.files[0].digest:
        return f"locked {locked.files[0].digest}, the recipe says {witness.sha256}"
    if locked.signed == (key.id if key is not None else None):
        return ""
    return "locked without a signature of this key" if key is not None else "locked with a signature, now without a key"


def is_same(chart: PublishedChart, locked: LockedChart) -> bool:
    """Whether the lock's entry of a published chart is what the recipe asks for. Pure."""
    same = locked.source == chart.source and chart.version in ("", locked.version)
    return same and chart.sha256 in (None, locked.digest)
