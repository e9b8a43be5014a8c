"""Bundles of several platforms under one tag: each finds its own, a liar is found out, a second push sends nothing."""

import contextlib
import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from bundles.digest import Digest
from bundles.errors import FormatError, MissingError, UsageError
from bundles.platform import Platform
from bundles.registry import artifact
from bundles.registry.opened import Opened, opened_bundle
from bundles.registry.place import parse_place
from bundles.registry.platforms import SentAll, push_bundles, push_images_of
from bundles.registry.pull import pull_bundle
from bundles.registry.site import Placed
from bundles.source import open_source
from bundles.talk import SilentProgress
from tests.support.bundles import tree
from tests.support.fakeregistry import Clock, FakeRegistry, client, fake_registry
from tests.support.releases import program, release

AMD64, ARM64 = (Platform(os="linux", architecture=name) for name in ("amd64", "arm64"))


@pytest.fixture
def registry() -> Iterator[FakeRegistry]:
    with fake_registry() as running:
        yield running


@pytest.fixture
def both(tmp_path: Path) -> tuple[Path, Path]:
    """A release for two platforms; one image has the same bytes in both."""
    more = {"rke2-images-core": {"etc/same": b"alike"}}
    one, two = (
        release(
            tmp_path, platform=each, more=more,
            programs={name: program(name.encode(), each) for name in ("kubelet", "containerd")},
        )
        for each in (AMD64, ARM64)
    )  # fmt: skip
    return one, two


def push(registry: FakeRegistry, *bundles: Path, images: bool = False) -> tuple[SentAll, list[Placed]]:
    with client(Clock()) as ours, contextlib.ExitStack() as held:
        opened: list[Opened] = [held.enter_context(opened_bundle(held.enter_context(open_source(b)))) for b in bundles]
        repository = parse_place(f"{registry.host}/site/rke2").repository
        sent = push_bundles(opened, ours, repository, None, SilentProgress())
        placed = push_images_of(opened, ours, registry.host, "hub", sent.each, SilentProgress()) if images else []
        return sent, placed


def pull(registry: FakeRegistry, tag: str, output: Path, platform: Platform | None) -> Path:
    with client(Clock()) as ours:
        place = parse_place(f"{registry.host}/site/rke2:{tag}")
        return pull_bundle(ours, place, output, SilentProgress(), platform).folder


def test_each_platform_gets_its_own_bundle_out_of_one_tag(
    registry: FakeRegistry, both: tuple[Path, Path], tmp_path: Path
) -> None:
    sent, _ = push(registry, *both)
    for bundle, platform in zip(both, (AMD64, ARM64), strict=True):
        assert tree(pull(registry, sent.tag, tmp_path / "out", platform)) == tree(bundle)
        assert tree(pull(registry, f"{sent.tag}-{platform.dashed}", tmp_path / "own", None)) == tree(bundle)


def test_the_order_does_not_count_and_a_second_push_sends_nothing(
    registry: FakeRegistry, both: tuple[Path, Path]
) -> None:
    first, _ = push(registry, *both, images=True)
    again, _ = push(registry, *reversed(both), images=True)
    assert first.digest == again.digest and not any(again.counts.values())


def test_no_platform_or_one_that_is_not_there_is_told_what_there_is(
    registry: FakeRegistry, both: tuple[Path, Path], tmp_path: Path
) -> None:
    sent, _ = push(registry, *both)
    with pytest.raises(MissingError, match="which"):
        pull(registry, sent.tag, tmp_path / "out", None)
    with pytest.raises(MissingError, match="linux/amd64, linux/arm64"):
        pull(registry, sent.tag, tmp_path / "out", Platform(os="linux", architecture="s390x"))


def test_an_index_that_lists_a_bundle_for_another_platform_is_found_out(
    registry: FakeRegistry, both: tuple[Path, Path], tmp_path: Path
) -> None:
    sent, _ = push(registry, *both)
    repository = parse_place(f"{registry.host}/site/rke2").repository
    with client(Clock()) as ours:
        top = ours.manifest(repository, sent.tag, lambda: None)
        document = json.loads(top.data)
        one, two = (entry["platform"] for entry in document["manifests"])
        document["manifests"][0]["platform"], document["manifests"][1]["platform"] = two, one
        data = json.dumps(document).encode()
        lie = type(top)(data=data, digest=Digest.of(data), media_type=top.media_type)
        ours.push_manifest(repository, "lie", lie, lambda: None)
    with pytest.raises(FormatError, match="another platform"):
        pull(registry, "lie", tmp_path / "out", AMD64)


def test_images_of_both_become_one_and_those_alike_keep_their_digest(
    registry: FakeRegistry, both: tuple[Path, Path]
) -> None:
    _, placed = push(registry, *both, images=True)
    assert len({(one.repository, one.tag) for one in placed}) == len(placed)
    with client(Clock()) as ours:
        for one in placed:
            listed = json.loads(ours.manifest(one.repository, one.tag, lambda: None).data)
            platforms = [entry["platform"]["architecture"] for entry in listed.get("manifests", ())]
            assert platforms == ["amd64", "arm64"]


def test_different_releases_and_one_platform_twice_are_refused(
    registry: FakeRegistry, both: tuple[Path, Path], tmp_path: Path
) -> None:
    other = release(tmp_path / "other", "v1.34.5-rke2r1", platform=ARM64)
    with pytest.raises(UsageError, match="different releases"):
        push(registry, both[0], other)
    with pytest.raises(UsageError, match="two bundles for one platform"):
        push(registry, both[0], both[0])


def test_one_bundle_lies_there_as_ever(registry: FakeRegistry, both: tuple[Path, Path]) -> None:
    sent, _ = push(registry, both[0])
    assert sent.tag.endswith("-linux-amd64") and not sent.joined
    with client(Clock()) as ours:
        repository = parse_place(f"{registry.host}/site/rke2").repository
        top = json.loads(ours.manifest(repository, sent.tag, lambda: None).data)
    assert top["artifactType"] == artifact.BUNDLE
