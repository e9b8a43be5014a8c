"""One line of the default recipe's lock changes: exactly the steps that it decides get another content id.

With a build root, with and without BoringCrypto. Pure: nothing is fetched or built. The lock is the real one; where
it pins no build root, made-up packages stand for it, since an id knows packages by version and digest alone.
"""

import functools
import re
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path

import pytest

from builder.buildroot.model import BASE, BASE_PACKAGES, c_packages, group_of, needs_of, package_of
from builder.lock.model import Lock, LockedFile, LockedInput
from builder.lock.text import format_lock, parse_lock, read_lock
from builder.plan.graph import content_ids, make_jobs
from builder.recipe.model import CompileComponent, Fips, GoComponent, Recipe
from builder.recipe.read import read_recipe
from builder.steps.tools import component_tools
from bundles.digest import Digest
from bundles.platform import Platform

AMD64 = Platform.parse("linux/amd64")
DEFAULT = Path(__file__).resolve().parents[3] / "recipes/rke2-v1.34"
C = {"runc", "flannel", "socat", "pause"}  # by hand: what compiles C without any FIPS mode
MODES = (Fips.OFF, Fips.BORINGCRYPTO)


@functools.cache
def recipe(fips: Fips) -> Recipe:
    """The default recipe in one mode, whatever components say for themselves today."""
    found = read_recipe(DEFAULT)
    plain = {
        name: replace(each, fips=None, fips_reason="") if isinstance(each, GoComponent) else each
        for name, each in found.components.items()
    }
    return replace(found, buildroot="bookworm", fips=fips, components=plain)


@functools.cache
def lock() -> Lock:
    found = read_lock(DEFAULT)
    return found if found.buildroot else replace(found, buildroot=tuple(made_up_root()))


def made_up_root() -> Iterable[LockedInput]:
    needs = {need for each in recipe(Fips.OFF).components.values() for need in needs_of(each)}
    names = [(BASE, name) for name in (*BASE_PACKAGES, "libc6", "gcc-12")]
    names += [(group_of(need), need) for need in sorted(needs - set(BASE_PACKAGES))]
    for group, name in names:
        file = LockedFile(name=f"{name}_1.0_amd64.deb", size=7, digest=Digest.of(name.encode()))
        yield LockedInput(component=group, source=f"deb:bookworm/{name}=1.0", files=(file,))


def ids(fips: Fips, locked: Lock) -> Mapping[str, Digest]:
    made = recipe(fips)
    return content_ids(make_jobs(made, locked, AMD64, component_tools(made, locked, AMD64, {})))


@functools.cache
def before(fips: Fips) -> Mapping[str, Digest]:
    return ids(fips, lock())


def edited(old: str, new: str) -> Lock:
    """The lock with one line of its text changed."""
    text = format_lock(lock())
    assert sum(old in line for line in text.splitlines()) >= 1, old
    return parse_lock(text.replace(old, new))


def other_hex(digest: Digest) -> tuple[str, str]:
    return digest.hex, Digest.of(digest.hex.encode()).hex


def package(name: str) -> LockedInput:
    return next(each for each in lock().buildroot if package_of(each)[0] == name)


def with_new(name: str) -> Lock:
    """Another build of a package of the build root: other bytes, the same version."""
    return edited(*other_hex(package(name).files[0].digest))


def below(fips: Fips, first: Iterable[str]) -> set[str]:
    """These steps, and all that need them, directly or not."""
    found = set(first)
    made = recipe(fips)
    for job in make_jobs(made, lock(), AMD64, component_tools(made, lock(), AMD64, {})):
        if not found.isdisjoint(job.step.needs):
            found.add(job.step.name)
    return found


def changed(fips: Fips, locked: Lock) -> set[str]:
    after = ids(fips, locked)
    assert after.keys() == before(fips).keys()
    return {name for name in after if after[name] != before(fips)[name]}


def steps(names: Iterable[str]) -> set[str]:
    return {f"component {name}" for name in names}


def go_components() -> set[str]:
    made = recipe(Fips.OFF).components
    return {name for name, each in made.items() if isinstance(each, GoComponent)}


@pytest.mark.parametrize("fips", MODES)
@pytest.mark.parametrize("name", ["gcc", "binutils", "libc6-dev", "make", "dash"])
def test_a_new_package_of_the_base_is_a_new_build_of_what_compiles_c_and_of_nothing_else(fips: Fips, name: str) -> None:
    compiled = C | (go_components() if fips is Fips.BORINGCRYPTO else set())
    assert changed(fips, with_new(name)) == below(fips, steps(compiled))


