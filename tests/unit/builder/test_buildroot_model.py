"""Which packages a component is compiled in, and which steps another package makes other steps."""

from dataclasses import replace
from pathlib import Path, PurePosixPath

import pytest

from builder.buildroot.cross import stale
from builder.buildroot.keep import collect_roots, roots_of
from builder.buildroot.locking import lock_buildroot
from builder.buildroot.model import BASE_PACKAGES, closure, closure_digest, foreign, needs_of
from builder.errors import RecipeError
from builder.lock.model import Lock, LockedFile, LockedInput, LockedSum, LockedTool
from builder.plan.graph import content_ids, make_jobs
from builder.recipe.model import (
    AssembleImage,
    CompileComponent,
    Fips,
    GoComponent,
    Placement,
    Recipe,
)
from builder.sources.apt import AptClient
from builder.steps.tools import component_tools
from builder.store import ASIDE, Store
from bundles.digest import Digest
from bundles.reference import Reference
from tests.support.stepping import AMD64, a_lock, a_recipe

SOCAT = CompileComponent(
    name="socat", source="deb-source:socat=1.7", version="1.7", run=("make",), output={"socat": PurePosixPath("socat")}
)
PAUSE = CompileComponent(
    name="pause", source="./src", version="1", run=("gcc",), output={"pause": PurePosixPath("pause")}, needs=("gcc",)
)
RUNC = GoComponent(
    name="runc",
    module="example.test/runc",
    version="v1.0.0",
    folder=None,
    packages={"runc": ""},
    cgo=True,
    needs=("libseccomp-dev",),
)
PLAIN = replace(RUNC, name="plain", packages={"plain": ""}, cgo=False, needs=())


def package(name: str, group: str = "base", version: str = "1", suite: str = "bookworm") -> LockedInput:
    file = LockedFile(name=f"{name}_{version}_amd64.deb", size=1, digest=Digest.of(f"{name}{version}".encode()))
    return LockedInput(component=group, source=f"deb:{suite}/{name}={version}", files=(file,))


ROOT = (
    *(package(name) for name in BASE_PACKAGES),
    package("libseccomp-dev", "libseccomp-dev"),
    package("libseccomp2", "libseccomp-dev"),
    package("dpkg-dev", "dpkg-dev"),
)


def recipe(fips: Fips = Fips.OFF, buildroot: str | None = "bookworm") -> Recipe:
    layers = (tuple(Placement(component=c.name, output=None, folder=PurePosixPath("/bin")) for c in
                    (SOCAT, PAUSE, RUNC, PLAIN)),)  # fmt: skip
    image = AssembleImage(name="one", reference=Reference.parse("example.test/one:v1"), layers=layers)
    made = a_recipe(Path("/nowhere"), SOCAT, PAUSE, RUNC, PLAIN, images=(image,), go="1.26.8", fips=fips)
    return replace(made, archives={"one": ("one",)}, buildroot=buildroot)


def lock(packages: tuple[LockedInput, ...] = ROOT) -> Lock:
    sums = LockedSum(folder="go/x", digest=Digest.of(b"sums"), modules=3)
    go = [
        LockedInput(component=name, source="go:example.test/runc@v1.0.0", h1="h1:any", sum=sums)
        for name in ("runc", "plain")
    ]
    c = LockedInput(component="pause", source="folder:src", digest=Digest.of(b"src"))
    socat = LockedInput(component="socat", source="deb-source:bookworm/socat=1.7", files=package("x").files)
    tool = LockedTool(source="go-toolchain:1.26.8", h1="h1:any", size=1)
    return replace(a_lock(*go, c, socat), tools=(tool,), buildroot=packages)


def ids(packages: tuple[LockedInput, ...] = ROOT, fips: Fips = Fips.OFF) -> dict[str, Digest]:
    """Content ids of the components; asking the machine for a compiler would fail here: there is no PATH."""
    made, locked = recipe(fips), lock(packages)
    jobs = make_jobs(made, locked, AMD64, component_tools(made, locked, AMD64, {"PATH": "/nowhere"}))
    found = content_ids(jobs)
    return {name: found[f"component {name}"] for name in ("socat", "pause", "runc", "plain")}


def changed(name: str, fips: Fips = Fips.OFF) -> set[str]:
    other = tuple(package(name, each.component, "2") if f"/{name}=" in each.source else each for each in ROOT)
    assert other != ROOT
    one, two = ids(fips=fips), ids(other, fips)
    return {component for component in one if one[component] != two[component]}


