"""lock.yaml: one text per lock, read as strictly as a recipe."""

import random
from dataclasses import replace
from pathlib import Path

import hypothesis.strategies as st
import pytest
from hypothesis import given, settings

from builder.errors import RecipeError
from builder.lock.model import Lock, LockedChart, LockedFile, LockedInput, LockedSum, LockedTool
from builder.lock.text import format_lock, parse_lock, read_lock
from bundles.digest import Digest
from bundles.errors import ProblemsError

D = Digest("ab" * 32)
H1 = "h1:" + "A" * 43 + "="
GO = LockedInput(
    component="crictl",
    source="go:sigs.k8s.io/cri-tools@v1.34.0",
    h1=H1,
    sum=LockedSum(folder="go/crictl", digest=D, modules=121, unverified=("sigs.k8s.io/cri-tools",)),
    license="Apache-2.0",
)
DEB = LockedInput(
    component="socat",
    source="deb-source:bookworm/socat=1.7.4.4-2",
    files=(LockedFile(name="socat_1.7.4.4-2.dsc", size=1840, digest=D), LockedFile(name="a:b%3a", size=0, digest=D)),
)
FOLDER = LockedInput(component="tool", source="folder:src/tool", digest=D)
LOCK = Lock(
    recipe=D,
    bundle="rke2@v1.34.4-rke2r1",
    epoch=1771545600,
    tools=(LockedTool(source="go-toolchain:1.26.8", h1=H1, size=68123456),),
    buildroot=(),
    inputs=(GO, DEB, FOLDER),
    charts=(LockedChart(name="coredns", version="1.0.0", digest=D),),
)


def test_a_lock_reads_as_one_group_per_component() -> None:
    hexes = "ab" * 32
    assert (
        format_lock(LOCK)
        == f"""\
# Written by `sealift lock`. Review it like code; do not edit it.
sealift-lock: 1
recipe: sha256:{hexes}
bundle: rke2@v1.34.4-rke2r1
epoch: 1771545600
tools:
- {{source: go-toolchain:1.26.8, h1: {H1}, size: 68123456}}
buildroot: []
inputs:
- component: crictl
  source: go:sigs.k8s.io/cri-tools@v1.34.0
  license: Apache-2.0
  h1: {H1}
  sum: {{folder: go/crictl, sha256: {hexes}, modules: 121, unverified: [sigs.k8s.io/cri-tools]}}
- component: socat
  source: deb-source:bookworm/socat=1.7.4.4-2
  files:
  - {{name: socat_1.7.4.4-2.dsc, size: 1840, sha256: {hexes}}}
  - {{name: "a:b%3a", size: 0, sha256: {hexes}}}
- component: tool
  source: folder:src/tool
  sha256: {hexes}
charts:
- {{name: coredns, version: 1.0.0, sha256: {hexes}}}
"""
    )


def test_what_is_written_is_read_back_the_same() -> None:
    assert parse_lock(format_lock(LOCK)) == LOCK


def test_the_order_of_the_values_does_not_count() -> None:
    shuffled = list(LOCK.inputs)
    random.Random(1).shuffle(shuffled)
    assert format_lock(replace(LOCK, inputs=tuple(shuffled))) == format_lock(LOCK)


NAMES = st.from_regex(r"[a-z0-9][a-z0-9._-]{0,10}", fullmatch=True)
TEXTS = st.text(st.characters(blacklist_categories=["Cs", "Cc"]), min_size=1, max_size=12).filter(str.isprintable)
FILE_NAMES = st.from_regex(r"[A-Za-z0-9][A-Za-z0-9.+~:_%-]{0,10}", fullmatch=True)
VERSIONS = st.from_regex(r"[1-9]{1,5}\.[1-9]\.0(-[a-z]{1,3})?(\+[0-9a-z]{1,4})?", fullmatch=True)


@settings(max_examples=200, deadline=None)
@given(NAMES, TEXTS, FILE_NAMES, VERSIONS, st.integers(0, 10**15 - 1))
def test_any_texts_survive_writing_and_reading(name: str, one: str, file: str, version: str, number: int) -> None:
    sums = LockedSum(folder=f"go/{name}", digest=D, modules=number, unverified=(one,))
    files = (LockedFile(name=file, size=number, digest=D),)
    each = LockedInput(component=name, source="go:a@v1", h1=H1, license=one, sum=sums, files=files)
    lock = replace(LOCK, inputs=(each,), charts=(LockedChart(name=name, version=version, digest=D),))
    assert parse_lock(format_lock(lock)) == lock


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ("sealift-lock: 1", "sealift-lock: 2", "lock.yaml:2:sealift-lock"),
        ("epoch: 1771545600", "epoch: 0x10", "lock.yaml:5:epoch"),
        ("epoch:", "epoc:", "did you mean epoch?"),
        ("recipe: sha256:ab", "recipe: sha256:AB", "lock.yaml:3:recipe"),
        ("h1: h1:AAAA", "h1: h1:A", "lock.yaml:7:tools.0.h1"),
        ("component: socat", "component: abc", "abc deb-source:bookworm/socat=1.7.4.4-2 is out of order"),
        (
            "component: tool",
            "component: socat\n  source: deb-source:bookworm/socat=1.7.4.4-2\n"
            f"  files: [{{name: a, size: 1, sha256: {'ab' * 32}}}]\n- component: tool",
            "stands twice",
        ),
        ("folder: go/crictl", "folder: ../../etc", "a relative path"),
        ("folder: go/crictl", "folder: /etc", "a relative path"),
        ("size: 1840", "size: -1", "lock.yaml:18:inputs.1.files.0.size"),
        ("- component: crictl", "- &a component: crictl", "anchor"),
        ("charts:", "chart:", "did you mean charts?"),
    ],
)
def test_a_lock_that_we_did_not_write_is_refused_with_its_line(old: str, new: str, says: str) -> None:
    text = format_lock(LOCK)
    assert old in text
    with pytest.raises(ProblemsError) as caught:
        parse_lock(text.replace(old, new, 1))
    assert says in str(caught.value)


def test_a_missing_lock_says_how_to_make_it(tmp_path: Path) -> None:
    with pytest.raises(RecipeError) as caught:
        read_lock(tmp_path)
    assert f"sealift lock {tmp_path}" in caught.value.hint
    (tmp_path / "lock.yaml").write_text(format_lock(LOCK))
    assert read_lock(tmp_path) == LOCK
