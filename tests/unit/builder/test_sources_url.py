"""Files from URLs: the right bytes or a clear error, gone on with where they were cut, witnesses asked."""

import dataclasses
import hashlib
import io
from collections.abc import Iterator
from pathlib import Path

import pytest

from builder.lock.model import LockedFile
from builder.process import Cancel
from builder.recipe.fetched import Witness
from builder.sources.url import WantedUrl, lock_url
from builder.sources.urlclient import UrlClient
from builder.sources.verified import Verified
from builder.sources.witness import listed
from builder.store import Store
from bundles.digest import Digest
from bundles.errors import FormatError, LimitError, MissingError, SealiftError, TrustError
from bundles.registry.timing import Timing
from bundles.registry.wire import Wire
from bundles.signing.blob import write_sig
from bundles.signing.keys import generate
from tests.support.fileserver import FileServer, Got, Wrong, file_server

DATA = bytes(range(256)) * 4096
TIMING = Timing(monotonic=lambda: 0.0, wall=lambda: 0.0, sleep=lambda seconds: None, jitter=lambda: 0.0)


@pytest.fixture
def server() -> Iterator[FileServer]:
    with file_server({"/tool.bin": DATA}) as made:
        yield made


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "store")


def client() -> UrlClient:
    return UrlClient(Wire(), TIMING, Cancel())


def wanted(server: FileServer, store: Store, data: bytes = DATA) -> WantedUrl:
    url = server.url("/tool.bin")
    file = LockedFile(name="tool.bin", size=len(data), digest=Digest.of(data))
    return WantedUrl(
        name=f"url:{url}", url=url, client=client(), verified=Verified(store), store=store, file=file
    )  # fmt: skip


def test_what_is_there_is_recorded_with_its_size_and_digest(server: FileServer, store: Store) -> None:
    url = server.url("/tool.bin")
    locked = lock_url(client(), store, "tool", url, Witness(), None)
    assert locked.source == f"url:{url}"
    assert locked.files == (LockedFile(name="tool.bin", size=len(DATA), digest=Digest.of(DATA)),)
    assert store.read(locked.files[0].digest) == DATA


def test_a_cut_file_is_gone_on_with_not_begun_again(server: FileServer, store: Store) -> None:
    server.wrong = lambda got, number: Wrong(cut=100_000) if number < 5 else None
    wanted(server, store).fetch()
    assert [got.headers.get("range") for got in server.seen] == [
        None, "bytes=100000-", "bytes=200000-", "bytes=300000-", "bytes=400000-",
    ]  # fmt: skip
    assert store.read(Digest.of(DATA)) == DATA and not list((store.sources / "partial").iterdir())


def test_a_build_that_was_ended_goes_on_where_it_was(server: FileServer, store: Store) -> None:
    server.wrong = lambda got, number: Wrong(cut=300_000) if number == 1 else Wrong(status=403)
    with pytest.raises(SealiftError, match="refuses access"):
        wanted(server, store).fetch()
    server.wrong, server.seen = lambda got, number: None, []
    wanted(server, store).fetch()
    assert [got.headers.get("range") for got in server.seen] == ["bytes=300000-"]
    assert wanted(server, store).present()


def test_what_was_left_of_something_else_is_not_believed(server: FileServer, store: Store) -> None:
    one = wanted(server, store)
    server.wrong = lambda got, number: Wrong(cut=1000) if number == 1 else Wrong(status=403)
    with pytest.raises(SealiftError):
        one.fetch()
    (partial,) = (store.sources / "partial").iterdir()
    partial.write_bytes(b"x" * 1000)
    server.wrong = lambda got, number: None
    one.fetch()
    assert store.read(Digest.of(DATA)) == DATA


def test_a_file_that_changes_between_two_halves_is_not_two_halves_of_one(server: FileServer, store: Store) -> None:
    def change(got: Got, number: int) -> Wrong | None:
        if number == 2:
            server.files["/tool.bin"] = DATA[::-1]
        return Wrong(cut=1000) if number == 1 else None

    server.wrong = change
    locked = lock_url(client(), store, "tool", server.url("/tool.bin"), Witness(), None)
    assert locked.files[0].digest == Digest.of(DATA[::-1])


def test_without_a_validator_a_file_of_unknown_digest_is_begun_again(server: FileServer, store: Store) -> None:
    server.etags = False
    server.wrong = lambda got, number: Wrong(cut=1000) if number == 1 else None
    lock_url(client(), store, "tool", server.url("/tool.bin"), Witness(), None)
    assert [got.headers.get("range") for got in server.seen] == [None, None]


def test_other_bytes_than_were_locked_are_refused_and_not_kept(server: FileServer, store: Store) -> None:
    server.files["/tool.bin"] = DATA[:-1] + b"x"
    with pytest.raises(FormatError, match="not what was locked") as caught:
        wanted(server, store).fetch()
    assert "find out why" in caught.value.hint
    assert not list((store.root / "blobs/sha256").iterdir()) and not list((store.sources / "partial").iterdir())


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        (Wrong(endless=True), "more bytes than were locked"),
        (Wrong(status=200, body=b"short"), "another size"),
        (Wrong(status=200, headers={"Content-Encoding": "gzip", "Content-Length": str(len(DATA))}), "encoded body"),
        (Wrong(status=302, headers={"Location": "ftp://elsewhere/x"}), "no URL"),
        (Wrong(status=302, headers={"Location": "//user:pass@elsewhere/x"}), "no URL"),
        (Wrong(status=302, headers={"Location": "/tool.bin"}), "too many redirects"),
        (Wrong(status=503), "answered 503, again and again"),
        (Wrong(status=503, headers={"Retry-After": "86400"}), "asks to wait"),
        (Wrong(status=401), "refuses access"),
        (Wrong(status=206, headers={"Content-Range": "bytes 5-9/10"}, body=b"x"), "another range"),
        (Wrong(cut=0), "again and again"),
    ],
)
def test_a_server_that_lies_or_stalls_ends_in_a_clear_error(
    server: FileServer, store: Store, wrong: Wrong, words: str
) -> None:
    server.wrong = lambda got, number: wrong
    with pytest.raises(SealiftError, match=words):
        wanted(server, store).fetch()
    assert not list((store.root / "blobs/sha256").iterdir())


