"""The images that charts ask for: found by rendering, and held against those of the archives."""

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path, PurePosixPath
from typing import Any

import pytest
import yaml

from builder.askers import askers, check_images
from builder.errors import RecipeError, StepError
from builder.facts.asked import images_asked
from builder.plan.model import Receipt, content_id
from builder.recipe.model import AssembleImage, FolderChart, Recipe
from builder.steps import render
from builder.store import Store
from bundles.digest import Digest
from bundles.reference import Reference
from tests.support.stepping import a_recipe, run_job, stored

CHART = FolderChart(name="dns", folder=PurePosixPath("charts/dns"))
POD = """
kind: Deployment
metadata: {name: dns}
spec: {template: {spec: {
  initContainers: [{image: "a/init:1"}], containers: [{image: "index.docker.io/a/main:1"}, {name: none}]}}}
---
kind: List
items:
- {kind: Job, metadata: {name: once}, spec: {containers: [{image: "a/main:1"}]}}
- {kind: Operator, metadata: {name: op}, spec: {image: "r.site/op@sha256:%s"}}
---
kind: ConfigMap
metadata: {name: text}
data: {pod: "image: a/not:1", image: ""}
---
""" % ("0" * 64)
# A helm that answers with what its values file holds; with a registry in front where it is told one.
HELM = """#!/bin/sh
for word; do case $word in
  --values=*) values=${word#--values=};;
  global.systemDefaultRegistry=*) registry=${word#*=};;
esac; done
echo "$@" >> "$HOME/../calls" 2>/dev/null
grep -q broken "$values" && { echo "no such template" >&2; exit 1; }
grep -q odd "$values" && { echo "a: [b"; exit; }
grep -q more "$values" && more="{image: '${registry:+$registry/}a/more:1'}"
grep -q stubborn "$values" && more="{image: 'b/own:1'}"
grep -q wrong "$values" && more="{image: '${registry:+$registry/}A/wrong'}"
echo "{kind: Pod, metadata: {name: dns}, spec: {containers: [{image: '${registry:-index.docker.io}/a/main:1'}, $more]}}"
"""


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "store")


def rendered(store: Store, *sets: Mapping[str, object]) -> Receipt:
    chart = replace(CHART, discover=tuple(sets))
    packaged = replace(stored(store, dns_tgz=b"packed"), facts={"archive": "dns.tgz"})
    needed = {"component helm": stored(store, helm=HELM.encode()), "chart dns": packaged}
    return run_job(render.describe(chart, "helm"), a_recipe(Path("/nowhere")), store, needed=needed)


def test_images_are_found_wherever_they_stand() -> None:
    documents: list[Any] = list(yaml.safe_load_all(POD))
    assert images_asked(documents) == [
        ("a/init:1", "Deployment dns"),
        ("a/main:1", "Job once"),
        ("index.docker.io/a/main:1", "Deployment dns"),
        (f"r.site/op@sha256:{'0' * 64}", "Operator op"),
    ]


def test_every_value_set_is_rendered(store: Store) -> None:
    assert rendered(store).facts == {"images": {"docker.io/a/main:1": ["Pod dns"]}}
    found = rendered(store, {}, {"more": True}).facts["images"]
    assert found == {"docker.io/a/main:1": ["Pod dns"], "docker.io/a/more:1": ["Pod dns"]}


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"stubborn": True}, r'Pod dns with {"stubborn": true}: b/own:1 ignores global.systemDefaultRegistry'),
        ({"wrong": 1}, "not an image reference"),
        ({"broken": 1}, "no such template"),
        ({"odd": 1}, "helm rendered no YAML"),
    ],
)
def test_charts_that_would_pull_from_elsewhere_or_do_not_render_fail(
    store: Store, values: dict[str, object], words: str
) -> None:
    with pytest.raises(StepError, match=words):
        rendered(store, {}, values)


def test_other_values_are_another_step() -> None:
    needs = {"component helm": Digest.of(b"h"), "chart dns": Digest.of(b"c")}
    one, two = (render.describe(replace(CHART, discover=sets), "helm").step for sets in ((), ({"a": 1},)))
    assert content_id(one, needs) != content_id(two, needs)
    assert one.needs == ("component helm", "chart dns")
    json.dumps(one.description)


def image(name: str) -> AssembleImage:
    return AssembleImage(name=name, reference=Reference.parse(f"a/{name}:1"), layers=())


def recipe(*archived: str, **asks: tuple[str, ...]) -> Recipe:
    images = tuple(image(name) for name in ("rke2-runtime", "main", "more", "pause"))
    made = a_recipe(Path("site"), images=images, charts=(CHART,))
    return replace(made, helm="helm", asks=asks, archives={"rke2-runtime": ("rke2-runtime",), "core": archived})


def receipts(*images: str) -> dict[str, Receipt]:
    found = {f"docker.io/a/{name}:1": ["Deployment dns", "Job once"] for name in images}
    return {"render dns": Receipt(outputs={}, facts={"images": found})}


def test_archives_with_what_is_asked_for_pass_and_say_why() -> None:
    site = recipe("main", "pause", sandboxes=("pause",), others=("main",))
    check_images(site, receipts("main"))
    names = {image: [who.name for who in found] for image, found in askers(site, receipts("main")).items()}
    assert names == {"docker.io/a/pause:1": ["sandboxes"], "docker.io/a/main:1": ["others", "chart dns"]}


def test_a_missing_image_names_who_asks_and_a_superfluous_one_its_archive() -> None:
    with pytest.raises(RecipeError) as caught:
        check_images(recipe("more", sandboxes=("pause",), others=("pause",)), receipts("main"))
    rows = str(caught.value)
    assert "docker.io/a/main:1 is in no archive; chart dns (Deployment dns, Job once) asks for it" in rows
    assert "docker.io/a/pause:1 is in no archive; sandboxes and others ask for it" in rows
    assert "docker.io/a/more:1 in core: nobody asks for it" in rows
    assert "rke2-runtime:1" not in rows


def test_a_recipe_without_helm_is_taken_at_its_word() -> None:
    site = replace(recipe("more"), helm=None)
    check_images(site, {})
    assert askers(site, {}) == {}


@pytest.mark.parametrize(
    "rendered",
    [
        b"a: [",
        b"a: " + b"[" * 9_000 + b"]" * 9_000,
        b"{[1]: 2}",
        b"a: !!timestamp 2001-99-99",
        b"a: " + b"{a: " * 9_000,
    ],
)
def test_what_helm_rendered_is_yaml_of_a_bearable_depth_or_the_step_fails(rendered: bytes) -> None:
    with pytest.raises(StepError, match="no YAML"):
        render.images_rendered(rendered, "chart x")


def test_aliases_of_a_chart_are_walked_once() -> None:
    bomb = "a0: &a0 [{image: x/y:1}]\n" + "".join(
        f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]\n" for n in range(1, 40)
    )
    assert render.images_rendered(b"metadata: [odd]\n" + bomb.encode(), "chart x") == [("x/y:1", "object")]
