"""What has been compiled twice with the same bytes, remembered by content id.

Compiling everything again costs minutes and proves nothing new about a step whose content id was proven before: same
kind, version, sources, options and tools. Whatever is not proven is compiled again from nothing, every time.
"""

import json
import os
import shutil
from dataclasses import dataclass
from pathlib import Path

from tests.support.gotools import store_root
from tests.support.node import sealift


@dataclass(frozen=True)
class Component:
    """A component step of a plan: its name and content id in hex, and that of the step that reads its licences."""

    name: str
    hex: str
    licences: str = ""


def components(recipe: Path) -> list[Component]:
    """The component steps of a recipe's plan."""
    steps = json.loads(sealift("plan", recipe, "--json").stdout)["steps"]
    ids = {step["name"]: step["id"].removeprefix("sha256:") for step in steps}
    return [
        Component(name, found, ids.get(name.replace("component ", "licences ", 1), ""))
        for name, found in ids.items()
        if name.startswith("component ")
    ]


def proven(found: list[Component]) -> list[Component]:
    """Those that an earlier run compiled twice."""
    return [component for component in found if (_folder() / component.hex).exists()]


def note(found: list[Component]) -> None:
    """Remembers that these came out the same twice."""
    _folder().mkdir(parents=True, exist_ok=True)
    for component in found:
        (_folder() / component.hex).write_text(component.name + "\n")


def seed(store: Path, found: list[Component]) -> None:
    """Gives another store the receipts and outputs of these steps, and what is known of their licences.

    Without that, all their sources would have to be fetched again to read a few texts in them.
    """
    for hex_id in (each for component in found for each in (component.hex, component.licences) if each):
        receipt = store_root() / "steps" / f"{hex_id}.json"
        for output in json.loads(receipt.read_text())["outputs"].values():
            name = f"blobs/sha256/{output['digest'].removeprefix('sha256:')}"
            (store / name).parent.mkdir(parents=True, exist_ok=True)
            if not (store / name).exists():
                _copy(store_root() / name, store / name)
        (store / "steps").mkdir(parents=True, exist_ok=True)
        shutil.copyfile(receipt, store / "steps" / receipt.name)


def share_modules(store: Path) -> None:
    """Gives another store the Go modules and toolchains that were fetched, as `build --check` does.

    go itself fetches them, and where that is poisoned nobody could; every build holds them to its lock.
    """
    (store / "go").mkdir(parents=True, exist_ok=True)
    (store / "go/mod").symlink_to(store_root() / "go/mod")


def _copy(source: Path, target: Path) -> None:
    try:
        os.link(source, target)
    except OSError:
        shutil.copyfile(source, target)


def _folder() -> Path:
    return store_root() / "test-proofs"