@pytest.mark.parametrize("fips", MODES)
def test_a_new_library_is_a_new_build_of_what_asks_for_it(fips: Fips) -> None:
    assert changed(fips, with_new("libseccomp-dev")) == below(fips, steps({"runc"}))


@pytest.mark.parametrize("fips", MODES)
def test_what_unpacks_debian_sources_decides_what_is_built_from_them(fips: Fips) -> None:
    assert changed(fips, with_new("dpkg-dev")) == below(fips, steps({"socat"}))


@pytest.mark.parametrize("fips", MODES)
def test_another_version_of_a_package_counts_though_its_bytes_were_the_same(fips: Fips) -> None:
    source = package("libseccomp-dev").source
    assert changed(fips, edited(source, f"{source}.1")) == below(fips, steps({"runc"}))


@pytest.mark.parametrize("fips", MODES)
def test_a_new_go_toolchain_is_a_new_build_of_go_programs_alone(fips: Fips) -> None:
    (tool,) = lock().tools
    new = f"h1:{'A' * 43}="
    assert changed(fips, edited(tool.h1, new)) == below(fips, steps(go_components()))


@pytest.mark.parametrize("name", ["runc", "etcd", "coredns"])
def test_another_module_or_another_go_sum_is_a_new_build_of_its_component(name: str) -> None:
    (locked,) = lock().of(name)
    assert locked.h1 and locked.sum
    want = below(Fips.OFF, steps({name}))
    assert changed(Fips.OFF, edited(locked.h1, f"h1:{'B' * 43}=")) == want
    assert changed(Fips.OFF, edited(*other_hex(locked.sum.digest))) == want


@pytest.mark.parametrize("name", ["base", "firewall"])
def test_another_package_of_a_userland_is_another_layer_and_nothing_compiled(name: str) -> None:
    own = {each.source: each.files[0].digest for each in lock().of(name)}
    shared = {each.source for each in lock().inputs if each.component != name}
    digest = next(digest for source, digest in own.items() if source not in shared)
    got = changed(Fips.OFF, edited(*other_hex(digest)))
    assert got == below(Fips.OFF, steps({name})) and steps({name}) == {each for each in got if "component" in each}


def test_another_source_of_a_c_program_is_that_program() -> None:
    (socat,) = lock().of("socat")
    for file in socat.files:
        assert changed(Fips.OFF, edited(*other_hex(file.digest))) == below(Fips.OFF, steps({"socat"}))


def test_another_chart_compiles_nothing() -> None:
    chart = next(each for each in lock().charts if each.name == "coredns")
    got = changed(Fips.OFF, edited(*other_hex(chart.digest)))
    assert got == below(Fips.OFF, {"chart coredns"}) and not steps(recipe(Fips.OFF).components) & got


def test_another_time_is_no_other_go_program() -> None:
    """Layers, charts and C have the lock's time in them; programs of pure Go have none."""
    got = changed(Fips.OFF, edited(f"epoch: {lock().epoch}", f"epoch: {lock().epoch + 1}"))
    compiled = {each for each in got if each.startswith("component ")}
    made = recipe(Fips.OFF).components
    assert compiled == steps(name for name, each in made.items() if isinstance(each, CompileComponent))


def test_lines_that_decide_no_bytes_change_no_id() -> None:
    """The recipe's digest: what it says that counts is in the steps already."""
    assert changed(Fips.OFF, edited(*other_hex(lock().recipe))) == set()
    assert changed(Fips.OFF, replace(lock(), buildroot=tuple(reversed(lock().buildroot)))) == set()


def test_a_mode_for_all_go_programs_is_a_new_build_of_all_of_them_and_of_no_c_program() -> None:
    new = {name for name, found in before(Fips.BORINGCRYPTO).items() if found != before(Fips.OFF)[name]}
    assert new == below(Fips.OFF, steps(go_components()))


def test_every_line_with_a_digest_decides_something() -> None:
    """No pin is there for show: of each entry's first digest another one is another id."""
    made = recipe(Fips.BORINGCRYPTO)
    groups = {BASE, *(group_of(need) for name in c_packages(made) for need in needs_of(made.components[name]))}
    for line in format_lock(lock()).splitlines():
        found = re.search(r"(?:sha256: |h1:)([0-9a-f]{64}|[A-Za-z0-9+/]{43})", line)
        if found is None or line.startswith("recipe:"):
            continue
        old = found[1]
        new = Digest.of(old.encode()).hex[: len(old)] if len(old) == 64 else "C" * 43
        assert changed(Fips.BORINGCRYPTO, edited(old, new)), line
    assert {each.component for each in lock().buildroot} <= groups
