"""Two locks compared, in words."""

from dataclasses import replace

import pytest

from builder.lock.difference import difference
from builder.lock.model import Lock, LockedChart, LockedFile, LockedInput, LockedSum, LockedTool
from bundles.digest import Digest

ONE, TWO = Digest("11" * 32), Digest("22" * 32)
SUM = LockedSum(folder="go/runc", digest=ONE, modules=40)
GO = LockedInput(component="runc", source="go:x.org/runc@v1.3.4", h1="h1:a", sum=SUM)
DEB = LockedInput(
    component="socat", source="deb-source:bookworm/socat=1-2", files=(LockedFile(name="f", size=1, digest=ONE),)
)
HERE = LockedInput(component="tool", source="folder:src/tool", digest=ONE)
LOCK = Lock(
    recipe=ONE,
    bundle="rke2@v1",
    epoch=0,
    tools=(LockedTool(source="go-toolchain:1.26.8", h1="h1:t", size=1),),
    buildroot=(),
    inputs=(GO, DEB, HERE),
    charts=(LockedChart(name="dns", version="1.0.0", digest=ONE),),
)


def inputs(*given: LockedInput) -> Lock:
    return replace(LOCK, inputs=given)


@pytest.mark.parametrize(
    ("new", "says"),
    [
        (LOCK, []),
        (
            replace(LOCK, bundle="rke2@v2", epoch=86400),
            ["bundle: rke2@v1 -> rke2@v2", "epoch: 1970-01-01T00:00:00Z -> 1970-01-02T00:00:00Z"],
        ),
        (replace(LOCK, recipe=TWO), ["recipe: it says something else now"]),
        (
            replace(LOCK, tools=(LockedTool(source="go-toolchain:1.27.0", h1="h1:t", size=1),)),
            ["go-toolchain: 1.26.8 -> 1.27.0"],
        ),
        (
            replace(LOCK, tools=(LockedTool(source="go-toolchain:1.26.8", h1="h1:u", size=1),)),
            ["go-toolchain: OTHER CONTENT under the same version 1.26.8"],
        ),
        (replace(LOCK, tools=()), ["go-toolchain: removed 1.26.8"]),
        (inputs(GO, DEB), ["tool: removed folder:src/tool"]),
        (inputs(GO, DEB, HERE, replace(HERE, component="new")), ["new: added folder:src/tool"]),
        (
            inputs(replace(GO, source="go:x.org/runc@v1.4.0", h1="h1:b"), DEB, HERE),
            ["runc: go:x.org/runc@v1.3.4 -> go:x.org/runc@v1.4.0"],
        ),
        (
            inputs(replace(GO, h1="h1:b"), DEB, HERE),
            ["runc: OTHER CONTENT under the same version go:x.org/runc@v1.3.4"],
        ),
        (
            inputs(replace(GO, sum=replace(SUM, digest=TWO, modules=41)), DEB, HERE),
            ["runc: modules: go/runc/go.mod or go.sum changed (40 -> 41 modules)"],
        ),
        (
            inputs(replace(GO, sum=replace(SUM, unverified=("m",))), DEB, HERE),
            ["runc: module m: trust on first use, the checksum database does not know it"],
        ),
        (
            inputs(GO, replace(DEB, files=(LockedFile(name="f", size=1, digest=TWO),)), HERE),
            ["socat: OTHER CONTENT of f under the same version"],
        ),
        (inputs(GO, replace(DEB, files=()), HERE), ["socat: file f removed"]),
        (inputs(GO, DEB, replace(HERE, digest=TWO)), ["tool: src/tool changed"]),
        (replace(LOCK, charts=(LockedChart(name="dns", version="1.0.1", digest=TWO),)), ["chart dns: 1.0.0 -> 1.0.1"]),
        (
            replace(LOCK, charts=(LockedChart(name="dns", version="1.0.0", digest=TWO),)),
            ["chart dns: changed under the same version 1.0.0"],
        ),
        (replace(LOCK, charts=()), ["chart dns: removed 1.0.0"]),
    ],
)
def test_every_change_is_told_in_words(new: Lock, says: list[str]) -> None:
    assert difference(LOCK, new) == says


def test_a_change_is_told_whenever_the_locks_differ() -> None:
    assert difference(LOCK, replace(LOCK, inputs=(replace(GO, license="MIT"), DEB, HERE))) == [
        "runc: license: unknown -> MIT"
    ]
    assert difference(LOCK, replace(LOCK, epoch=10**15 - 1))[0].startswith("epoch: ")
