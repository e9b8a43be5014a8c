"""Blobs into a registry: only what is missing, mounted where possible, gone on with where it broke."""

import random
from collections.abc import Iterator

import pytest

from bundles.digest import Digest
from bundles.errors import SealiftError
from bundles.registry.bandwidth import Bucket
from bundles.registry.client import HttpRegistry, Settings
from bundles.registry.credentials import Credentials
from bundles.registry.place import Repository
from bundles.registry.session import no_check
from tests.support.fakeregistry import Clock, FakeRegistry, Fault, Seen, Tokens, client, fake_registry

DATA = random.Random(2).randbytes(1_000_000)
DIGEST = Digest.of(DATA)
PIECES = Settings(piece=300_000)


@pytest.fixture
def registry() -> Iterator[FakeRegistry]:
    with fake_registry() as running:
        yield running


def push(ours: HttpRegistry, registry: FakeRegistry, path: str = "a", mount_from: str = "") -> bool:
    def read(offset: int) -> Iterator[bytes]:
        for at in range(offset, len(DATA), 100_000):
            yield DATA[at : at + 100_000]

    source = Repository(host=registry.host, path=mount_from) if mount_from else None
    return ours.push_blob(Repository(host=registry.host, path=path), DIGEST, len(DATA), read, no_check, source)


def stored(registry: FakeRegistry, path: str = "a") -> bytes | None:
    return registry.blobs.get((path, str(DIGEST)))


def test_a_blob_is_sent_once(registry: FakeRegistry) -> None:
    with client(Clock()) as ours:
        assert push(ours, registry)
        assert not push(ours, registry)
    assert stored(registry) == DATA
    assert [seen.method for seen in registry.seen] == ["HEAD", "POST", "PUT", "HEAD"]


def test_a_blob_of_a_neighbour_is_mounted(registry: FakeRegistry) -> None:
    registry.add("b", DATA)
    with client(Clock()) as ours:
        assert not push(ours, registry, mount_from="b")
        assert push(ours, registry, path="c", mount_from="nothing/there")
    assert stored(registry) == DATA and stored(registry, "c") == DATA


def test_mounting_asks_for_the_right_to_read_there(registry: FakeRegistry) -> None:
    registry.tokens = Tokens()
    registry.add("b", DATA)
    with client(Clock(), Settings(keys=lambda repository: Credentials(user="u", password="pass"))) as ours:
        assert not push(ours, registry, mount_from="b")
    scopes = [path for path in registry.paths() if "/token" in path]
    assert any("repository:b:pull" in path and "repository:a:pull,push" in path for path in scopes)


def test_a_small_blob_is_sent_again_after_a_break(registry: FakeRegistry) -> None:
    broken = iter([True, True, False])

    def faults(seen: Seen, number: int) -> Fault | None:
        return Fault(refuse_upload_at=1000) if seen.method == "PUT" and next(broken) else None

    registry.faults = faults
    with client(Clock()) as ours:
        assert push(ours, registry)
    assert stored(registry) == DATA


def test_a_large_blob_goes_on_where_the_registry_says(registry: FakeRegistry) -> None:
    sizes: list[int] = []

    def faults(seen: Seen, number: int) -> Fault | None:
        if seen.method != "PATCH":
            return None
        sizes.append(int(seen.headers["content-length"]))
        return Fault(refuse_upload_at=150_000) if len(sizes) == 2 else None

    registry.faults = faults
    with client(Clock(), PIECES) as ours:
        assert push(ours, registry)
    assert stored(registry) == DATA
    assert sizes == [300_000, 300_000, 300_000, 250_000]  # 450 000 were there after the break


def test_an_upload_that_the_registry_forgot_begins_again(registry: FakeRegistry) -> None:
    forgot: list[Seen] = []

    def faults(seen: Seen, number: int) -> Fault | None:
        if seen.method == "PATCH" and seen.headers["content-range"].startswith("600000") and not forgot:
            forgot.append(seen)
            registry.uploads.clear()
        return None

    registry.faults = faults
    with client(Clock(), PIECES) as ours:
        assert push(ours, registry)
    assert forgot and stored(registry) == DATA


@pytest.mark.parametrize("told", ["0-999999", "5-10", "", "0-99"])
def test_a_registry_that_says_it_has_other_bytes_than_were_sent_is_given_up(registry: FakeRegistry, told: str) -> None:
    def faults(seen: Seen, number: int) -> Fault | None:
        place = {"Location": seen.path, "Range": told}
        return Fault(status=202, headers=place) if seen.method == "PATCH" else None

    registry.faults = faults
    with client(Clock(), PIECES) as ours, pytest.raises(SealiftError):
        push(ours, registry)
    assert stored(registry) is None and len(registry.seen) < 60


@pytest.mark.parametrize("status", [400, 403, 405, 413])
def test_a_refusal_is_told_and_not_tried_again(registry: FakeRegistry, status: int) -> None:
    registry.faults = lambda seen, number: Fault(status=status) if seen.method in ("PUT", "PATCH") else None
    clock = Clock()
    with client(clock) as ours, pytest.raises(SealiftError):
        push(ours, registry)
    assert len(registry.paths("PUT")) == 1


def test_credentials_do_not_follow_an_upload_to_another_host(registry: FakeRegistry) -> None:
    keys = Credentials(user="u", password="pass")
    registry.basic = keys.basic
    with fake_registry() as store:
        store.uploads["u"] = bytearray()
        there = {"Location": f"http://{store.host}/v2/a/blobs/uploads/u?state=1"}

        def faults(seen: Seen, number: int) -> Fault | None:
            known = seen.headers.get("authorization") == keys.basic
            return Fault(status=202, headers=there) if seen.method == "POST" and known else None

        registry.faults = faults
        with client(Clock(), Settings(keys=lambda repository: keys)) as ours:
            assert push(ours, registry)
        assert stored(store) == DATA
        assert store.seen and not any("authorization" in seen.headers for seen in store.seen)


def test_the_bytes_of_a_second_are_bounded(registry: FakeRegistry) -> None:
    clock = Clock()
    with client(clock, Settings(bucket=Bucket(100_000, clock.timing.monotonic))) as ours:
        assert push(ours, registry)
    assert 9 < sum(clock.slept) < 11
