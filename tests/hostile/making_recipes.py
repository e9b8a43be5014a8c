"""Recipes, locks and folders with something wrong in them."""

import os
from collections.abc import Callable
from pathlib import Path

from tests.hostile.corpus_model import Place
from tests.support.recipes import tiny_recipe

Send = Callable[[Place], object]


def recipe(name: str, change: Callable[[str], str]) -> Send:
    """One file of a good recipe changed."""

    def send(place: Place) -> None:
        tiny_recipe(place.sent)
        path = place.sent / name
        path.write_bytes(os.fsencode(change(path.read_text())))

    return send


def component(text: str) -> Send:
    return recipe("components.yaml", lambda old: old.replace("  file: ./notes.txt\n", text))


def beside(change: Callable[[Path], object]) -> Send:
    """Something beside the recipe changed."""

    def send(place: Place) -> None:
        tiny_recipe(place.sent)
        change(place.sent)

    return send


def replaced(path: str, make: Callable[[Path], object]) -> Send:
    def change(root: Path) -> None:
        (root / path).unlink()
        make(root / path)

    return beside(change)


def lock(old: str, new: str) -> Send:
    def change(text: str) -> str:
        assert old in text, text
        return text.replace(old, new, 1)

    return recipe("lock.yaml", change)


def laughs(levels: int = 9) -> str:
    lines = ["a0: &a0 [x,x,x,x,x,x,x,x,x]"]
    lines += [f"a{n}: &a{n} [" + ",".join([f"*a{n - 1}"] * 9) + "]" for n in range(1, levels)]
    return "\n".join(lines) + "\n"


def out(root: Path) -> Path:
    return root.parent / "canary/secret"
