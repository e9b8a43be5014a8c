"""Options that several verbs share, with one wording."""

import contextlib
import functools
import os
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from bundles.talk import PROGRESS_MODES, Progress, make_progress

if TYPE_CHECKING:
    from builder.progress import BuildTalk
    from builder.reach import Reach
    from bundles.platform import Platform

F = TypeVar("F", bound=Callable[..., Any])

PATH = click.Path(path_type=Path)
FOLDER = click.Path(path_type=Path, file_okay=False)


def common(function: F) -> F:
    """`--debug`: handled where errors are told, declared on every verb so that it may stand at the end."""
    return click.option("--debug", is_flag=True, expose_value=False, help="Show a traceback with an error.")(function)


def json_flag(function: F) -> F:
    """`--json`."""
    return click.option("--json", "as_json", is_flag=True, help="Print the result as JSON on stdout.")(function)


def progress_mode(function: F) -> F:
    """`--progress`."""
    return click.option(
        "--progress",
        type=click.Choice(PROGRESS_MODES),
        default="auto",
        show_default=True,
        help="How work is told on stderr.",
    )(function)


def trust_flags(function: F) -> F:
    """`--key`, `--policy`, `--insecure-no-signature`: one of them, for whatever believes a bundle."""
    for option in (
        click.option("--insecure-no-signature", "insecure", is_flag=True, help="Accept a bundle that nobody signed."),
        click.option("--policy", type=PATH, metavar="FILE", help="Trust what this policy trusts."),
        click.option("--key", type=PATH, metavar="PUB", help="Trust this public key."),
    ):
        function = option(function)
    return function


def passphrase_flags(function: F) -> F:
    """`--password-file`, `--password-fd`, `--password-env`: where a key's passphrase is; never what it is."""
    for option in (
        click.option("--password-env", metavar="NAME", help="Read the passphrase from this environment variable."),
        click.option("--password-fd", type=int, metavar="N", help="Read the passphrase from this open descriptor."),
        click.option("--password-file", type=PATH, metavar="FILE", help="Read the passphrase from this file."),
    ):
        function = option(function)
    return function


def store_option(function: F) -> F:
    """`--store`."""
    return click.option(
        "--store",
        "--cache",
        "store_root",
        type=FOLDER,
        metavar="DIR",
        help="The store of built things, which worktrees and CI jobs may share."
        "  [default: $SEALIFT_STORE, or sealift below $XDG_CACHE_HOME or ~/.cache]",
    )(function)


def platform_option(function: F) -> F:
    """`--platform`."""
    return click.option(
        "--platform",
        "wanted",
        metavar="OS/ARCH",
        help="Which of the recipe's platforms (linux/arm64).  [default: all]",
    )(function)


def inputs_option(function: F) -> F:
    """`--inputs`."""
    return click.option(
        "--inputs",
        type=FOLDER,
        metavar="DIR",
        help="Take inputs from this archive (`sealift fetch --to`) before anybody is asked.",
    )(function)


def chosen_store(store_root: Path | None) -> Path:
    """The store's folder: the option, else what the environment says."""
    from builder.store import default_root

    return store_root.absolute() if store_root else default_root(os.environ)


def registry_flags(function: F) -> F:
    """`--ca`, `--plain-http/--tls`, `--limit-rate`: how registries are reached."""
    for option in (
        click.option("--limit-rate", metavar="RATE", help="At most so many bytes a second: 500k, 40M."),
        click.option(
            "--plain-http/--tls",
            "plain",
            default=None,
            help="Speak plain http, or TLS.  [default: TLS, and http to this machine itself]",
        ),
        click.option(
            "--ca", type=PATH, metavar="FILE", multiple=True, help="Trust these CA certificates too.  [repeatable]"
        ),
    ):
        function = option(function)
    return function


def mirror_option(function: F) -> F:
    """`--mirror`."""
    return click.option(
        "--mirror",
        "mirrors",
        metavar="REGISTRY=HOST[/PREFIX]",
        multiple=True,
        help="Ask this host first for what lies in a registry (docker.io=mirror.site/hub).  [repeatable]",
    )(function)


def reach_options(function: F) -> F:
    """`registry_flags` and `mirror_option`; the command gets them as one value, `reach`."""

    @functools.wraps(function)
    def gathered(
        *, ca: tuple[Path, ...], plain: bool | None, limit_rate: str | None, mirrors: tuple[str, ...], **others: Any
    ) -> Any:
        return function(reach=chosen_reach(ca, plain, limit_rate, mirrors), **others)

    return registry_flags(mirror_option(gathered))  # type: ignore[return-value] # click calls it with its own words


def chosen_reach(ca: tuple[Path, ...], plain: bool | None, limit_rate: str | None, mirrors: tuple[str, ...]) -> "Reach":
    """`registry_flags` and `mirror_option` as a value."""
    from builder.reach import Reach

    return Reach(ca=ca, plain=plain, mirrors=mirrors, limit_rate=limit_rate)


def this_machine() -> "Platform":
    """The platform of the machine that this runs on."""
    from bundles.platform import from_machine

    system = os.uname()
    return from_machine(system.sysname, system.machine)


@contextlib.contextmanager
def talking(mode: str) -> Iterator["BuildTalk"]:
    """Work is told on stderr, as `--progress` says."""
    from builder.progress import make_talk

    talk = make_talk(mode, sys.stderr, time.monotonic)  # type: ignore[arg-type] # click checked the choice
    try:
        yield talk
    finally:
        talk.close()


def byte_progress(mode: str) -> Progress:
    """The printer for work that is counted in bytes, on stderr."""
    return make_progress(mode, sys.stderr, time.monotonic)  # type: ignore[arg-type] # click checked the choice
