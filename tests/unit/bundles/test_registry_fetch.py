"""Blobs and manifests from a registry that breaks, lies and never ends: the right bytes, or an error in words."""

import json
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from bundles.digest import Digest
from bundles.errors import FormatError, LimitError, MissingError, SealiftError
from bundles.registry.client import HttpRegistry, Settings
from bundles.registry.mirrors import parse_mirrors
from bundles.registry.place import Repository
from bundles.registry.session import no_check
from bundles.registry.wire import Wire
from tests.support.fakeregistry import Clock, FakeRegistry, Fault, Seen, client, fake_registry

DATA = random.Random(1).randbytes(3 << 20)
INDEX = "application/vnd.oci.image.index.v1+json"


@pytest.fixture
def registry() -> Iterator[FakeRegistry]:
    with fake_registry() as running:
        yield running


def repository(registry: FakeRegistry, path: str = "a/b") -> Repository:
    return Repository(host=registry.host, path=path)


def fetched(ours: HttpRegistry, registry: FakeRegistry, digest: Digest, size: int, prefix: bytes = b"") -> bytes:
    data = bytearray(prefix)

    def write(part: bytes, offset: int) -> None:
        data[offset : offset + len(part)] = part

    ours.fetch(repository(registry), digest, size, write, no_check, [prefix] if prefix else [])
    return bytes(data)


def get(
    registry: FakeRegistry, digest: Digest | None = None, *, clock: Clock | None = None, prefix: bytes = b""
) -> bytes:
    found = digest or registry.add("a/b", DATA)
    with client(clock or Clock()) as ours:
        return fetched(ours, registry, found, len(DATA), prefix)


def of_blobs(fault: Fault, *, first: int = 1, last: int = 1 << 30) -> Any:
    """The fault for the requests of these numbers that ask for a blob."""
    return lambda seen, number: fault if "/blobs/" in seen.path and first <= number <= last else None


def test_a_cut_blob_goes_on_where_it_was_cut(registry: FakeRegistry) -> None:
    registry.faults = lambda seen, number: Fault(cut=1_000_000) if number <= 2 else None
    assert get(registry) == DATA
    asked = [seen.headers.get("range") for seen in registry.seen]
    assert asked == [None, "bytes=1000000-", "bytes=2000000-"]


def test_a_registry_without_ranges_costs_bytes_and_nothing_else(registry: FakeRegistry) -> None:
    registry.ranges = False
    registry.faults = lambda seen, number: Fault(cut=2_000_000) if number == 1 else None
    assert get(registry) == DATA


def test_what_is_there_from_an_earlier_time_is_not_fetched_again(registry: FakeRegistry) -> None:
    assert get(registry, prefix=DATA[:2_500_000]) == DATA
    assert [seen.headers.get("range") for seen in registry.seen] == ["bytes=2500000-"]
    registry.seen.clear()
    assert get(registry, prefix=DATA) == DATA and not registry.seen


def test_what_is_there_and_wrong_is_fetched_from_the_start(registry: FakeRegistry) -> None:
    assert get(registry, prefix=bytes(2_500_000)) == DATA
    assert get(registry, prefix=bytes(len(DATA))) == DATA
    assert get(registry, prefix=bytes(len(DATA) + 5))[: len(DATA)] == DATA


@pytest.mark.parametrize("fault", [Fault(flip=True), Fault(longer=b"x"), Fault(endless=True)])
def test_wrong_bytes_are_never_a_blob(registry: FakeRegistry, fault: Fault) -> None:
    registry.faults = of_blobs(fault)
    with pytest.raises(FormatError):
        get(registry)


def test_an_endless_body_ends_at_the_size_of_the_blob(registry: FakeRegistry) -> None:
    registry.faults = of_blobs(Fault(endless=True))
    written = 0

    def write(part: bytes, offset: int) -> None:
        nonlocal written
        written = max(written, offset + len(part))

    with client(Clock()) as ours, pytest.raises(FormatError, match="more bytes"):
        ours.fetch(repository(registry), Digest.of(b"x"), 100_000, write, no_check)
    assert written <= 100_000


@pytest.mark.parametrize("told", ["bytes 0-2/3", "bytes 1000000-5/6", "bytes=1000000-3145727/3145728", ""])
def test_another_range_than_asked_for_is_refused(registry: FakeRegistry, told: str) -> None:
    def faults(seen: Seen, number: int) -> Fault | None:
        return Fault(cut=1_000_000) if number == 1 else Fault(status=206, headers={"Content-Range": told}, body=b"abc")

    registry.faults = faults
    with pytest.raises(FormatError, match="another range"):
        get(registry)


