"""A registry on its worst day: every first answer is cut, reset, busy, broken, elsewhere, or to a token that has ended.

What comes through is the same bytes, gone on with and not begun again; what lies for ever ends in an error.
"""

import hashlib
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from bundles.errors import FormatError, SealiftError
from bundles.registry.client import Settings
from bundles.registry.credentials import Credentials
from bundles.registry.opened import opened_bundle
from bundles.registry.place import Repository, parse_place
from bundles.registry.pull import pull_bundle
from bundles.registry.push import push_bundle
from bundles.source import open_source
from bundles.talk import SilentProgress
from tests.support.bundles import add_documents, make_bundle, tree
from tests.support.fakeregistry import Clock, FakeRegistry, Fault, Seen, Tokens, client, fake_registry

KEYS = Credentials(user="u", password="s3cr3t-word")
PLACE = "site/rke2"


class BadDay:
    """Each request fails once, in another way each time; the next try of the same is answered well."""

    def __init__(self, registry: FakeRegistry, elsewhere: FakeRegistry, first: int) -> None:
        self.registry, self.elsewhere, self.turn = registry, elsewhere, first
        self.tried: set[tuple[str, str]] = set()
        self.kinds: list[str] = []
        self.ended = -100
        self.cuts: dict[str, int] = {}

    def __call__(self, seen: Seen, number: int) -> Fault | None:
        key = seen.method, seen.path.partition("?")[0]
        if "/token" in seen.path or key in self.tried:
            return None
        self.tried.add(key)
        ways = self._ways(seen, number)
        self.turn += 1
        name = list(ways)[self.turn % len(ways)]
        self.kinds.append(name)
        return ways[name]()

    def _ways(self, seen: Seen, number: int) -> dict[str, Callable[[], Fault | None]]:
        ways: dict[str, Callable[[], Fault | None]] = {
            "reset": lambda: Fault(drop=True),
            "busy": lambda: Fault(status=429, headers={"Retry-After": "2"}),
            "broken": lambda: Fault(status=502),
            "unavailable": lambda: Fault(status=503),
        }
        if number > self.ended + 40:  # a token lives longer than one request of each connection
            ways["ended"] = lambda: self._end_tokens(number)
        if seen.method == "GET" and "/blobs/" in seen.path:
            blob = self.registry.blobs.get((PLACE, seen.path.rpartition("/")[2]), b"")
            ways["cut"] = lambda: self._cut(seen, len(blob) // 2)
            ways["moved"] = lambda: self._moved(seen)
        if seen.method == "PATCH":
            ways = {"half taken": lambda: Fault(refuse_upload_at=int(seen.headers["content-length"]) // 2)}
        return ways

    def _cut(self, seen: Seen, at: int) -> Fault:
        self.cuts[seen.path] = at
        return Fault(cut=at)

    def _end_tokens(self, number: int) -> None:
        self.ended = number
        assert self.registry.tokens is not None
        self.registry.tokens.valid.clear()

    def _moved(self, seen: Seen) -> Fault:
        digest = seen.path.rpartition("/")[2]
        self.elsewhere.blobs[PLACE, digest] = self.registry.blobs[PLACE, digest]
        return Fault(status=307, headers={"Location": f"http://{self.elsewhere.host}{seen.path}?sig=abc"})


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    made = make_bundle(tmp_path)
    add_documents(made)
    return made


@pytest.fixture
def registries() -> Iterator[tuple[FakeRegistry, FakeRegistry]]:
    with fake_registry() as one, fake_registry() as other:
        one.tokens = Tokens(basic=KEYS.basic)
        yield one, other


def settings() -> Settings:
    return Settings(keys=lambda _: KEYS, piece=10_000)


@pytest.mark.parametrize("first", [0, 3])
def test_a_bundle_goes_there_and_back_and_what_was_cut_is_gone_on_with(
    registries: tuple[FakeRegistry, FakeRegistry], bundle: Path, tmp_path: Path, first: int
) -> None:
    registry, elsewhere = registries
    registry.faults = day = BadDay(registry, elsewhere, first)
    clock, place = Clock(), Repository(host=registry.host, path=PLACE)
    with client(clock, settings()) as ours, open_source(bundle) as source, opened_bundle(source) as opened:
        push_bundle(opened, ours, place, "v1", SilentProgress())
    pushed = set(day.kinds)
    registry.faults = day = BadDay(registry, elsewhere, first)
    registry.seen.clear()
    with client(clock, settings()) as ours:
        pulled = pull_bundle(ours, parse_place(f"{registry.host}/{PLACE}:v1"), tmp_path / "out", SilentProgress())
    assert tree(pulled.folder) == tree(bundle)
    assert pushed | set(day.kinds) == {
        "reset", "busy", "broken", "ended", "unavailable", "cut", "moved", "half taken"
    }  # fmt: skip
    assert all("authorization" not in seen.headers for seen in elsewhere.seen) and elsewhere.seen
    assert clock.slept and max(clock.slept) <= 20
    for path, at in day.cuts.items():
        (again,) = [seen for seen in registry.seen if seen.path == path][1:]
        assert again.headers["range"] == f"bytes={at}-"
    assert day.cuts


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        (Fault(flip=True), "wrong bytes"),
        (Fault(longer=b"more"), "another size"),
        (Fault(cut=0), "broke, 8 times"),
        (Fault(drop=True), "broke, 8 times"),
        (Fault(status=503), "503"),
        (Fault(status=429, headers={"Retry-After": "3600"}), "3600 s"),
        (Fault(status=403, body=b'{"errors":[{"code":"DENIED","message":"s3cr3t-word"}]}'), "refuses access"),
        (Fault(status=302, headers={"Location": "http://u:s3cr3t-word@127.0.0.1:1/x"}), "no URL"),
        (Fault(status=302, headers={"Location": "/v2/loop"}), "redirect"),
    ],
    ids=["lies", "longer", "cut", "reset", "down", "hour", "denied", "password", "loop"],
)
def test_what_never_gets_better_ends_in_words_without_a_secret(
    registries: tuple[FakeRegistry, FakeRegistry], fault: Fault, words: str
) -> None:
    registry, _ = registries
    digest = registry.add(PLACE, data := hashlib.sha256(b"x").digest() * 3000)
    registry.faults = lambda seen, number: fault if "authorization" in seen.headers and "/v2/" in seen.path else None
    got = bytearray(len(data))
    with client(Clock(), settings()) as ours, pytest.raises(SealiftError) as caught:
        place = Repository(host=registry.host, path=PLACE)
        ours.fetch(place, digest, len(data), lambda piece, at: got.__setitem__(slice(at, at + len(piece)), piece), ok)
    assert words in str(caught.value)
    assert "s3cr3t" not in str(caught.value)
    assert isinstance(caught.value, FormatError) == (fault.flip or bool(fault.longer) or words == "no URL")


def ok() -> None:
    """Nobody called it off."""
