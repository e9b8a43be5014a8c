"""The contract of every reader, without a fuzzer: any bytes, and any damage to good ones, are taken or refused."""

import importlib
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.fuzz import run

MODULES: dict[str, Any] = {name: importlib.import_module(f"{run.TARGETS}.{name}") for name in run.known()}
SEEDS = {name: tuple(module.TARGET.seeds()) for name, module in MODULES.items()}
HALF = settings(max_examples=settings().max_examples // 2)  # there are fifty readers
READERS = [(name, number) for name, module in MODULES.items() for number in range(len(module.READERS))]


def name_of(value: object) -> str:
    """Names of readers for people."""
    if not isinstance(value, tuple):
        return ""
    name, number = value
    return f"{name}: {list(MODULES[name].READERS)[number]}"


@st.composite
def damaged(draw: st.DrawFn, good: list[bytes]) -> bytes:
    """Good bytes with a piece of them taken out, and another put in."""
    data = draw(st.sampled_from(good))
    at, count = draw(st.integers(0, len(data))), draw(st.integers(0, 40))
    start = draw(st.integers(0, len(data)))
    piece = draw(st.binary(max_size=9) | st.just(data[start : start + count]) | st.just(b"\xff" * count))
    return data[:at] + piece + data[at + draw(st.sampled_from([0, 1, len(piece), count])) :]


@pytest.mark.parametrize("reader", READERS, ids=name_of)
@HALF
@given(data=st.data())
def test_any_bytes_are_taken_or_refused(reader: tuple[str, int], data: st.DataObject) -> None:
    name, number = reader
    good = [seed[1:] for seed in SEEDS[name] if seed[0] == number]
    MODULES[name].TARGET.read(bytes([number]) + data.draw(damaged(good) | st.binary(max_size=200)))