def test_a_file_without_end_of_unknown_size_is_bounded(server: FileServer) -> None:
    server.wrong = lambda got, number: Wrong(endless=True)
    with pytest.raises(LimitError, match="too large"):
        client().fetch(server.url("/tool.bin"), io.BytesIO(), limit=10 << 20)


def test_nothing_there_is_missing(server: FileServer, store: Store) -> None:
    with pytest.raises(MissingError, match="nothing there"):
        lock_url(client(), store, "tool", server.url("/none"), Witness(), None)


def test_redirects_are_followed_and_no_credentials_are_sent(server: FileServer, store: Store) -> None:
    with file_server({"/there": DATA}) as other:
        server.wrong = lambda got, number: Wrong(status=302, headers={"Location": other.url("/there?key=secret")})
        wanted(server, store).fetch()
        assert all("authorization" not in got.headers and "cookie" not in got.headers for got in other.seen)
    assert store.has(Digest.of(DATA))


def test_offline_what_is_not_in_the_store_is_missing_and_nobody_is_asked(server: FileServer, store: Store) -> None:
    with pytest.raises(MissingError, match="not in the store"):
        dataclasses.replace(wanted(server, store), offline=True).fetch()
    assert not server.seen


def witnessed(server: FileServer, store: Store, witness: Witness, key: object = None) -> None:
    lock_url(client(), store, "tool", server.url("/tool.bin"), witness, key)  # type: ignore[arg-type] # a key


def test_the_recipes_own_sha256_is_a_witness(server: FileServer, store: Store) -> None:
    witnessed(server, store, Witness(sha256=Digest.of(DATA)))
    with pytest.raises(FormatError, match="not the sha256 that the recipe says"):
        witnessed(server, store, Witness(sha256=Digest.of(b"other")))


def test_upstreams_list_of_sums_is_a_witness(server: FileServer, store: Store) -> None:
    server.files["/sums"] = f"{Digest.of(b'').hex}  other\n{Digest.of(DATA).hex} *tool.bin\n".encode()
    witnessed(server, store, Witness(sums=server.url("/sums")))
    server.files["/sums"] = f"{Digest.of(b'').hex}  tool.bin\n".encode()
    with pytest.raises(FormatError, match="upstream's list"):
        witnessed(server, store, Witness(sums=server.url("/sums")))


@pytest.mark.parametrize("algorithm", ["ecdsa-p256", "ed25519"])
@pytest.mark.parametrize("encoded", [True, False])
def test_upstreams_signature_must_hold(server: FileServer, store: Store, algorithm: str, encoded: bool) -> None:
    key, other = generate(algorithm), generate(algorithm)  # type: ignore[arg-type] # one of the two
    made = key.sign(DATA)
    server.files["/sig"] = write_sig(made) if encoded else made
    witness = Witness(signature=server.url("/sig"))
    locked = lock_url(client(), store, "tool", server.url("/tool.bin"), witness, key.public)
    assert locked.signed == key.public.id
    with pytest.raises(TrustError, match="does not hold"):
        lock_url(client(), store, "tool", server.url("/tool.bin"), witness, other.public)


def test_a_signed_list_vouches_for_the_file(server: FileServer, store: Store) -> None:
    key = generate("ed25519")
    server.files["/sums"] = f"{Digest.of(DATA).hex}  tool.bin\n".encode()
    server.files["/sig"] = write_sig(key.sign(server.files["/sums"]))
    witness = Witness(sums=server.url("/sums"), signature=server.url("/sig"))
    witnessed(server, store, witness, key.public)
    server.files["/sums"] += b"\n"
    with pytest.raises(TrustError, match="does not hold"):
        witnessed(server, store, witness, key.public)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (b"", "does not name"),
        (b"x" * 64 + b"  tool\n", "does not name"),
        (f"{'a' * 64}  ../tool\n".encode(), "does not name"),
        (f"{'a' * 64}  tool\n{'b' * 64}  ./tool\n".encode(), "twice"),
        (f"SHA256 (tool) = {'a' * 64}\n{'b' * 64}  tool\n".encode(), "twice"),
    ],
)
def test_a_list_that_says_nothing_or_two_things_is_refused(text: bytes, words: str) -> None:
    with pytest.raises(FormatError, match=words):
        listed(text, "tool", "sums")


def test_lists_are_read_in_both_common_forms() -> None:
    hex_ = hashlib.sha256(b"x").hexdigest()
    for line in (f"{hex_}  tool", f"{hex_} *tool", f"{hex_.upper()}  ./tool", f"SHA256 (tool) = {hex_}"):
        assert listed(f"{'0' * 64}  a\r\n{line}\r\n".encode(), "tool", "sums").hex == hex_
