"""Small recipes for tests: files beside the recipe alone, so that nothing is fetched and nothing compiled."""

from pathlib import Path

from builder.lock.model import Lock, LockedChart, LockedInput
from builder.lock.text import format_lock
from builder.recipe.digest import recipe_digest
from builder.recipe.model import CompileComponent, FileComponent, FolderChart
from builder.recipe.read import read_recipe
from builder.tree import file_digest, folder_digest

EPOCH = 1_771_545_600
BUNDLE = """\
sealift: 1
name: tiny
version: v1.0.0
sequence: 1
platforms: [linux/amd64]
runtime: rke2-runtime
archives:
  rke2-runtime: [rke2-runtime]
charts: [one]
"""
COMPONENTS = """\
notes:
  file: ./notes.txt
tool:
  compile: ./src
  version: 1.2.3
  needs: [gcc, binutils]
  run: [gcc -Os -static -DVERSION=$version -o tool tool.c]
  output: [tool]
"""
IMAGES = """\
rke2-runtime:
  name: rancher/rke2-runtime
  layers:
    - tool: /bin
    - notes: /share
    - charts: /charts
"""
CHARTS = "one:\n  folder: charts/one\n"
PROGRAM = """\
#include <stdio.h>
#define TEXT(x) #x
#define SAY(x) TEXT(x)
int main(void) { return puts("tool " SAY(VERSION)) < 0; }
"""


def tiny_recipe(folder: Path, *, lock: bool = True) -> Path:
    """Writes a recipe with one C program, one file and one chart; with its lock."""
    files = {
        "bundle.yaml": BUNDLE,
        "components.yaml": COMPONENTS,
        "images.yaml": IMAGES,
        "charts.yaml": CHARTS,
        "notes.txt": "read me\n",
        "src/tool.c": PROGRAM,
        "charts/one/Chart.yaml": "apiVersion: v2\nname: one\nversion: 0.1.0\n",
        "charts/one/templates/all.yaml": "kind: ConfigMap\n",
    }
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    if lock:
        write_lock(folder)
    return folder


def write_lock(folder: Path) -> Lock:
    """Locks a recipe whose sources all lie beside it."""
    recipe = read_recipe(folder)
    inputs = []
    for name, component in recipe.components.items():
        if isinstance(component, FileComponent):
            digest = file_digest(folder / component.path)[0]
            inputs.append(LockedInput(component=name, source=f"file:{component.path}", digest=digest))
        elif isinstance(component, CompileComponent):
            source = component.source.removeprefix("./")
            digest = folder_digest(folder / source)
            inputs.append(LockedInput(component=name, source=f"folder:{source}", digest=digest))
    charts = [
        LockedChart(name=name, version="0.1.0", digest=folder_digest(folder / chart.folder))
        for name, chart in recipe.charts.items()
        if isinstance(chart, FolderChart)
    ]
    lock = Lock(
        recipe=recipe_digest(recipe),
        bundle=f"{recipe.name}@{recipe.version}",
        epoch=EPOCH,
        tools=(),
        buildroot=(),
        inputs=tuple(inputs),
        charts=tuple(charts),
    )
    (folder / "lock.yaml").write_text(format_lock(lock))
    return lock
