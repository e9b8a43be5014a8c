"""`sealift doctor`."""

import json
import os
import shutil
from pathlib import Path

import click

from builder import options
from bundles.errors import MissingError
from bundles.talk import human_bytes


class _ThisMachine:
    """The machine that the command runs on."""

    def __init__(self, store: Path) -> None:
        self._store = store

    def has_command(self, name: str) -> bool:
        return shutil.which(name) is not None or shutil.which(name, path="/usr/sbin:/sbin") is not None

    def has_package(self, name: str) -> bool:
        from builder.errors import StepError
        from builder.process import run

        try:
            command = ["dpkg-query", "--show", "--showformat=${db:Status-Status}", name]
            return run(command, cwd=Path("/"), env={"PATH": os.environ["PATH"]}).stdout == b"installed"
        except (StepError, MissingError):
            return False

    def free_space(self) -> int:
        folder = self._store
        while not folder.exists():
            folder = folder.parent
        return shutil.disk_usage(folder).free


@click.command("doctor")
@click.argument("recipe_folder", metavar="RECIPE_DIR", type=options.FOLDER)
@click.option("--packages", is_flag=True, help="Print only the missing Debian packages, one a line.")
@click.option("--quiet", is_flag=True, help="Say nothing when all is well.")
@options.store_option
@options.json_flag
@options.common
def command(recipe_folder: Path, packages: bool, quiet: bool, store_root: Path | None, as_json: bool) -> None:
    """Name, in one message, what this machine lacks to build RECIPE_DIR; exit code 1 when it lacks something."""
    from builder import doctor
    from builder.recipe.read import read_recipe

    recipe = read_recipe(recipe_folder)
    machine = _ThisMachine(options.chosen_store(store_root))
    lacking = doctor.missing(recipe, machine)
    if packages:
        for need in lacking:
            click.echo(need.package)
    if as_json:
        rows = [{"package": need.package, "why": need.why, "ok": need not in lacking} for need in doctor.needs(recipe)]
        click.echo(json.dumps({"needs": rows, "free": machine.free_space(), "wanted": doctor.space_needed(recipe)}))
    if lacking:
        rows_text = "\n".join(f"  {need.package:16} for {need.why}" for need in lacking)
        names = " ".join(need.package for need in lacking)
        hint = f"apt-get install {names}\n  or: run the same make command with SETUP=1"
        raise MissingError(f"this machine lacks what the recipe needs:\n{rows_text}", hint=hint)
    if not (packages or quiet or as_json):
        click.echo(f"ok: everything that {recipe.name} needs is here")
    free, wanted = machine.free_space(), doctor.space_needed(recipe)
    if free < wanted:
        click.echo(f"warning: {human_bytes(free)} free, a first build may take {human_bytes(wanted)}", err=True)
