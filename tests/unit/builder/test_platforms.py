"""One recipe for several platforms: what of a lock is for which, what is refused, and what must not change for it."""

from dataclasses import replace
from pathlib import Path, PurePosixPath

import pytest

from builder.build import read_sources
from builder.buildroot.cross import component_needs, config_site, machine_of, recipe_needs, stale, variables
from builder.buildroot.layout import merge
from builder.buildroot.model import BASE, BASE_PACKAGES
from builder.errors import RecipeError
from builder.lock.model import Lock, LockedChart, LockedFile, LockedInput, LockedSum, LockedTool
from builder.lock.perplatform import fits, lock_for, together, with_own_root
from builder.lock.text import format_lock, parse_lock, read_lock
from builder.plan.graph import Machine, content_ids, make_jobs
from builder.platforms import chosen, machine_last, one_of, recipe_for, refuse_other_machine
from builder.recipe.model import (
    AssembleImage,
    CompileComponent,
    DebComponent,
    FolderChart,
    GoComponent,
    Placement,
    Recipe,
)
from builder.steps.context import Job
from builder.steps.debfile import DebEntry
from builder.steps.tools import component_tools
from bundles.digest import Digest
from bundles.errors import MissingError, UsageError
from bundles.platform import Platform
from bundles.reference import Reference
from tests.support.stepping import AMD64, a_lock, a_recipe

RECIPES = Path(__file__).resolve().parents[3] / "recipes"
ARM64 = Platform(os="linux", architecture="arm64")
C = CompileComponent(
    name="c", source="./src", version="1", run=("make",), output={"c": PurePosixPath("c")}, needs=("libz-dev", "flex")
)
GO = GoComponent(name="go", module="example.test/go", version="v1.0.0", folder=None, packages={"helm": ""})
TAKEN = DebComponent(name="taken", package="tool", version="1", files={"tool": PurePosixPath("/bin/tool")})


def package(name: str, group: str, architecture: str = "amd64") -> LockedInput:
    plain = name.partition(":")[0]
    file = LockedFile(name=f"{plain}_1_{architecture}.deb", size=1, digest=Digest.of(f"{name}{architecture}".encode()))
    return LockedInput(component=group, source=f"deb:bookworm/{name}=1", files=(file,))


NATIVE = (*(package(name, "base") for name in BASE_PACKAGES), package("libz-dev", "libz-dev"), package("flex", "flex"))
CROSS = (
    package("gcc-aarch64-linux-gnu", "gcc-aarch64-linux-gnu"),
    package("libc6-dev:arm64", "libc6-dev.arm64", "arm64"),
    package("libz-dev:arm64", "libz-dev.arm64", "arm64"),
)


def recipe(*platforms: Platform, buildroot: str | None = "bookworm", helm: bool = False) -> Recipe:
    layers = (
        tuple(Placement(component=one.name, output=None, folder=PurePosixPath("/bin")) for one in (C, GO, TAKEN)),
    )
    image = AssembleImage(name="one", reference=Reference.parse("example.test/one:v1"), layers=layers)
    made = a_recipe(Path("/nowhere"), C, GO, TAKEN, images=(image,), go="1.26.8")
    made = replace(made, archives={"one": ("one",)}, buildroot=buildroot, platforms=platforms or (AMD64, ARM64))
    return replace(made, helm="go") if helm else made


def lock(*root: LockedInput) -> Lock:
    sums = LockedSum(folder="go/go", digest=Digest.of(b"sums"), modules=3)
    inputs = (
        LockedInput(component="c", source="folder:src", digest=Digest.of(b"src")),
        LockedInput(component="go", source="go:example.test/go@v1.0.0", h1=f"h1:{'A' * 43}=", sum=sums),
        package("tool", "taken"),
        package("tool", "taken", "arm64"),
    )
    tool = LockedTool(source="go-toolchain:1.26.8", h1=f"h1:{'A' * 43}=", size=1)
    return replace(a_lock(*inputs), tools=(tool,), buildroot=root or (*NATIVE, *CROSS))


