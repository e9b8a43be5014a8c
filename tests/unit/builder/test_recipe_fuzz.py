"""Whatever stands in a recipe's or lock's files: a value or a SealiftError, never anything else."""

from pathlib import Path
from typing import Any

import hypothesis.strategies as st
import yaml
from hypothesis import given, settings

from builder.lock.text import parse_lock
from builder.recipe.chartfile import parse_chart_file
from builder.recipe.digest import recipe_digest
from builder.recipe.keys import FILES
from builder.recipe.kinds import Choice, Items, ItemsOrTable, Kind, Number, OneOf, Record, Table, Text
from builder.recipe.parse import parse_recipe
from bundles.errors import SealiftError

RECIPES = Path(__file__).resolve().parents[3] / "recipes"
GOOD = {name: (RECIPES / "rke2-v1.34" / name).read_bytes() for name in FILES}
WORDS = ["$version", "charts", "./x", "../x", "", "~", "no", "1.10", "0", "/bin", "a/b", "go", "x" * 300, "\x1b", "é"]
LEAVES = st.one_of(st.sampled_from(WORDS), st.integers(-3, 10**20), st.booleans(), st.none(), st.text(max_size=5))
TREES = st.recursive(
    LEAVES,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(WORDS), inner, max_size=3),
    max_leaves=8,
)


def near_misses(kind: Kind) -> st.SearchStrategy[Any]:
    """Values that are often right: the known keys, with a stranger now and then."""
    match kind:
        case Text():
            return st.sampled_from([kind.example or "abc", "abc", "rke2-runtime"]) | LEAVES
        case Number():
            return st.just(kind.least) | LEAVES
        case Choice():
            return st.sampled_from(list(map(str, kind.words))) | LEAVES
        case Items():
            return st.lists(near_misses(kind.of), max_size=3) | LEAVES
        case Table():
            keys = near_misses(kind.key).filter(lambda key: isinstance(key, str))
            return st.dictionaries(keys, near_misses(kind.value), max_size=3) | LEAVES
        case ItemsOrTable():
            return near_misses(kind.items) | near_misses(kind.table)
        case Record():
            fields = {name: near_misses(field.kind) for name, field in kind.fields.items()}
            required = {name: each for name, each in fields.items() if kind.fields[name].required}
            optional = {name: each for name, each in fields.items() if name not in required}
            return st.fixed_dictionaries(required, optional=optional) | TREES
        case OneOf():
            return st.one_of([near_misses(record) for record in kind.kinds.values()])
        case _:
            return TREES


def taken_or_refused(files: dict[str, bytes]) -> None:
    try:
        recipe = parse_recipe(Path("x"), files)
    except SealiftError as exc:
        assert str(exc)
        return
    recipe_digest(recipe)


@settings(max_examples=150, deadline=None)
@given(st.fixed_dictionaries({name: near_misses(kind) for name, kind in FILES.items()}))
def test_any_values_are_taken_or_refused(documents: dict[str, Any]) -> None:
    taken_or_refused({name: yaml.safe_dump(value).encode() for name, value in documents.items()})


@settings(max_examples=150, deadline=None)
@given(
    st.sampled_from(list(FILES)),
    st.integers(0),
    st.integers(0, 40),
    st.sampled_from([b"", b": ", b"\n", b"*", b"[", b"\xff", b"'"]),
)
def test_a_damaged_file_of_a_good_recipe_is_taken_or_refused(name: str, place: int, count: int, filler: bytes) -> None:
    data = GOOD[name]
    place %= len(data)
    taken_or_refused(GOOD | {name: data[:place] + filler + data[place + count :]})


@settings(max_examples=100, deadline=None)
@given(st.binary(max_size=60) | st.text(max_size=60).map(lambda text: text.encode("utf-8", "replace")))
def test_any_bytes_are_taken_or_refused(data: bytes) -> None:
    for name in FILES:
        taken_or_refused(GOOD | {name: data})
    for parse in (parse_lock, lambda text: parse_chart_file(text, "Chart.yaml")):
        try:
            parse(data)
        except SealiftError as exc:
            assert str(exc)
