"""Options that several verbs of `sealift-node` share, with one wording."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

from bundles.talk import PROGRESS_MODES
from runtime.layout import DEFAULT_DATA_DIR

F = TypeVar("F", bound=Callable[..., Any])

PATH = click.Path(path_type=Path)


def debug_flag(function: F) -> F:
    """`--debug`: handled where errors are told, declared on every verb so that it may stand at the end."""
    return click.option("--debug", is_flag=True, expose_value=False, help="Show a traceback with an error.")(function)


def node_flags(function: F) -> F:
    """`--data-dir`, `--config` and `--debug` of verbs that read a node's configuration: none given, RKE2's own."""
    data_dir = click.option(
        "--data-dir", type=PATH, metavar="DIR", help=f"RKE2's data directory. [default: {DEFAULT_DATA_DIR}]"
    )
    config = click.option(
        "--config", type=PATH, metavar="FILE", help="RKE2's configuration. [default: its own, if it is there]"
    )
    return data_dir(config(debug_flag(function)))


def json_flag(function: F) -> F:
    """`--json`."""
    return click.option("--json", "as_json", is_flag=True, help="Print the result as JSON on stdout.")(function)


def progress_mode(function: F) -> F:
    """`--progress`."""
    modes = click.Choice(PROGRESS_MODES)
    return click.option(
        "--progress", type=modes, default="auto", show_default=True, help="How work is told on stderr."
    )(function)


def talk_flags(function: F) -> F:
    """`--progress`, `--json` and `--debug`."""
    return progress_mode(json_flag(debug_flag(function)))


def trust_flags(function: F) -> F:
    """`--key`, `--policy`, `--insecure-no-signature`: one of them, for whatever believes a bundle."""
    for option in (
        click.option("--insecure-no-signature", "insecure", is_flag=True, help="Accept a bundle that nobody signed."),
        click.option("--policy", type=PATH, metavar="FILE", help="Trust what this policy trusts."),
        click.option("--key", type=PATH, metavar="PUB", help="Trust this public key."),
    ):
        function = option(function)
    return function


def gate_flags(function: F) -> F:
    """`trust_flags` and `--override`, for what changes the node."""
    override = click.option(
        "--override", metavar="REASON", help="Take it although it is older or has expired. The reason is recorded."
    )
    return trust_flags(override(function))


def data_dir(function: F) -> F:
    """`--data-dir`."""
    default = str(DEFAULT_DATA_DIR)
    return click.option(
        "--data-dir", type=PATH, default=default, show_default=True, metavar="DIR", help="RKE2's data directory."
    )(function)
