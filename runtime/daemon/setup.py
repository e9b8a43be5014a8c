"""From the command line, the configuration files and the machine to a Node: the daemon's edge."""

import os
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from bundles.errors import MissingError
from runtime import host
from runtime.daemon.context import Node
from runtime.daemon.server import clock_from
from runtime.folders import ensure_folder
from runtime.layout import DEFAULT_DATA_DIR, NodeLayout
from runtime.nodeconf.model import Role
from runtime.nodeconf.parse import parse
from runtime.nodeconf.read import DEFAULT_CONFIG, read_settings
from runtime.nodeconf.settings import Settings, from_flags, merge
from runtime.nodepaths import NodePaths
from runtime.staticpods.model import SSL_FOLDERS


def make_node(
    role: Role,
    *,
    data_dir: Path | None,
    config: Path | None,
    flags: Sequence[tuple[str, str]],
    allow_unlisted: bool,
    say: Callable[[str], None],
) -> Node:
    """Reads everything that decides how the daemon runs.

    Args:
        role: what it runs as.
        data_dir: as typed; None: the configuration's, else RKE2's.
        config: a configuration file that must be there; None: RKE2's own, if it is there.
        flags: settings of the command line, over those of the files.
        allow_unlisted: import archives that no bundle lists.
        say: takes one line of talk at a time.

    Raises UsageError and ProblemsError for the configuration, MissingError when the data directory is not there.
    """
    settings = merge(read_settings(config or DEFAULT_CONFIG, required=config is not None), from_flags(flags))
    layout = NodeLayout.at(data_dir or _data_dir(settings))
    facts = host.look(os.environ, SSL_FOLDERS)
    paths = NodePaths(data=layout.data)
    parsed = parse(settings, role=role, paths=paths, machine=facts.machine, where=config or DEFAULT_CONFIG)
    for warning in parsed.warnings:
        say(f"warning: {warning}")
    if not layout.data.is_dir():
        if parsed.config.server_url is None:
            raise MissingError("no such data directory", where=layout.data, hint="stage a bundle first")
        ensure_folder(layout.data)  # its bundle comes from the server
    return Node(
        configured=parsed.config,
        layout=layout,
        host=facts,
        platform=host.platform(),
        environment=dict(os.environ),
        began=time.time(),
        clock=clock_from(time.monotonic()),
        say=say,
        allow_unlisted=allow_unlisted,
    )


def _data_dir(settings: Settings) -> Path:
    setting = settings.get("data-dir")
    return Path(setting.values[-1]) if setting is not None and setting.values else DEFAULT_DATA_DIR