def test_a_busy_registry_is_waited_for_as_long_as_it_says(registry: FakeRegistry) -> None:
    registry.faults = lambda seen, number: Fault(status=429, headers={"Retry-After": "7"}) if number <= 2 else None
    clock = Clock()
    assert get(registry, clock=clock) == DATA
    assert 13.9 < sum(clock.slept) < 15 and len(registry.seen) == 3


def test_a_registry_that_asks_for_an_hour_is_not_waited_for(registry: FakeRegistry) -> None:
    registry.faults = of_blobs(Fault(status=503, headers={"Retry-After": "3600"}))
    clock = Clock()
    with pytest.raises(SealiftError, match="wait 3600 s"):
        get(registry, clock=clock)
    assert not clock.slept


@pytest.mark.parametrize("fault", [Fault(status=500), Fault(status=502), Fault(drop=True), Fault(cut=0)])
def test_a_registry_that_only_fails_is_given_up_after_some_tries(registry: FakeRegistry, fault: Fault) -> None:
    registry.faults = of_blobs(fault)
    clock = Clock()
    with pytest.raises(SealiftError, match="8 times"):
        get(registry, clock=clock)
    assert len(registry.seen) == 8 and 10 < sum(clock.slept) < 120


def test_one_byte_an_answer_is_not_gone_on_with_for_ever(registry: FakeRegistry) -> None:
    registry.faults = lambda seen, number: Fault(cut=1)
    with pytest.raises(SealiftError, match="again and again"):
        get(registry)
    assert len(registry.seen) < 30


def test_a_registry_that_cannot_be_reached_is_told_at_once() -> None:
    clock = Clock()
    with client(clock) as ours, pytest.raises(SealiftError, match="refused"):
        ours.manifest(Repository(host="127.0.0.1:1", path="x"), "v1", no_check)
    assert not clock.slept


def test_a_silent_registry_is_given_up(registry: FakeRegistry) -> None:
    import socket

    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen(16)
        place = Repository(host=f"127.0.0.1:{silent.getsockname()[1]}", path="x")
        with client(Clock(), Settings(wire=Wire(read=0.05))) as ours, pytest.raises(SealiftError, match="in time"):
            ours.manifest(place, "v1", no_check)


def test_a_redirect_is_followed_without_credentials(registry: FakeRegistry) -> None:
    from bundles.registry.credentials import Credentials

    with fake_registry() as store:
        digest = registry.add("a/b", DATA)
        store.add("a/b", DATA)
        keys = Credentials(user="u", password="s3cret")
        registry.basic = keys.basic
        target = f"http://{store.host}/v2/a/b/blobs/{digest}?X-Signature=1"
        registry.faults = lambda seen, number: (
            Fault(status=307, headers={"Location": target}) if seen.headers.get("authorization") else None
        )
        with client(Clock(), Settings(keys=lambda _: keys)) as ours:
            assert fetched(ours, registry, digest, len(DATA)) == DATA
        assert [seen.headers.get("authorization") for seen in registry.seen] == [None, keys.basic]
        assert [seen.headers.get("authorization") for seen in store.seen] == [None]


def test_redirects_that_never_end_do(registry: FakeRegistry) -> None:
    registry.faults = lambda seen, number: Fault(status=302, headers={"Location": seen.path + "x"})
    with pytest.raises(SealiftError, match="too many redirects"):
        get(registry)


def put_manifest(registry: FakeRegistry, tag: str = "v1") -> tuple[Digest, dict[str, Any]]:
    blob = {"mediaType": "application/vnd.oci.image.config.v1+json", "digest": f"sha256:{'a' * 64}", "size": 2}
    plain = {
        "schemaVersion": 2,
        "mediaType": "application/vnd.oci.image.manifest.v1+json",
        "config": blob,
        "layers": [],
    }
    return registry.add_manifest("a/b", tag, plain), plain


def test_a_manifest_is_what_its_digest_says(registry: FakeRegistry) -> None:
    digest, _ = put_manifest(registry)
    with client(Clock()) as ours:
        assert ours.manifest(repository(registry), "v1", no_check).digest == digest
        assert ours.manifest(repository(registry), str(digest), no_check).digest == digest
        assert ours.has_manifest(repository(registry), "v1", no_check) == digest
        assert ours.has_manifest(repository(registry), "v2", no_check) is None
        with pytest.raises(MissingError, match="not in the registry"):
            ours.manifest(repository(registry), "v2", no_check)
        registry.faults = lambda seen, number: Fault(flip=True)
        for reference in ("v1", str(digest)):  # by tag, the registry contradicts itself
            with pytest.raises(FormatError, match="wrong bytes"):
                ours.manifest(repository(registry), reference, no_check)


