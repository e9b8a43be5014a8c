"""What lies beside the recipe: folders, files and charts, by digest."""

from pathlib import Path, PurePosixPath

from builder.errors import RecipeError
from builder.lock.model import LockedChart, LockedInput
from builder.recipe.model import FolderChart
from builder.recipe.yamlnodes import Mapping, Scalar, parse_nodes
from builder.tree import file_digest, folder_digest
from bundles.errors import ProblemsError
from bundles.files import os_errors


def lock_folder(recipe: Path, component: str, folder: PurePosixPath) -> LockedInput:
    """A source folder beside the recipe -> `folder:PATH` and its digest."""
    return LockedInput(component=component, source=f"folder:{folder}", digest=folder_digest(recipe / folder))


def lock_file(recipe: Path, component: str, path: PurePosixPath) -> LockedInput:
    """A file beside the recipe -> `file:PATH` and its digest."""
    return LockedInput(component=component, source=f"file:{path}", digest=file_digest(recipe / path)[0])


def lock_chart(recipe: Path, chart: FolderChart) -> LockedChart:
    """A chart's folder -> version and digest. Raises RecipeError unless its Chart.yaml says the recipe's name."""
    folder = recipe / chart.folder
    where = folder / "Chart.yaml"
    name, version = _named(where)
    if name != chart.name:
        raise RecipeError("a chart is called as its key in charts.yaml", where=where, got=name, want=chart.name)
    return LockedChart(name=chart.name, version=version, digest=folder_digest(folder))


def _named(path: Path) -> tuple[str, str]:
    """Name and version of a Chart.yaml (Helm, "The Chart.yaml File")."""
    with os_errors(path):
        data = path.read_bytes()
    node, problems = parse_nodes(data, str(path))
    if problems:
        raise ProblemsError(path, problems)
    found: dict[str, str] = {}
    if isinstance(node, Mapping):
        found = {key.text: value.text for key, value in node.entries if isinstance(value, Scalar)}
    missing = [key for key in ("name", "version") if not found.get(key)]
    if missing:
        raise RecipeError(f"no {missing[0]}", where=path)
    return found["name"], found["version"]
