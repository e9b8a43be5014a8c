"""`sealift`: one file per verb in `builder/commands`, loaded when it is called.

Results go to stdout, talk to stderr. Exit codes: 0 done, 1 failed, 2 wrong usage or recipe, 3 refused for trust, 130
interrupted. This module is the only place of the builder where an error becomes text and a code.
"""

import gc
import importlib
import io
import json
import os
import signal
import sys
from collections.abc import Sequence
from typing import Final

import click

from bundles.errors import UsageError
from bundles.masking import masked
from bundles.talk import error_json, error_text, error_trace, exit_code

# The order is the order of work; `sealift --help` shows it.
VERBS: Final = {
    "lock": "Pin every moving part of a recipe in its lock.yaml.",
    "fetch": "Bring everything that a lock names; keep it as an input archive.",
    "update": "Move a recipe to the newest patches in their lines, and lock it.",
    "plan": "Show what a build would do: steps, what is cached, sizes, time.",
    "build": "Build a recipe into a sealed bundle.",
    "verify": "Check a bundle, or one sealed archive.",
    "keygen": "Make a key pair to sign bundles with.",
    "sign": "Check a bundle and sign it.",
    "inspect": "Show what is inside a bundle or a sealed archive.",
    "diff": "Compare two bundles: images, charts, and the bytes to carry.",
    "why": "Say why a component, image or module is in a recipe's bundle.",
    "sources": "Collect the sources that licences of shipped things ask for.",
    "pack": "Make one file of a bundle, for transport.",
    "push": "Put a bundle, and its images, into a registry.",
    "pull": "Get a bundle out of a registry.",
    "schema": "Print the JSON schema of recipes.",
    "store": "Show the store of built things, or clean it.",
    "doctor": "Name what this machine lacks to build a recipe.",
}

# New objects between two looks for cycles (gc.set_threshold): at its 700 a tenth of each start goes into looking.
_GARBAGE: Final = 20_000


class Verbs(click.Group):
    """Loads a verb's module when it is asked for: `sealift --version` stays fast."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """All verbs."""
        return list(VERBS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The verb's `command`; None for an unknown one."""
        if cmd_name not in VERBS:
            return None
        found: click.Command = importlib.import_module(f"builder.commands.{cmd_name}").command
        found.short_help = VERBS[cmd_name]
        return found

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """The list in `--help`, without loading a verb."""
        with formatter.section("Commands"):
            formatter.write_dl(list(VERBS.items()))


def _version(ctx: click.Context, parameter: click.Parameter, value: bool) -> None:
    if value and not ctx.resilient_parsing:
        from importlib.metadata import version

        click.echo(f"sealift {version('sealift')}")
        ctx.exit()


@click.group(cls=Verbs, name="sealift", context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--version", is_flag=True, is_eager=True, expose_value=False, callback=_version, help="Say the version.")
def cli() -> None:
    """Airgap bundles for RKE2-style Kubernetes, from recipe to sealed archive."""


def run(arguments: Sequence[str]) -> int:
    """Arguments -> exit code; errors become text on stderr, or JSON with `--json`."""
    debug = "--debug" in arguments
    try:
        result = cli.main(list(arguments), prog_name="sealift", standalone_mode=False)
    except click.exceptions.Abort:
        return _tell(KeyboardInterrupt(), arguments, debug)
    except click.ClickException as exc:
        told = io.StringIO()
        exc.show(told)
        sys.stderr.write(masked(told.getvalue()))  # what was typed may hold a password
        return UsageError.exit_code
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # the reader of our output has gone: `sealift ... | head`
        return 1
    except (Exception, KeyboardInterrupt) as exc:
        return _tell(exc, arguments, debug)
    return result if isinstance(result, int) else 0


def _tell(error: BaseException, arguments: Sequence[str], debug: bool) -> int:
    if debug:
        print(error_trace(error), end="", file=sys.stderr)
    if "--json" in arguments:
        print(json.dumps(error_json(error)))
    print(error_text(error), file=sys.stderr)
    return exit_code(error)


def _interrupt(number: int, frame: object) -> None:
    raise KeyboardInterrupt


def main() -> None:
    """The console script. SIGTERM and SIGHUP end it like Ctrl-C: running programs end too, finished work stays."""
    gc.set_threshold(_GARBAGE)
    for number in (signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(number) == signal.SIG_DFL:  # nohup(1) ignores SIGHUP: so do we then
            signal.signal(number, _interrupt)
    code = run(sys.argv[1:])
    gc.freeze()  # the system takes it all back: to look for cycles first takes longer than many a command
    sys.exit(code)
