"""What lies beside the recipe: folders, files and charts, by digest."""

from pathlib import PurePosixPath

from builder.errors import RecipeError
from builder.lock.model import LockedChart, LockedInput
from builder.recipe.chartfile import read_chart_file
from builder.recipe.model import FolderChart, Recipe
from builder.recipe.places import beside
from builder.tree import file_digest, folder_digest


def lock_folder(recipe: Recipe, component: str, folder: PurePosixPath) -> LockedInput:
    """A source folder beside the recipe -> `folder:PATH` and its digest."""
    return LockedInput(component=component, source=f"folder:{folder}", digest=folder_digest(beside(recipe, folder)))


def lock_file(recipe: Recipe, component: str, path: PurePosixPath) -> LockedInput:
    """A file beside the recipe -> `file:PATH` and its digest."""
    return LockedInput(component=component, source=f"file:{path}", digest=file_digest(beside(recipe, path))[0])


def lock_chart(recipe: Recipe, chart: FolderChart) -> LockedChart:
    """A chart's folder -> version and digest. Raises RecipeError unless its Chart.yaml says the recipe's name."""
    folder = beside(recipe, chart.folder)
    found = read_chart_file(folder)
    if found.name != chart.name:
        raise RecipeError("a chart is called as its key in charts.yaml", where=folder, got=found.name, want=chart.name)
    return LockedChart(name=chart.name, version=found.version, digest=folder_digest(folder))