def test_another_compiler_is_another_step_for_what_it_compiles_and_for_nothing_else() -> None:
    assert changed("gcc") == {"socat", "pause", "runc"}
    assert changed("libseccomp2") == {"runc"}
    assert changed("dpkg-dev") == {"socat"}


def test_with_boringcrypto_another_compiler_is_another_step_for_every_go_program() -> None:
    assert changed("gcc", Fips.BORINGCRYPTO) == {"socat", "pause", "runc", "plain"}
    assert changed("gcc", Fips.GO_NATIVE) == {"socat", "pause", "runc"}


def test_the_order_of_the_lock_and_what_others_need_do_not_count() -> None:
    assert ids() == ids(tuple(reversed(ROOT)))
    assert ids()["runc"] == ids((*ROOT, package("flex", "flex")))["runc"]


def test_a_root_is_the_base_and_what_the_component_needs_beyond_it() -> None:
    names = {each.source.partition("/")[2] for each in closure(ROOT, needs_of(RUNC))}
    assert {"libseccomp-dev=1", "libseccomp2=1", "gcc=1"} < names and "dpkg-dev=1" not in names
    assert closure(ROOT, ("gcc", "make")) == closure(ROOT, ())
    assert closure_digest(closure(ROOT, ())) != closure_digest(closure(ROOT, needs_of(SOCAT)))


def test_what_the_lock_lacks_is_said_by_name() -> None:
    with pytest.raises(RecipeError, match="libfoo-dev"):
        closure(ROOT, ("libfoo-dev",))
    with pytest.raises(RecipeError, match="two versions") as caught:
        closure((*ROOT, package("gcc", "libseccomp-dev", "2")), needs_of(RUNC))
    assert "gcc" in str(caught.value)


def test_a_lock_is_stale_when_its_build_root_is_not_the_recipes() -> None:
    made = recipe()
    assert stale(made, ROOT) == ()
    assert stale(replace(made, buildroot=None), ROOT) and not stale(replace(made, buildroot=None), ())
    assert "the build root lacks gcc" in stale(made, ())
    assert stale(made, ROOT[:-1]) == ("the build root lacks dpkg-dev",)
    assert "which no component needs" in stale(made, (*ROOT, package("flex", "flex")))[0]
    assert "the recipe wants trixie" in stale(replace(made, buildroot="trixie"), ROOT)[0]


def test_updates_and_security_are_of_the_release_and_nothing_else_is() -> None:
    good = (package("a"), package("b", suite="bookworm-security"), package("c", suite="bookworm-updates"))
    assert foreign(good, "bookworm") == ()
    bad = (package("a", suite="trixie"), package("b", suite="bookwormx"), package("c", suite="nodistro"))
    assert len(foreign(bad, "bookworm")) == 3


def test_a_lock_that_serves_stays_without_asking_apt(tmp_path: Path) -> None:
    nobody = AptClient(store=Store(tmp_path), host_env={}, architecture="amd64", offline=True)
    assert lock_buildroot(nobody, recipe(), ROOT, print) == ROOT
    more = package("flex", "flex")
    assert lock_buildroot(nobody, recipe(), (*ROOT, more), print) == ROOT  # what nobody needs any more goes
    assert lock_buildroot(nobody, recipe(buildroot=None), ROOT, print) == ()


def test_cleaning_a_store_keeps_the_roots_that_are_asked_for_and_no_others(tmp_path: Path) -> None:
    store, keep = Store(tmp_path), roots_of(recipe(), lock())
    assert len(keep) == 3  # the base, with libseccomp, with dpkg-dev
    old = Digest.of(b"old")
    for digest in (*keep, old):
        (store.roots / digest.hex / "usr").mkdir(parents=True)
        (store.roots / f"{digest.hex}.json").write_text("{}")
        (store.go_build_within(digest) / "x").write_text("x")
    (store.roots / f"{ASIDE}x").mkdir()
    (store.go_build / "y").write_text("y")
    collect_roots(store, keep)
    assert {path.name for path in store.roots.iterdir() if path.is_dir()} == {digest.hex for digest in keep}
    assert not store.go_build_within(old).joinpath("x").exists() and (store.go_build / "y").exists()
    assert all(store.go_build_within(digest).joinpath("x").exists() for digest in keep)
    assert roots_of(recipe(buildroot=None), lock()) == frozenset()
