"""Credentials and tokens: shown to whom they are for and nobody else, renewed when they end, in no message."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from bundles.digest import Digest
from bundles.errors import SealiftError
from bundles.registry.client import HttpRegistry, Settings
from bundles.registry.credentials import Credentials
from bundles.registry.mirrors import parse_mirrors
from bundles.registry.place import Repository
from bundles.registry.protocol import once
from bundles.registry.session import no_check
from bundles.registry.wire import HostTls, Wire
from tests.support.certificates import Authority
from tests.support.fakeregistry import Clock, FakeRegistry, Fault, Seen, Tokens, client, fake_registry

KEYS = Credentials(user="robot", password="s3cret-word")
SECRETS = (KEYS.password, KEYS.basic.partition(" ")[2], "t0ken")


@pytest.fixture
def registry() -> Iterator[FakeRegistry]:
    with fake_registry() as running:
        yield running


def keyed(keys: Credentials | None = KEYS) -> Settings:
    return Settings(keys=lambda repository: keys)


def read(ours: HttpRegistry, registry: FakeRegistry, path: str) -> bytes:
    data = f"content of {path}".encode()
    digest = registry.add(path, data)
    got = bytearray()
    ours.fetch(Repository(host=registry.host, path=path), digest, len(data), lambda d, at: got.extend(d), no_check)
    return bytes(got)


def token_requests(registry: FakeRegistry) -> int:
    return sum(path.startswith("/token") for path in registry.paths())


def test_a_token_is_of_one_repository_and_kept_while_it_lives(registry: FakeRegistry) -> None:
    registry.tokens = Tokens(basic=KEYS.basic)
    clock = Clock()
    with client(clock, keyed()) as ours:
        for path in ("a", "a", "b/c", "b/c", "a"):
            assert read(ours, registry, path).endswith(path.encode())
        assert token_requests(registry) == 2
        clock.now += 400  # they live 300 s
        assert read(ours, registry, "a")
        assert token_requests(registry) == 3
    sent = {seen.headers.get("authorization", "") for seen in registry.seen if "/a/blobs/" in seen.path}
    assert not any("b_c" in one for one in sent)


def test_a_token_that_ends_early_is_renewed_once_and_the_work_goes_on(registry: FakeRegistry) -> None:
    registry.tokens = Tokens()
    with client(Clock(), keyed(None)) as ours:
        assert read(ours, registry, "a")
        registry.tokens.valid.clear()
        assert read(ours, registry, "a")
    assert registry.tokens.given == 2


def test_tokens_taken_over_from_others_that_ended_meanwhile_are_no_refusal(registry: FakeRegistry) -> None:
    registry.tokens = tokens = Tokens()
    met: list[str] = []

    def others(seen: Seen, number: int) -> None:
        """Each time that we ask, another thread had its token renewed, and all of them have ended since."""
        if "/blobs/" in seen.path and len(met) < 4 and "inside" not in met[-1:]:
            met.append("inside")
            tokens.valid.clear()
            assert read(ours, registry, "a")
            tokens.valid.clear()
            met[-1] = "done"

    with client(Clock(), keyed(None)) as ours:
        assert read(ours, registry, "a")
        registry.faults = others
        assert read(ours, registry, "a")
    assert met == ["done"] * 4


def test_a_registry_that_refuses_every_token_is_asked_three_times(registry: FakeRegistry) -> None:
    registry.tokens = tokens = Tokens()
    registry.faults = lambda seen, number: tokens.valid.clear() if "/blobs/" in seen.path else None
    with client(Clock(), keyed(None)) as ours, pytest.raises(SealiftError, match="refuses access"):
        read(ours, registry, "a")
    assert tokens.given == 3


def test_a_push_asks_for_more_than_a_pull_does(registry: FakeRegistry) -> None:
    registry.tokens = Tokens()
    place = Repository(host=registry.host, path="a")
    with client(Clock(), keyed(None)) as ours:
        assert read(ours, registry, "a")
        assert ours.push_blob(place, Digest.of(b"new"), 3, once(b"new"), no_check)
    assert registry.blobs["a", str(Digest.of(b"new"))] == b"new"
    assert next(path.partition("scope=")[2] for path in registry.paths() if "/token" in path) == "repository:a:pull"


def test_identity_tokens_are_exchanged_by_post_and_never_in_a_url(registry: FakeRegistry) -> None:
    registry.tokens = Tokens(refresh="refresh-me")
    with client(Clock(), keyed(Credentials(identity="refresh-me"))) as ours:
        assert read(ours, registry, "a")
    assert not any("refresh-me" in path for path in registry.paths())


def test_basic_is_sent_only_once_it_was_asked_for(registry: FakeRegistry) -> None:
    with client(Clock(), keyed()) as ours:
        assert read(ours, registry, "a")
        assert not any("authorization" in seen.headers for seen in registry.seen)
        registry.basic = KEYS.basic
        assert read(ours, registry, "a") and read(ours, registry, "a")
    assert [seen.headers.get("authorization") for seen in registry.seen][1:] == [None, KEYS.basic, KEYS.basic]


def test_what_one_registry_gave_is_never_shown_to_another(registry: FakeRegistry) -> None:
    with fake_registry() as other:
        registry.tokens = Tokens(basic=KEYS.basic)
        settings = Settings(keys=lambda repository: KEYS if repository.host == registry.host else None)
        with client(Clock(), settings) as ours:
            assert read(ours, registry, "a") and read(ours, other, "a")
            other.basic = "Basic something"
            with pytest.raises(SealiftError, match="who asks"):
                read(ours, other, "a")
        assert not any("authorization" in seen.headers for seen in other.seen)


def test_a_mirror_gets_its_own_credentials(registry: FakeRegistry) -> None:
    registry.basic = "Basic " + "bWlycm9yOm93bg=="
    own = Credentials(user="mirror", password="own")
    settings = Settings(
        ways=parse_mirrors([f"secret.invalid={registry.host}"]),
        keys=lambda repository: {registry.host: own, "secret.invalid": KEYS}.get(repository.host),
    )
    registry.add("a", b"x")
    with client(Clock(), settings) as ours:
        ours.fetch(Repository(host="secret.invalid", path="a"), Digest.of(b"x"), 1, lambda d, at: None, no_check)
    assert not any(KEYS.basic == seen.headers.get("authorization") for seen in registry.seen)


@pytest.mark.parametrize(
    "answer",
    [
        b"{}", b"<html>", b'{"token":5}', b'{"token":""}', b'["token"]', b'{"token":"a\\r\\nHost: evil"}',
        b'{"token":"a b"}', json.dumps({"token": "x" * 40_000}).encode(), b"[" * 50_000, bytes(1 << 20),
    ],
)  # fmt: skip
def test_a_token_server_that_lies_is_told(registry: FakeRegistry, answer: bytes) -> None:
    registry.tokens = Tokens(answer=answer)
    with client(Clock(), keyed()) as ours, pytest.raises(SealiftError) as caught:
        read(ours, registry, "a")
    assert "evil" not in str(caught.value)


def test_a_token_that_nobody_accepts_ends_in_an_error_and_not_in_a_loop(registry: FakeRegistry) -> None:
    registry.tokens = Tokens(answer=b'{"token":"useless"}')
    with client(Clock(), keyed()) as ours, pytest.raises(SealiftError, match="refuses access"):
        read(ours, registry, "a")
    assert len(registry.seen) < 8


def test_a_busy_token_server_is_asked_again(registry: FakeRegistry) -> None:
    registry.tokens = Tokens()
    registry.faults = lambda seen, number: Fault(status=503) if "/token" in seen.path and number < 5 else None
    clock = Clock()
    with client(clock, keyed()) as ours:
        assert read(ours, registry, "a")
    assert clock.slept


def test_no_secret_is_in_any_error(registry: FakeRegistry) -> None:
    """The registry repeats what it was sent; a token server refuses; a redirect holds a signature."""
    registry.tokens = Tokens(basic=KEYS.basic)
    errors = []
    with client(Clock(), keyed()) as ours:
        assert read(ours, registry, "a")

        def echoing(seen: object, number: int) -> Fault:
            sent = getattr(seen, "headers", {}).get("authorization", "")
            echoed = json.dumps({"errors": [{"code": "DENIED", "message": f"{sent} {KEYS.password} {KEYS.basic}"}]})
            return Fault(status=403, body=echoed.encode())

        registry.faults = echoing
        with pytest.raises(SealiftError) as caught:
            read(ours, registry, "a")
        assert "DENIED" in str(caught.value)
        errors.append(caught.value)
        place = "http://127.0.0.1:1/x?X-Amz-Signature=s3cret-word"
        registry.faults = lambda seen, number: Fault(status=307, headers={"Location": place})
        with pytest.raises(SealiftError) as caught:
            read(ours, registry, "a")
        errors.append(caught.value)
    registry.tokens = Tokens(basic="Basic another")
    registry.faults = lambda seen, number: None
    with client(Clock(), keyed()) as ours, pytest.raises(SealiftError, match="token server refuses") as caught:
        read(ours, registry, "a")
    errors.append(caught.value)
    for error in errors:
        assert not any(secret in f"{error!r} {error} {error.__dict__}" for secret in SECRETS)


@pytest.mark.parametrize("asked", ['Bearer realm="file:///etc/passwd"', "Bearer", "Digest x=y", ""])
def test_what_a_registry_asks_for_has_to_make_sense(registry: FakeRegistry, asked: str) -> None:
    registry.faults = lambda seen, number: Fault(status=401, headers={"WWW-Authenticate": asked} if asked else {})
    with client(Clock(), keyed()) as ours, pytest.raises(SealiftError):
        read(ours, registry, "a")
    assert len(registry.seen) <= 3


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("tls"))


@pytest.fixture(scope="module")
def certificate(authority: Authority) -> Path:
    return authority.sign("server").both


def test_tls_is_checked_and_a_ca_file_makes_it_right(certificate: Path, authority: Authority) -> None:
    with fake_registry(certificate=certificate) as secure:
        place = Repository(host=secure.host, path="a")
        digest = secure.add("a", b"x")
        tls = parse_mirrors([], plain=False)
        clock = Clock()
        with client(clock, Settings(ways=tls)) as ours, pytest.raises(SealiftError, match="nobody known signed"):
            ours.fetch(place, digest, 1, lambda d, at: None, no_check)
        assert not clock.slept and not secure.seen
        with client(Clock(), Settings(ways=tls, wire=Wire(ca_files=(authority.ca,)))) as ours:
            ours.fetch(place, digest, 1, lambda d, at: None, no_check)


def test_from_tls_nothing_goes_to_plain_text(certificate: Path, authority: Authority, registry: FakeRegistry) -> None:
    """A redirect of a blob, the place of an upload, a token server: none may be http when the registry is https."""
    settings = Settings(
        ways=parse_mirrors([], plain=False), wire=Wire(ca_files=(authority.ca,)), keys=lambda repository: KEYS
    )
    with fake_registry(certificate=certificate) as secure, client(Clock(), settings) as ours:
        place = Repository(host=secure.host, path="a")
        there = {"Location": f"http://{registry.host}/v2/a/x"}
        secure.faults = lambda seen, number: Fault(status=307, headers=there)
        with pytest.raises(SealiftError, match="plain http"):
            ours.fetch(place, Digest.of(b"x"), 1, lambda d, at: None, no_check)
        secure.faults = lambda seen, number: Fault(status=202, headers=there) if seen.method == "POST" else None
        with pytest.raises(SealiftError, match="plain http"):
            ours.push_blob(place, Digest.of(b"x"), 1, once(b"x"), no_check)
        secure.faults = lambda seen, number: None
        secure.tokens = Tokens(realm=f"http://{registry.host}/token")
        with pytest.raises(SealiftError, match="plain text"):
            ours.fetch(place, Digest.of(b"x"), 1, lambda d, at: None, no_check)
    assert not registry.seen


def test_a_host_s_own_tls_settings_count_for_it_alone(authority: Authority, certificate: Path) -> None:
    """registries.yaml: a CA file, a client's certificate, or nobody's name checked, each for one host."""
    ways = parse_mirrors([], plain=False)
    us = authority.sign("us", client=True)
    digest = Digest.of(b"x")
    with (
        fake_registry(certificate=certificate, client_ca=authority.ca) as one,
        fake_registry(certificate=certificate) as two,
    ):
        for registry in (one, two):
            registry.add("a", b"x")
        with_ca = HostTls(ca_file=authority.ca, cert_file=us.certificate, key_file=us.key)
        wire = Wire(hosts={one.host: with_ca, "elsewhere": HostTls(verify=False)})
        with client(Clock(), Settings(ways=ways, wire=wire)) as ours:
            ours.fetch(Repository(host=one.host, path="a"), digest, 1, lambda d, at: None, no_check)
            with pytest.raises(SealiftError, match="nobody known signed"):
                ours.fetch(Repository(host=two.host, path="a"), digest, 1, lambda d, at: None, no_check)
        wire = Wire(hosts={one.host: HostTls(ca_file=authority.ca), two.host: HostTls(verify=False)})
        with client(Clock(), Settings(ways=ways, wire=wire)) as ours:
            ours.fetch(Repository(host=two.host, path="a"), digest, 1, lambda d, at: None, no_check)
            with pytest.raises(SealiftError, match=r"TLS|broke"):
                ours.fetch(Repository(host=one.host, path="a"), digest, 1, lambda d, at: None, no_check)
