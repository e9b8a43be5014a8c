"""Locking and fetching against the registries that this machine's clients are set up for."""

import os
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from builder.fetch import FetchOptions, fetch
from builder.lock.model import LockedInput
from builder.lock.text import read_lock
from builder.recipe.model import GoComponent
from builder.recipe.read import read_recipe
from builder.resolve import ResolveOptions, resolve
from builder.sources.apt import AptClient
from builder.sources.deb import WantedPackage, lock_package
from builder.sources.verified import Verified
from builder.store import Store, default_root
from bundles.errors import MissingError
from bundles.platform import from_machine

pytestmark = pytest.mark.real
RECIPE = Path(__file__).resolve().parents[2] / "recipes/rke2-v1.34"
HOST = from_machine(os.uname().sysname, os.uname().machine)


@pytest.fixture(scope="module")
def store() -> Store:
    """The store that the bundles were built with: what is there already is not asked for again."""
    return Store(default_root(os.environ))


def test_the_committed_lock_is_what_the_registries_serve(store: Store) -> None:
    recipe = read_recipe(RECIPE)
    old = read_lock(RECIPE)
    options = ResolveOptions(store=store, host=HOST, env=dict(os.environ), now=0, refresh=True)
    new = resolve(recipe, old, options).lock
    assert replace(new, epoch=old.epoch) == old


def test_everything_locked_can_be_fetched_and_is_then_there_offline(store: Store) -> None:
    recipe, lock = read_recipe(RECIPE), read_lock(RECIPE)
    options = FetchOptions(store=store, host=HOST, env=dict(os.environ))
    fetch(recipe, lock, options)
    assert fetch(recipe, lock, replace(options, offline=True)) == ()


def test_modules_beside_the_recipe_are_generated_with_sums_that_the_database_knows(
    store: Store, tmp_path: Path
) -> None:
    recipe = read_recipe(RECIPE)
    component = recipe.components["runc"]
    assert isinstance(component, GoComponent)
    alone = replace(recipe, folder=tmp_path, components={"runc": component}, charts={}, helm=None, buildroot=None)
    made = resolve(alone, None, ResolveOptions(store=store, host=HOST, env=dict(os.environ), now=1))
    (entry,) = made.lock.inputs
    committed = next(each for each in read_lock(RECIPE).inputs if each.component == "runc")
    assert entry.h1 == committed.h1 and entry.sum is not None and entry.sum.unverified == ()
    assert {path.name for path in made.files} == {"go.mod", "go.sum", "tools.go"}


def test_a_binary_package_is_the_one_that_dpkg_reads(tmp_path: Path) -> None:
    store = Store(tmp_path)
    architecture = HOST.architecture
    client = AptClient(store=store, host_env=dict(os.environ), architecture=architecture)
    client.ensure_lists()
    with pytest.raises(MissingError) as caught:
        client.find("busybox-static=0", source=False)
    version = caught.value.got.split(", ")[-1]
    locked: LockedInput = lock_package(client, "busybox", f"busybox-static={version}", source=False)
    WantedPackage(name=locked.source, client=client, verified=Verified(store), files=locked.files).fetch()
    fields = subprocess.run(
        ["dpkg-deb", "--field", str(store.path(locked.files[0].digest)), "Package", "Version", "Architecture"],
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    assert fields == f"Package: busybox-static\nVersion: {version}\nArchitecture: {architecture}\n"
