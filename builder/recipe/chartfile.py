"""The few fields of a Chart.yaml that a lock and a bundle need (Helm, "The Chart.yaml File").

The file belongs to the chart's author: keys unknown here are none of our business, the YAML must still be readable in
one way only.
"""

import re
from dataclasses import dataclass
from pathlib import Path

from builder.recipe.yamlnodes import MAX_SIZE, Mapping, Scalar, parse_nodes, shown
from bundles.errors import Problem, ProblemsError
from bundles.files import os_errors

# Helm wants SemVer 2; a leading v is common and accepted by it, and so are leading zeros: RKE2's charts are 3.13.007.
VERSION = re.compile(r"v?[0-9]+\.[0-9]+\.[0-9]+(?:-[0-9A-Za-z.-]+)?(?:\+[0-9A-Za-z.-]+)?")
_NAME = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,51}[a-z0-9])?")


@dataclass(frozen=True, kw_only=True, slots=True)
class ChartFile:
    """Name and version of a chart; `app_version` "" when it says none."""

    name: str
    version: str
    app_version: str = ""


def read_chart_file(folder: Path) -> ChartFile:
    """A chart's folder -> its Chart.yaml. Raises ProblemsError, SealiftError when it cannot be read."""
    path = folder / "Chart.yaml"
    with os_errors(path), path.open("rb") as file:
        return parse_chart_file(file.read(MAX_SIZE + 1), str(path))


def parse_chart_file(data: bytes, where: str) -> ChartFile:
    """The bytes of a Chart.yaml and its name for messages; raises ProblemsError with all problems."""
    root, problems = parse_nodes(data, where)
    if not problems and not isinstance(root, Mapping):
        problems.append(Problem(where=where, message="want a mapping"))
    entries = {key.text: node for key, node in root.entries} if isinstance(root, Mapping) else {}
    found: dict[str, str] = {}
    for key, pattern in (("name", _NAME), ("version", VERSION), ("apiVersion", re.compile("v[12]"))):
        node = entries.get(key)
        if isinstance(node, Scalar) and pattern.fullmatch(node.text):
            found[key] = node.text
        elif isinstance(root, Mapping):
            line, got = (node.line, f", got {shown(node.text)}") if isinstance(node, Scalar) else (root.line, "")
            problems.append(Problem(where=f"{where}:{line}:{key}", message=f"want the chart's {key}{got}"))
    if problems:
        raise ProblemsError(where, problems)
    app = entries.get("appVersion")
    return ChartFile(
        name=found["name"], version=found["version"], app_version=app.text if isinstance(app, Scalar) else ""
    )
