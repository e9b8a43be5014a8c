"""Recipes, locks and Chart.yaml: taken or refused with every problem; a lock is written again as it was."""

from pathlib import Path
from typing import Final

from builder.lock.text import format_lock, parse_lock
from builder.recipe import yamlnodes
from builder.recipe.base import Base
from builder.recipe.chartfile import parse_chart_file
from builder.recipe.digest import recipe_digest
from builder.recipe.keys import BUNDLE, FILES
from builder.recipe.parse import make_recipe, parse_recipe, read_documents
from tests.fuzz import modes
from tests.fuzz.model import Target, taken

_RECIPES: Final = Path(__file__).resolve().parents[3] / "recipes"
_GOOD: Final = {name: (_RECIPES / "hello" / name).read_bytes() for name in FILES}
_BIG: Final = {name: (_RECIPES / "rke2-v1.34" / name).read_bytes() for name in FILES}

_DERIVED: Final = b"sealift: 1\nbase: ../hello\nflavour: modern\n"


def _nodes(data: bytes) -> bool:
    node, problems = yamlnodes.parse_nodes(data, "input")
    for problem in problems:
        str(problem).encode()
    return node is not None and not problems


def _recipe(name: str) -> modes.Reader:
    def read(data: bytes) -> bool:
        found = taken(lambda: parse_recipe(Path("x"), _GOOD | {name: data}))
        if found is not None:
            recipe_digest(found)
        return found is not None

    return read


def _derived(name: str) -> modes.Reader:
    """One file of a recipe that has another for its base."""
    base = Base(text="../hello", folder=Path("hello"), files=_GOOD)

    def read(data: bytes) -> bool:
        documents = read_documents({BUNDLE: _DERIVED, name: data}, base)
        found = taken(lambda: make_recipe(Path("x"), documents))
        if found is not None:
            recipe_digest(found)
        return found is not None

    return read


def _lock(data: bytes) -> bool:
    found = taken(lambda: parse_lock(data))
    if found is not None:
        text = format_lock(found)
        assert parse_lock(text) == found, "the lock reads otherwise when it is written again"
        assert format_lock(parse_lock(text)) == text
    return found is not None


READERS: Final[dict[str, modes.Reader]] = {
    "nodes": _nodes,
    "lock": _lock,
    "chart": lambda data: taken(lambda: parse_chart_file(data, "Chart.yaml")) is not None,
    **{name: _recipe(name) for name in FILES},
    **{f"derived {name}": _derived(name) for name in FILES},
}
_LOCK: Final = (_RECIPES / "hello" / "lock.yaml").read_bytes()
_ODD: Final = [
    b"a: &x [1, *x]\n",
    b"? [a]\n: {b: !!int 1}\n",
    b"%YAML 1.1\n---\na: b\n...\n",
    b"- " * 15 + b"x\n",
    b'"\\x41": |\n  y\n',
]

TARGET: Final = Target(
    read=modes.by_first_byte(READERS),
    seeds=lambda: modes.seeds(
        READERS,
        {
            "nodes": [*_GOOD.values(), *_ODD],
            "lock": [_LOCK, (_RECIPES / "rke2-v1.34" / "lock.yaml").read_bytes()[:20_000]],
            "chart": [b'apiVersion: v2\nname: one\nversion: 0.1.0\nappVersion: "1"\n'],
            **{name: [_GOOD[name], _BIG[name]] for name in FILES},
            **{f"derived {name}": [_DERIVED if name == BUNDLE else _GOOD[name]] for name in FILES},
        },
    ),
    least=20,
)
