"""What steps took is remembered for people, and decides nothing."""

import os
from pathlib import Path

from builder.build import BuildOptions, build, one_platform, plan_build, read_sources
from builder.progress import SilentTalk
from builder.space import estimate
from builder.store import Store
from builder.summary import plan_document, plan_lines
from builder.times import Times, Took
from bundles.platform import Platform
from tests.support.recipes import tiny_recipe


def test_the_longest_run_in_a_store_is_the_cold_one(tmp_path: Path) -> None:
    times = Times(Store(tmp_path))
    times.note("component runc", 193.2)
    assert times.of(["component runc"])["component runc"].words == "193 s"
    times.note("component runc", 12.4)
    assert times.of(["component runc", "component x"]) == {"component runc": Took(cold=193_200, last=12_400)}
    assert times.of(["component runc"])["component runc"].words == "12 s, cold 193 s"
    times.note("component runc", 201.0)  # a new compiler: nothing in the caches is of use
    assert times.of(["component runc"])["component runc"] == Took(cold=201_000, last=201_000)
    times.note("layer x 1", 0.5)
    assert not times.of(["layer x 1"])


def test_damaged_notes_and_stores_that_cannot_be_written_cost_nothing(tmp_path: Path) -> None:
    store = Store(tmp_path)
    times = Times(store)
    times.note("one", 2)
    (note,) = (store.root / "times").iterdir()
    note.write_bytes(b'{"cold": []}')
    assert not times.of(["one"])
    (tmp_path / "file").write_bytes(b"")
    store.root = tmp_path / "file"  # below a file nothing can be made
    Times(store).note("one", 2)


def test_the_plan_tells_what_was_measured_and_estimates_with_it(tmp_path: Path) -> None:
    sources = read_sources(tiny_recipe(tmp_path / "recipe"))
    store = Store(tmp_path / "store")
    plan = plan_build(sources, one_platform(sources.recipe), store, os.environ)
    space = estimate(plan, store)
    before = plan_lines(sources.recipe, plan, space, 2)
    Times(store).note("component tool", 900)
    times = Times(store).of(plan.rows)
    after = plan_lines(sources.recipe, plan, space, 2, times)
    assert any("component tool" in line and "took 900 s" in line for line in after)
    assert "min with 2 jobs" in after[-2] and "min with 2 jobs" not in before[-2]
    assert "15 min cold, 15 min as it last ran here" in after[-1]
    Times(store).note("component tool", 60)
    whole = plan_lines(sources.recipe, plan, space, 2, Times(store).of(plan.rows))[-1]
    assert "about 15 min cold" in whole and "15 min as" not in whole
    (step,) = (each for each in plan_document(sources.recipe, plan, space, times)["steps"] if "took" in each)
    assert step["name"] == "component tool" and step["took"] == {"cold": 900_000, "last": 900_000}


def test_a_build_notes_what_its_steps_took_and_no_byte_depends_on_it(tmp_path: Path) -> None:
    recipe, ticks = tiny_recipe(tmp_path / "recipe"), iter(range(0, 10_000, 7))
    options = BuildOptions(
        output=tmp_path / "out",
        store=Store(tmp_path / "store"),
        talk=SilentTalk(),
        host=Platform.parse("linux/amd64"),
        env=os.environ,
        clock=lambda: float(next(ticks)),
    )
    first = build(recipe, options)
    assert Times(options.store).of(["component tool"])["component tool"].cold >= 7000
    Times(options.store).note("component tool", 1)
    assert build(recipe, options).index == first.index
