"""The edge of a node's configuration: RKE2's config.yaml and its drop-ins -> settings with their places.

k3s pkg/configfilearg/parser.go: keys are the long flags; FILE.d/*.yaml and *.yml come after FILE in order of name;
a later file replaces a key, `key+` appends. Scalars stay text as typed: YAML's own idea of `on`, `012` or `1e3` never
counts. What differs: a key twice in one file is an error here.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Final

import yaml

from bundles.errors import Problem, ProblemsError, UsageError
from bundles.files import os_errors
from runtime.nodeconf.settings import Setting, merge

DEFAULT_CONFIG: Final = Path("/etc/rancher/rke2/config.yaml")
_MAX_CONFIG: Final = 256 << 10  # bytes of one file: each byte can become a value, each value 500 bytes in memory
_SUFFIXES: Final = (".yaml", ".yml")
_NULLS: Final = ("", "~", "null", "Null", "NULL")


def read_settings(config: Path, *, required: bool) -> dict[str, Setting]:
    """FILE and FILE.d -> settings.

    Raises UsageError when FILE is missing although `required` and there are no drop-ins; ProblemsError with every
    duplicate key and every value that is neither a scalar nor a list of scalars.
    """
    files = [config] if config.is_file() else []
    files += _dropins(Path(f"{config}.d"))
    if not files and required:
        raise UsageError("no such configuration file", where=config)
    settings: dict[str, Setting] = {}
    problems: list[Problem] = []
    for file in files:
        settings = merge(settings, parse_text(read_text(file), str(file), problems))
    if problems:
        raise ProblemsError(config, problems)
    return settings


def _why(error: Exception) -> str:
    """yaml's words and the place, without the text itself."""
    mark = getattr(error, "problem_mark", None)
    place = f", line {mark.line + 1}, column {mark.column + 1}" if mark is not None else ""
    return f"{getattr(error, 'problem', None) or type(error).__name__}{place}"


def parse_text(text: str, where: str, problems: list[Problem]) -> dict[str, Setting]:
    """One file's text -> its settings, keys with their `+`; problems are appended. Raises UsageError: not YAML."""
    try:
        root = yaml.compose(text, Loader=yaml.BaseLoader)
    except (yaml.YAMLError, ValueError, RecursionError) as exc:
        raise UsageError(f"not YAML: {_why(exc)}", where=where) from None  # yaml shows the line: it may hold a token
    if root is None or (isinstance(root, yaml.ScalarNode) and root.value in _NULLS):
        return {}
    if not isinstance(root, yaml.MappingNode):
        raise UsageError("not a mapping", where=where, want="key: value lines")
    found: dict[str, Setting] = {}
    for key_node, value_node in root.value:
        place = f"{where}:{key_node.start_mark.line + 1}"
        if not isinstance(key_node, yaml.ScalarNode):
            problems.append(Problem(where=place, message="a key must be text"))
        elif key_node.value in found:
            problems.append(Problem(where=f"{place}:{key_node.value}", message="the key stands here twice"))
        elif (values := _values(value_node)) is None:
            message = "must be a value or a list of values"
            problems.append(Problem(where=f"{place}:{key_node.value}", message=message))
        elif values or isinstance(value_node, yaml.SequenceNode):
            found[key_node.value] = Setting(values, place)
    return found


def _values(node: yaml.Node) -> tuple[str, ...] | None:
    """A scalar or a list of scalars as texts; null is no value; None for anything else."""
    if isinstance(node, yaml.ScalarNode):
        return () if node.style is None and node.value in _NULLS else (node.value,)
    if isinstance(node, yaml.SequenceNode) and all(isinstance(item, yaml.ScalarNode) for item in node.value):
        return tuple(item.value for item in node.value)
    return None


def _dropins(folder: Path) -> Iterator[Path]:
    if folder.is_dir():
        names = sorted(path for path in folder.iterdir() if path.suffix in _SUFFIXES)
        yield from (path for path in names if path.is_file())


def read_text(path: Path) -> str:
    """A configuration file's text; raises UsageError for too large ones and what is not UTF-8, SealiftError."""
    with os_errors(path), path.open("rb") as file:
        data = file.read(_MAX_CONFIG + 1)
    if len(data) > _MAX_CONFIG:
        raise UsageError("configuration file too large", where=path, want=f"<= {_MAX_CONFIG} bytes")
    try:
        return data.decode()
    except UnicodeDecodeError as exc:
        raise UsageError("not UTF-8", where=path, got=f"byte {exc.start}") from exc
