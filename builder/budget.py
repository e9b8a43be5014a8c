"""The recipe's budget: a bundle that outgrew it fails before it is written, and says what grew."""

from pathlib import Path

from builder.assemble import BundleSpec, plan_archives
from builder.store import Store
from bundles import jsontext
from bundles.errors import FormatError, SealiftError
from bundles.files import make_folders, write_atomic
from bundles.talk import human_bytes


def check_budget(spec: BundleSpec, budget: int | None, store: Store) -> None:
    """Raises SealiftError when the archives are larger than `budget` bytes; remembers the sizes of those that fit."""
    sizes = layer_sizes(spec)
    note = store.root / "sizes" / f"{spec.name}-{spec.flavour}-{spec.platform.dashed}.json"
    before = _read(note)
    if budget is not None and (total := sum(plan.layout.size for plan in plan_archives(spec))) > budget:
        raise SealiftError(
            "the bundle is larger than its budget",
            where=spec.folder_name,
            got=human_bytes(total),
            want=f"<= {human_bytes(budget)}",
            hint="raise `budget` in bundle.yaml if the growth is meant:\n" + growth_text(before, sizes),
        )
    if before != sizes:
        make_folders(note.parent)
        write_atomic(note, jsontext.encode_canonical(sizes))


def layer_sizes(spec: BundleSpec) -> dict[str, int]:
    """`reference layer N` without its tag -> compressed bytes. Pure."""
    return {
        f"{image.reference.repository} layer {number}": layer.size
        for images in spec.archives.values()
        for image in images
        for number, layer in enumerate(image.layers, 1)
    }


def growth_text(before: dict[str, int], after: dict[str, int]) -> str:
    """What grew, most first; with nothing to compare, what is there. Pure."""
    growth = {name: size - before.get(name, 0) for name, size in after.items()}
    rows = sorted(((grown, name) for name, grown in growth.items() if grown > 0), reverse=True)
    return "\n".join(f"    {human_bytes(grown):>10} more  {name} ({human_bytes(after[name])})" for grown, name in rows)


def _read(note: Path) -> dict[str, int]:
    try:
        plain = jsontext.decode_plain(note.read_bytes(), where=note)
    except (FileNotFoundError, FormatError):
        return {}
    return {str(name): size for name, size in plain.items() if isinstance(size, int)} if isinstance(plain, dict) else {}