def ids(made: Recipe, locked: Lock, platform: Platform) -> dict[str, Digest]:
    own, pinned = recipe_for(made, platform), with_own_root(recipe_for(made, platform), lock_for(locked, platform))
    return content_ids(make_jobs(own, pinned, platform, component_tools(own, pinned, platform, {"PATH": "/nowhere"})))


def test_a_second_platform_changes_no_content_id_of_the_first() -> None:
    assert ids(recipe(), lock(), AMD64) == ids(recipe(AMD64), lock(*NATIVE), AMD64)


def test_each_platform_has_steps_of_its_own_and_another_cross_compiler_only_changes_crossed_c() -> None:
    one, two = ids(recipe(), lock(), AMD64), ids(recipe(), lock(), ARM64)
    assert all(one[name] != two[name] for name in ("component c", "component go", "component taken"))
    newer = replace(CROSS[0], source=CROSS[0].source.replace("=1", "=2"))
    other = ids(recipe(), lock(*NATIVE, newer, *CROSS[1:]), ARM64)
    assert {name for name in two if name.startswith("component") and two[name] != other[name]} == {"component c"}
    assert ids(recipe(), lock(*NATIVE, newer, *CROSS[1:]), AMD64) == one


def test_libraries_are_the_platforms_and_tools_the_machines() -> None:
    assert component_needs(C, recipe(), ARM64, "amd64") == (
        "libz-dev:arm64", "flex", "gcc-aarch64-linux-gnu", "libc6-dev:arm64",
    )  # fmt: skip
    assert component_needs(C, recipe(), AMD64, "amd64") == ("libz-dev", "flex")
    assert component_needs(GO, recipe(), ARM64, "amd64") == ()
    assert recipe_needs(recipe(ARM64), "amd64") == (
        "flex",
        "gcc-aarch64-linux-gnu",
        "libc6-dev:arm64",
        "libz-dev:arm64",
    )


def test_a_lock_of_two_architectures_has_one_text_and_is_told_apart_by_file_names() -> None:
    locked = lock()
    assert format_lock(parse_lock(format_lock(locked))) == format_lock(locked)
    for platform in (AMD64, ARM64):
        (taken,) = lock_for(locked, platform).of("taken")
        assert taken.files[0].name == f"tool_1_{platform.architecture}.deb"
    assert together([lock_for(locked, AMD64).inputs, lock_for(locked, ARM64).inputs]) == (
        *locked.inputs[:3], locked.inputs[3],
    )  # fmt: skip


def test_what_is_for_all_architectures_fits_every_platform() -> None:
    assert fits(package("data", "taken", "all"), ARM64) and fits(package("data", "taken", "all"), AMD64)
    image = LockedInput(component="x", source="image:example.test/x:v1#linux/arm64")
    assert fits(image, ARM64) and not fits(image, AMD64)


def test_a_lock_without_the_cross_compiler_is_told_what_it_lacks() -> None:
    assert not stale(recipe(), (*NATIVE, *CROSS))
    assert "the build root lacks gcc-aarch64-linux-gnu" in stale(recipe(), NATIVE)
    assert any("which no component needs" in line for line in stale(recipe(AMD64), (*NATIVE, *CROSS)))


def test_c_for_another_machine_without_a_build_root_is_refused() -> None:
    with pytest.raises(RecipeError, match="build root alone") as caught:
        refuse_other_machine(recipe(ARM64, buildroot=None), lock(), AMD64)
    assert "c for linux/arm64" in str(caught.value)
    refuse_other_machine(recipe(AMD64, buildroot=None), replace(lock(), buildroot=()), AMD64)


def test_a_build_root_of_another_machine_is_refused() -> None:
    assert machine_of(lock().buildroot) == "amd64"
    with pytest.raises(MissingError, match="do not run here"):
        refuse_other_machine(recipe(ARM64), lock(), ARM64)
    refuse_other_machine(recipe(ARM64), lock(), AMD64)


