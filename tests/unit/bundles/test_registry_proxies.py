"""Through a proxy: requests of http as a whole, those of https in a tunnel; its password is shown to it alone."""

import base64
import contextlib
import select
import socket
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from bundles.digest import Digest
from bundles.errors import SealiftError
from bundles.registry.client import Settings
from bundles.registry.mirrors import Mirror, Ways
from bundles.registry.place import Repository
from bundles.registry.session import no_check
from bundles.registry.wire import Wire
from tests.support.certificates import Authority
from tests.support.fakeregistry import Clock, FakeRegistry, client, fake_registry
from tests.support.quiethttp import QuietHandler, serving

PASSWORD = "pr0xy-word"
AUTH = "Basic " + base64.b64encode(f"u:{PASSWORD}".encode()).decode()


@dataclass
class Proxy:
    """What it saw: the line's target and its own authorization; `refuse`: with this status."""

    seen: list[tuple[str, str]] = field(default_factory=list)
    refuse: int = 0


class _Handler(QuietHandler):
    proxy: Proxy

    def do_CONNECT(self) -> None:
        if self._noted():
            return
        with socket.create_connection(("127.0.0.1", int(self.path.rpartition(":")[2]))) as upstream:
            self.send_response(200)
            self.end_headers()
            self.wfile.flush()
            pump(self.connection, upstream)
        self.close_connection = True

    def do_GET(self) -> None:
        if self._noted():
            return
        parts = urlsplit(self.path)
        with socket.create_connection(("127.0.0.1", parts.port or 80)) as upstream:
            head = "".join(
                f"{name}: {value}\r\n" for name, value in self.headers.items() if "proxy" not in name.lower()
            )
            upstream.sendall(f"GET {parts.path} HTTP/1.1\r\n{head}Connection: close\r\n\r\n".encode())
            while data := upstream.recv(1 << 16):
                self.wfile.write(data)
        self.close_connection = True

    def _noted(self) -> bool:
        self.proxy.seen.append((self.path, self.headers.get("Proxy-Authorization", "")))
        if self.proxy.refuse:
            self.send_error(self.proxy.refuse)
        return bool(self.proxy.refuse)


def pump(one: socket.socket, other: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while True:
            for ready in select.select([one, other], [], [], 10)[0]:
                if not (data := ready.recv(1 << 16)):
                    return
                (other if ready is one else one).sendall(data)


@pytest.fixture
def proxy() -> Iterator[tuple[str, Proxy]]:
    made = Proxy()
    with serving(_Handler, proxy=made) as host:
        yield f"http://u:{PASSWORD}@{host}", made


def get(registry: FakeRegistry, scheme: str, wire: Wire) -> None:
    """A blob of `registry.test`, which the proxy alone can find: it asks this machine whatever the name is."""
    port = registry.host.partition(":")[2]
    ways = Ways(mirrors={"any.test": [Mirror(origin=f"{scheme}://{NAME}:{port}")]})
    registry.add("a", b"data")
    with client(Clock(), Settings(ways=ways, wire=wire)) as ours:
        ours.fetch(Repository(host="any.test", path="a"), Digest.of(b"data"), 4, lambda data, at: None, no_check)


NAME = "registry.test"


def test_plain_requests_go_through_the_proxy_and_its_password_no_further(proxy: tuple[str, Proxy]) -> None:
    url, seen = proxy
    with fake_registry() as registry:
        get(registry, "http", Wire(env={"HTTP_PROXY": url}))
        assert [auth for _, auth in seen.seen] == [AUTH] and seen.seen[0][0].startswith(f"http://{NAME}:")
        assert all("proxy-authorization" not in one.headers for one in registry.seen)


def test_tls_goes_through_a_tunnel_and_is_checked_against_the_registry_s_own_name(
    proxy: tuple[str, Proxy], tmp_path: Path
) -> None:
    url, seen = proxy
    authority = Authority(tmp_path)
    with fake_registry(certificate=authority.sign("server").both) as registry:
        wire = Wire(env={"https_proxy": url}, ca_files=(authority.ca,))
        with pytest.raises(SealiftError) as caught:  # the certificate is 127.0.0.1's
            get(registry, "https", wire)
        assert "another host's" in str(caught.value) + caught.value.hint
        assert seen.seen[0][0].startswith(f"{NAME}:") and seen.seen[0][1] == AUTH
        assert not registry.seen
    with fake_registry(certificate=authority.sign("named", host=NAME).both) as registry:
        get(registry, "https", wire)
        assert [one.path for one in registry.seen] == [f"/v2/a/blobs/{Digest.of(b'data')}"]
        assert all("proxy-authorization" not in one.headers for one in registry.seen)


def test_a_proxy_that_refuses_is_told_without_its_password(proxy: tuple[str, Proxy]) -> None:
    url, seen = proxy
    seen.refuse = 407
    with fake_registry() as registry, pytest.raises(SealiftError) as caught:
        get(registry, "http", Wire(env={"http_proxy": url}))
    assert "407" in caught.value.hint and PASSWORD not in str(caught.value) + caught.value.hint


@pytest.mark.parametrize(
    ("url", "words"),
    [
        (f"http://u:{PASSWORD}@127.0.0.1:notaport", "a proxy that is no URL"),
        (f"http://u:{PASSWORD}/x@127.0.0.1:1", "a proxy that is no URL"),
        (f"socks5://u:{PASSWORD}@127.0.0.1:1", "a proxy of an unknown kind"),
        (f"http://u:{PASSWORD}@127.0.0.1:1", "proxy: Connection refused"),
    ],
)
@pytest.mark.parametrize("scheme", ["http", "https"])
def test_a_proxy_that_is_wrong_is_named_as_what_is_wrong(url: str, words: str, scheme: str) -> None:
    with fake_registry() as registry, pytest.raises(SealiftError) as caught:
        get(registry, scheme, Wire(env={f"{scheme}_proxy": url}))
    told = str(caught.value) + caught.value.hint
    assert words in told and PASSWORD not in told and not registry.seen


def test_a_tunnel_that_a_proxy_refuses_is_told_with_its_status(proxy: tuple[str, Proxy]) -> None:
    url, seen = proxy
    seen.refuse = 407
    with fake_registry() as registry, pytest.raises(SealiftError) as caught:
        get(registry, "https", Wire(env={"https_proxy": url}))
    told = str(caught.value) + caught.value.hint
    assert "proxy: it answered 407" in told and PASSWORD not in told
