"""docs/cli.md is what the code says, every verb loads, and starting is fast because verbs load when called."""

import subprocess
import sys
from pathlib import Path

import click
import pytest

from builder.cli import VERBS, cli
from builder.reference import cli_page

ROOT = Path(__file__).resolve().parents[3]
HEAVY = ("rich", "yaml", "msgspec", "cryptography", "elftools", "backports", "asyncio", "concurrent.futures")


def test_the_page_of_commands_is_what_the_code_says() -> None:
    assert (ROOT / "docs/cli.md").read_text() == cli_page(), "run `make generate`"


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_loads_and_says_what_its_options_mean(verb: str) -> None:
    command = cli.get_command(click.Context(cli), verb)
    assert command is not None and command.name == verb and command.help
    for parameter in command.params:
        if isinstance(parameter, click.Option):
            assert parameter.help, f"{verb} {parameter.opts}"


def loaded_by(code: str) -> set[str]:
    script = f"import sys\n{code}\nprint(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    return set(done.stdout.split())


def test_starting_loads_nothing_heavy() -> None:
    assert not loaded_by("import builder.cli").intersection(HEAVY)


@pytest.mark.parametrize("verb", VERBS)
def test_the_help_of_a_verb_loads_nothing_heavy(verb: str) -> None:
    assert not loaded_by(f"import builder.commands.{verb}").intersection(HEAVY)