def test_the_machines_own_platform_comes_last_and_an_unknown_one_is_refused() -> None:
    made = recipe(ARM64, AMD64)
    assert machine_last(chosen(recipe(), None), AMD64) == (ARM64, AMD64) == machine_last(made.platforms, AMD64)
    assert chosen(made, "linux/arm64") == (ARM64,)
    assert (one_of(made, None, AMD64), one_of(recipe(ARM64), None, AMD64)) == (AMD64, ARM64)
    with pytest.raises(UsageError, match="not a platform of the recipe"):
        chosen(made, "linux/riscv64")


def test_charts_of_another_platforms_bundle_are_rendered_by_this_machines_helm() -> None:
    charts = {"web": FolderChart(name="web", folder=PurePosixPath("charts/web"))}
    made = replace(recipe(helm=True), charts=charts)
    locked = lock()
    machine = Machine(platform=AMD64, lock=lock_for(locked, AMD64), tools={})
    own = recipe_for(made, ARM64)
    pinned = lock_for(locked, ARM64)
    pinned = replace(pinned, charts=(LockedChart(name="web", version="1", digest=Digest.of(b"web")),))
    layers = (*own.images["one"].layers, (Placement(component="charts", output=None, folder=PurePosixPath("/charts")),))
    own = replace(own, images={"one": replace(own.images["one"], layers=layers)})  # type: ignore[arg-type]
    jobs = make_jobs(own, pinned, ARM64, component_tools(own, pinned, ARM64, {}), machine=machine)
    steps = {job.step.name: job for job in jobs if isinstance(job, Job)}
    crossed, here = steps["component go"], steps["component go for linux/amd64"]
    assert here.platform == AMD64 and crossed.platform is None
    assert steps["render web"].step.needs[0] == here.step.name
    assert content_ids(jobs)[here.step.name] == ids(recipe(), locked, AMD64)["component go"]


def test_commands_are_told_nothing_new_on_the_machines_own_platform() -> None:
    assert variables(AMD64, "amd64", "/usr/bin") == {} == variables(ARM64, "", "/usr/bin")
    assert variables(ARM64, "amd64", "/usr/bin")["PATH"] == "/cross/aarch64-linux-gnu:/usr/bin"
    assert "cross_compiling=yes" in config_site(ARM64, "amd64")


def test_a_cross_compiler_has_plain_names_in_a_folder_of_its_own() -> None:
    program = DebEntry(kind="file", mode=0o755)
    tree = merge({
        "gcc_1_amd64.deb": {"usr/bin/gcc": program, "usr/bin/x86_64-linux-gnu-gcc": program},
        "gcc-aarch64-linux-gnu_1_amd64.deb": {
            "usr/bin/aarch64-linux-gnu-gcc": program, "usr/lib/gcc-cross/aarch64-linux-gnu/12/cc1": program,
        },
    })  # fmt: skip
    crossed = {path: target for path, target in tree.links.items() if path.startswith("cross/")}
    assert crossed == {
        "cross/aarch64-linux-gnu/cc": "/usr/bin/aarch64-linux-gnu-gcc",
        "cross/aarch64-linux-gnu/gcc": "/usr/bin/aarch64-linux-gnu-gcc",
    }


def test_the_default_recipe_for_arm64_pins_what_the_default_pins_but_for_packages() -> None:
    base, arm = (read_lock(RECIPES / name) for name in ("rke2-v1.34", "rke2-v1.34-arm64"))
    sources = read_sources(RECIPES / "rke2-v1.34-arm64")
    assert sources.recipe.platforms == (ARM64,) and arm.epoch == base.epoch and arm.tools == base.tools
    names = {each.component for each in (*base.inputs, *arm.inputs)}
    assert {name for name in names if base.of(name) != arm.of(name)} == {"base", "firewall"}
    assert [each for each in arm.buildroot if each.component == BASE] == [
        each for each in base.buildroot if each.component == BASE
    ]
