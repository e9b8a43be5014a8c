"""A recipe whose programs are noise of any size, and its lock: a build of it costs what bytes cost, nothing compiles.

`python -m bench.noise FOLDER BYTES` writes it: a bench's own memory counts for what it starts.
"""

import random
import sys
from pathlib import Path

from builder.lock.model import Lock, LockedInput
from builder.lock.text import format_lock
from builder.recipe.digest import recipe_digest
from builder.recipe.model import FileComponent
from builder.recipe.read import read_recipe
from builder.tree import file_digest
from tests.support.releases import program

PROGRAMS = 8  # each with a layer of its own: six in the runtime's archive, two in another
_BLOCK = 16 << 20  # twice the window of a frame: none sees a repetition
_EPOCH = 1_771_545_600
_BUNDLE = """\
sealift: 1
name: noise
version: v1.0.0
sequence: 1
platforms: [linux/amd64]
runtime: rke2-runtime
archives:
  rke2-runtime: [rke2-runtime]
  rke2-images-core: [other]
"""


def write_recipe(folder: Path, size: int) -> None:
    """`size` bytes of programs in all."""
    (folder / "files").mkdir(parents=True)
    block = random.Random(size).randbytes(_BLOCK)
    for number in range(PROGRAMS):
        _write(folder / f"files/program-{number}", block, size // PROGRAMS, number)
    names = [f"program-{number}" for number in range(PROGRAMS)]
    (folder / "components.yaml").write_text(
        "".join(f"{name}:\n  file: ./files/{name}\n  executable: true\n" for name in names)
    )
    images = (("rke2-runtime", "rancher/rke2-runtime", names[:-2]), ("other", "rancher/other:v1.0.0", names[-2:]))
    (folder / "images.yaml").write_text(
        "".join(
            f"{key}:\n  name: {name}\n  layers:\n" + "".join(f"    - {one}: /bin\n" for one in placed)
            for key, name, placed in images
        )
    )
    (folder / "bundle.yaml").write_text(_BUNDLE)
    _write_lock(folder)


def _write(path: Path, block: bytes, size: int, number: int) -> None:
    with path.open("wb") as file:
        left = size - file.write(program(str(number).encode()))
        while left > 0:
            left -= file.write(block[:left])


def _write_lock(folder: Path) -> None:
    recipe = read_recipe(folder)
    inputs = [
        LockedInput(component=name, source=f"file:{component.path}", digest=file_digest(folder / component.path)[0])
        for name, component in recipe.components.items()
        if isinstance(component, FileComponent)
    ]
    lock = Lock(
        recipe=recipe_digest(recipe),
        bundle=f"{recipe.name}@{recipe.version}",
        epoch=_EPOCH,
        tools=(),
        buildroot=(),
        inputs=tuple(inputs),
        charts=(),
    )
    (folder / "lock.yaml").write_text(format_lock(lock))


if __name__ == "__main__":
    write_recipe(Path(sys.argv[1]), int(sys.argv[2]))