def test_a_cut_manifest_is_asked_for_again_and_an_endless_one_is_not_read(registry: FakeRegistry) -> None:
    digest, _ = put_manifest(registry)
    registry.faults = lambda seen, number: Fault(cut=20) if number <= 2 else None
    with client(Clock()) as ours:
        assert ours.manifest(repository(registry), str(digest), no_check).digest == digest
        registry.faults = lambda seen, number: Fault(endless=True)
        with pytest.raises(LimitError):
            ours.manifest(repository(registry), str(digest), no_check)


def test_a_mirror_that_lies_or_lacks_is_passed_over(registry: FakeRegistry) -> None:
    with fake_registry() as lying, fake_registry() as empty:
        digest = registry.add("a/b", DATA)
        lying.add("m/a/b", DATA)
        lying.faults = lambda seen, number: Fault(flip=True)
        ways = parse_mirrors([f"{registry.host}={lying.host}/m", f"{registry.host}={empty.host}"])
        with client(Clock(), Settings(ways=ways)) as ours:
            assert fetched(ours, registry, digest, len(DATA)) == DATA
            assert lying.seen and empty.seen and registry.seen
            registry.blobs.clear()
            with pytest.raises(MissingError) as caught:
                fetched(ours, registry, digest, len(DATA))
        assert "wrong bytes" in caught.value.hint and empty.host in caught.value.hint


def test_a_mirror_that_has_it_is_enough(registry: FakeRegistry) -> None:
    digest = registry.add("m/a/b", DATA)
    ways = parse_mirrors([f"gone.invalid={registry.host}/m"])
    with client(Clock(), Settings(ways=ways)) as ours:
        got = bytearray()
        ours.fetch(
            Repository(host="gone.invalid", path="a/b"), digest, len(DATA), lambda d, at: got.extend(d), no_check
        )
    assert bytes(got) == DATA


def test_referrers_are_found_by_the_api_and_by_the_tag(registry: FakeRegistry) -> None:
    subject, plain = put_manifest(registry)
    referring = plain | {
        "artifactType": "x/y",
        "subject": {"mediaType": plain["mediaType"], "digest": str(subject), "size": 5},
    }
    digest = registry.add_manifest("a/b", "ref", referring)
    with client(Clock()) as ours:
        assert ours.referrers(repository(registry), subject, no_check) == []
        listed = {"mediaType": plain["mediaType"], "digest": str(digest), "size": 7, "artifactType": "x/y"}
        index = {"schemaVersion": 2, "mediaType": INDEX, "manifests": [listed]}
        registry.add_manifest("a/b", f"sha256-{subject.hex}", index)
        assert [one.digest for one in ours.referrers(repository(registry), subject, no_check)] == [digest]
        registry.manifests.pop(("a/b", f"sha256-{subject.hex}"))
        registry.referrers_api = True
        (found,) = ours.referrers(repository(registry), subject, no_check)
        assert (found.digest, found.artifact_type) == (digest, "x/y")


@pytest.mark.parametrize("link", ["http://[x?sig=s3cr3t", "ftp://u:s3cr3t@a/", "//u:s3cr3t@a:b/"])
def test_a_next_page_that_is_no_url_is_an_error_in_words(registry: FakeRegistry, link: str) -> None:
    subject, _ = put_manifest(registry)
    page = json.dumps({"schemaVersion": 2, "mediaType": INDEX, "manifests": []}).encode()
    headers = {"Link": f'<{link}>; rel="next"', "Content-Type": INDEX}
    registry.faults = lambda seen, number: Fault(status=200, headers=headers, body=page)
    with client(Clock()) as ours, pytest.raises(FormatError, match="no URL") as caught:
        ours.referrers(repository(registry), subject, no_check)
    assert "s3cr3t" not in str(caught.value)


def test_work_that_was_called_off_ends_between_two_pieces(registry: FakeRegistry) -> None:
    class Off(Exception):
        pass

    seen = []

    def check() -> None:
        seen.append(1)
        if len(seen) > 5:
            raise Off

    digest = registry.add("a/b", DATA)
    with client(Clock()) as ours, pytest.raises(Off):
        ours.fetch(repository(registry), digest, len(DATA), lambda data, at: None, check)


def test_connections_are_kept(registry: FakeRegistry, tmp_path: Path) -> None:
    digests = [registry.add("a/b", bytes([n]) * 1000) for n in range(20)]
    with client(Clock()) as ours:
        for digest in digests:
            assert len(fetched(ours, registry, digest, 1000)) == 1000
        pool = ours._transport._pool(f"http://{registry.host}/").connection_from_url(f"http://{registry.host}/")
        assert pool.num_connections == 1
