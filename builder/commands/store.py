"""`sealift store`."""

import json
from pathlib import Path

import click

from builder import options
from bundles.talk import human_bytes


@click.command("store")
@click.option("--clean", is_flag=True, help="Remove everything that the given recipes do not need.")
@click.argument("recipes", type=options.FOLDER, nargs=-1)
@options.store_option
@options.json_flag
@options.common
def command(clean: bool, recipes: tuple[Path, ...], store_root: Path | None, as_json: bool) -> None:
    """Show where the store is and what it weighs; with --clean, keep only what RECIPES need."""
    from builder.store import Store

    store = Store(options.chosen_store(store_root))
    if clean:
        from builder.upkeep import clean_store

        collected = clean_store(store, recipes)
        click.echo(f"removed {collected.files} files, {human_bytes(collected.size)}", err=True)
    sizes = dict(store.size())
    if as_json:
        click.echo(json.dumps({"path": str(store.root), "bytes": sizes}))
        return
    click.echo(store.root)
    for name, size in sizes.items():
        click.echo(f"  {name:8} {human_bytes(size):>10}")
