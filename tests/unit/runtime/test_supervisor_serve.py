"""The supervisor over real TLS: who gets what, and what a hostile network cannot do."""

import asyncio
import http.client
import json
import os
import socket
import ssl
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from bundles.errors import SealiftError, TrustError
from runtime.daemon.actions.claim import claim
from runtime.supervisor.limits import Limits
from runtime.supervisor.passwords import NodePasswords
from runtime.supervisor.table import ROUTES
from tests.support.supervisors import AGENT, AGENT_SECRET, SERVER_SECRET, MemoryPasswords, Site, basic, csr

QUICK = Limits(connections=40, per_address=30, handshake=0.5, header=0.5, body=0.5, answer=1.0)
NODE = {"rke2-Node-Name": "node-1", "rke2-Node-Password": "pass", "rke2-Node-IP": "10.0.0.7,fd00::7"}


SERVER = basic("server", SERVER_SECRET)


def ask(
    site: Site,
    path: str,
    headers: Mapping[str, str] = {},
    *,
    method: str = "GET",
    body: bytes | None = None,
    certificate: tuple[Path, Path] | None = None,
) -> tuple[int, bytes]:
    context = site.client_context()
    if certificate:
        context.load_cert_chain(*certificate)
    connection = http.client.HTTPSConnection("127.0.0.1", site.port, context=context, timeout=10)
    try:
        connection.request(method, path, body=body, headers=dict(headers))
        response = connection.getresponse()
        return response.status, response.read()
    finally:
        connection.close()


def with_site(tmp_path: Path, work: Callable[[Site], Any], limits: Limits | None = None) -> tuple[Site, Any]:
    site = Site(tmp_path)

    async def run() -> Any:
        async with site.open(limits):
            return await asyncio.to_thread(work, site)

    return site, asyncio.run(run())


def test_everybody_may_ask_whom_to_trust(tmp_path: Path) -> None:
    site, found = with_site(tmp_path, lambda site: (ask(site, "/cacerts"), ask(site, "/ping")))
    assert found == ((200, site.authority), (200, b"pong"))


def test_every_route_but_the_public_ones_refuses_nobody_and_strangers(tmp_path: Path) -> None:
    def work(site: Site) -> list[int]:
        private = [route for route in ROUTES if route.roles]
        return [
            ask(site, route.path, headers, method=route.method)[0]
            for route in private
            for headers in ({}, basic("node", "guessed"), basic("server", AGENT_SECRET), basic("admin", SERVER_SECRET),
                            {"Authorization": "Bearer x"}, {"Authorization": "Basic !!!"}, basic("node", ""),
                            {"Authorization": "Basic \xe4"})
        ]  # fmt: skip

    site, found = with_site(tmp_path, work)
    assert len(found) >= 70 and set(found) == {401}
    assert not any(secret in line for line in site.said for secret in (AGENT_SECRET, SERVER_SECRET, "guessed"))


def test_an_agent_s_token_does_not_open_what_is_for_servers(tmp_path: Path) -> None:
    paths = ("/v1-rke2/server-bootstrap", "/v1-rke2/db/info")
    _, found = with_site(tmp_path, lambda site: [[ask(site, p, who)[0] for p in paths] for who in (AGENT, SERVER)])
    assert found == [[403, 403], [200, 200]]


def test_an_agent_learns_how_the_cluster_is_set_up(tmp_path: Path) -> None:
    def work(site: Site) -> Any:
        config = json.loads(ask(site, "/v1-rke2/config", AGENT)[1])
        return config, json.loads(ask(site, "/v1-rke2/apiservers", AGENT)[1])

    assert with_site(tmp_path, work)[1] == ({"ClusterDomain": "cluster.local"}, ["127.0.0.1:6443"])


def test_readyz_says_when_the_control_plane_answers(tmp_path: Path) -> None:
    def work(site: Site) -> list[int]:
        site.ready = False
        before = ask(site, "/v1-rke2/readyz", AGENT)[0]
        site.ready = True
        return [before, ask(site, "/v1-rke2/readyz", AGENT)[0]]

    assert with_site(tmp_path, work)[1] == [503, 200]


def certificate(body: bytes) -> x509.Certificate:
    return x509.load_pem_x509_certificates(body)[0]


def test_a_node_gets_certificates_for_its_own_key_and_its_own_name(tmp_path: Path) -> None:
    key = ec.generate_private_key(ec.SECP256R1())

    def work(site: Site) -> list[tuple[int, bytes]]:
        names = ("client-kubelet.crt", "serving-kubelet.crt", "client-kube-proxy.crt")
        return [ask(site, f"/v1-rke2/{n}", AGENT | NODE, method="POST", body=csr(key)) for n in names]

    site, found = with_site(tmp_path, work)
    assert [status for status, _ in found] == [200, 200, 200]
    kubelet, serving, proxy = (certificate(body) for _, body in found)
    assert all(c.public_key() == key.public_key() for c in (kubelet, serving, proxy))
    assert kubelet.subject.rfc4514_string() == "CN=system:node:node-1,O=system:nodes"
    assert proxy.subject.get_attributes_for_oid(NameOID.COMMON_NAME)[0].value == "system:kube-proxy"
    names = serving.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.DNSName) == ["node-1", "localhost"]
    assert {"10.0.0.7", "fd00::7"} < {str(ip) for ip in names.get_values_for_type(x509.IPAddress)}
    usages = kubelet.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    assert list(usages) == [ExtendedKeyUsageOID.CLIENT_AUTH]
    kubelet.verify_directly_issued_by(site.clients.certificate)
    assert b"PRIVATE" not in b"".join(body for _, body in found)


@pytest.mark.parametrize(
    ("headers", "body", "status"),
    [
        (NODE, b"", 400),
        (NODE, b"-----BEGIN", 400),
        (NODE | {"rke2-Node-Name": "../admin"}, csr(), 400),
        (NODE | {"rke2-Node-Name": ""}, csr(), 400),
        (NODE | {"rke2-Node-Name": "system:admin"}, csr(), 400),
        (NODE | {"rke2-Node-IP": "not-an-address"}, csr(), 400),
        (NODE | {"rke2-Node-IP": ",".join(["10.0.0.1"] * 9)}, csr(), 400),
        (NODE | {"rke2-Node-Password": ""}, csr(), 403),
        (NODE | {"rke2-Node-Password": "x" * 300}, csr(), 403),
        (NODE, csr()[:-3] + b"abc", 400),
    ],
)
def test_a_request_that_is_not_in_order_gets_no_certificate(
    tmp_path: Path, headers: dict[str, str], body: bytes, status: int
) -> None:
    path = "/v1-rke2/serving-kubelet.crt"
    _, found = with_site(tmp_path, lambda site: ask(site, path, AGENT | headers, method="POST", body=body))
    assert found[0] == status and b"BEGIN CERTIFICATE" not in found[1]


def test_a_key_on_a_weak_curve_gets_no_certificate(tmp_path: Path) -> None:
    weak = csr(ec.generate_private_key(ec.SECP192R1()))
    path = "/v1-rke2/client-kubelet.crt"
    _, found = with_site(tmp_path, lambda site: ask(site, path, AGENT | NODE, method="POST", body=weak))
    assert found[0] == 400


def test_a_used_name_with_another_password_is_rejected(tmp_path: Path) -> None:
    def work(site: Site) -> list[tuple[int, bytes]]:
        path = "/v1-rke2/client-kubelet.crt"
        return [
            ask(site, path, AGENT | NODE | {"rke2-Node-Password": p}, method="POST", body=csr())
            for p in ("first", "second", "first")
        ]

    site, found = with_site(tmp_path, work)
    assert [status for status, _ in found] == [200, 403, 200]
    assert b"another machine is called node-1" in found[1][1]
    assert "first" not in site.passwords.hashes["node-1"]


def test_nobody_takes_the_name_of_the_server_itself(tmp_path: Path) -> None:
    """Not even before the cluster knows whose it is: a certificate for it would be that node's."""

    def work(site: Site) -> list[int]:
        site.itself = {"server-1": "its own"}
        path = "/v1-rke2/client-kubelet.crt"
        names = [("server-1", "mine"), ("server-1", ""), ("server-1", "its own"), ("server-2", "mine")]
        headers = [{"rke2-Node-Name": name, "rke2-Node-Password": password} for name, password in names]
        return [ask(site, path, AGENT | each, method="POST", body=csr())[0] for each in headers]

    site, found = with_site(tmp_path, work)
    assert found == [403, 403, 200, 200] and list(site.passwords.hashes) == ["server-2"]


def test_a_server_claims_its_name_and_is_told_when_another_machine_has_it(tmp_path: Path) -> None:
    store = MemoryPasswords()

    async def claimed(password: str) -> None:
        passwords = NodePasswords(store=store, octets=os.urandom, gate=asyncio.Semaphore(1))
        await claim(passwords, "server-1", password)

    asyncio.run(claimed("first"))
    asyncio.run(claimed("first"))
    with pytest.raises(TrustError, match="another machine is called server-1"):
        asyncio.run(claimed("second"))
    store.broken = True
    with pytest.raises(SealiftError, match="does not answer yet"):
        asyncio.run(claimed("first"))


def test_two_machines_that_take_a_name_at_once_are_one(tmp_path: Path) -> None:
    site = Site(tmp_path)

    async def run() -> list[int]:
        async with site.open():
            path = "/v1-rke2/client-kubelet.crt"
            headers = [AGENT | NODE | {"rke2-Node-Password": p} for p in ("a", "b")]
            found = await asyncio.gather(
                *(asyncio.to_thread(ask, site, path, h, method="POST", body=csr()) for h in headers)
            )
            return sorted(status for status, _ in found)

    assert asyncio.run(run()) == [200, 403]


def test_a_cluster_that_is_not_up_is_no_wrong_password(tmp_path: Path) -> None:
    def work(site: Site) -> int:
        site.passwords.broken = True
        return ask(site, "/v1-rke2/client-kubelet.crt", AGENT | NODE, method="POST", body=csr())[0]

    assert with_site(tmp_path, work)[1] == 503


def test_a_node_is_known_by_its_certificate(tmp_path: Path) -> None:
    _, found = with_site(
        tmp_path, lambda site: ask(site, "/v1-rke2/config", certificate=site.node_certificate("node-1"))
    )
    assert found[0] == 200


def test_a_node_s_certificate_does_not_open_what_is_for_servers(tmp_path: Path) -> None:
    _, found = with_site(
        tmp_path, lambda site: ask(site, "/v1-rke2/server-bootstrap", certificate=site.node_certificate())
    )
    assert found[0] == 403


@pytest.mark.parametrize(("name", "status"), [("node-1", 200), ("node-2", 403)])
def test_a_node_that_was_taken_over_is_no_other_node(tmp_path: Path, name: str, status: int) -> None:
    def work(site: Site) -> int:
        headers = NODE | {"rke2-Node-Name": name}
        path = "/v1-rke2/client-kubelet.crt"
        shown = site.node_certificate("node-1")
        return ask(site, path, headers, method="POST", body=csr(), certificate=shown)[0]

    assert with_site(tmp_path, work)[1] == status


def test_metrics_are_for_nodes_and_for_who_monitors_and_nothing_else_is_for_those(tmp_path: Path) -> None:
    def work(site: Site) -> list[int]:
        monitor = site.node_certificate("prometheus", "system:monitoring")
        paths = ("/metrics", "/v1-rke2/config", "/v1-rke2/server-bootstrap")
        return [
            *(ask(site, path, certificate=monitor)[0] for path in paths),
            ask(site, "/metrics", certificate=site.node_certificate())[0],
            ask(site, "/metrics", AGENT)[0],
            ask(site, "/metrics")[0],
        ]

    assert with_site(tmp_path, work)[1] == [200, 403, 403, 200, 200, 401]


def test_a_certificate_of_another_authority_gets_no_connection(tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.mkdir()
    stranger = Site(other).node_certificate()

    def work(site: Site) -> str:
        try:
            ask(site, "/v1-rke2/config", certificate=stranger)
        except (ssl.SSLError, ConnectionError, http.client.HTTPException) as exc:
            return type(exc).__name__
        return "answered"

    assert with_site(tmp_path, work)[1] != "answered"


@pytest.mark.parametrize(
    ("path", "method", "status"),
    [("/", "GET", 404), ("/v1-rke2/config/", "GET", 404), ("/v1-rke2/../v1-rke2/config", "GET", 404),
     ("/v1-rke2/config", "DELETE", 405), ("/v1-rke2/client-kubelet.crt", "GET", 405),
     ("/v1-rke2/%63onfig", "GET", 200)],
)  # fmt: skip
def test_what_nobody_answers_is_said(tmp_path: Path, path: str, method: str, status: int) -> None:
    assert with_site(tmp_path, lambda site: ask(site, path, AGENT, method=method))[1][0] == status


def test_a_body_beyond_the_bound_is_refused(tmp_path: Path) -> None:
    def work(site: Site) -> list[int]:
        big = b"x" * ((1 << 20) + 1)
        path = "/v1-rke2/client-kubelet.crt"
        said = ask(site, path, AGENT | NODE | {"Content-Length": str(1 << 40)}, method="POST", body=b"x")[0]
        return [said, ask(site, path, AGENT | NODE, method="POST", body=big)[0]]

    assert with_site(tmp_path, work, QUICK)[1] == [413, 413]


def raw(site: Site, data: bytes, *, tls: bool = True, wait: float = 3.0) -> tuple[bytes, float]:
    """What comes back of raw bytes, and the seconds until the other side hangs up."""
    import time

    began = time.monotonic()
    with socket.create_connection(("127.0.0.1", site.port), timeout=wait) as plain:
        link = site.client_context().wrap_socket(plain, server_hostname="127.0.0.1") if tls else plain
        with link:
            link.settimeout(wait)
            answer = b""
            try:
                link.sendall(data)
                while piece := link.recv(65536):
                    answer += piece
            except (ConnectionError, ssl.SSLError):
                pass
            return answer, time.monotonic() - began


def test_a_silent_client_is_hung_up_on(tmp_path: Path) -> None:
    """Four of them stop cheroot; here each costs one place for a bounded time."""
    _, (answer, seconds) = with_site(tmp_path, lambda site: raw(site, b""), QUICK)
    assert answer == b"" and seconds < 2.5


def test_a_client_that_never_says_hello_is_hung_up_on(tmp_path: Path) -> None:
    _, (answer, seconds) = with_site(tmp_path, lambda site: raw(site, b"", tls=False), QUICK)
    assert answer == b"" and seconds < 2.5


def test_a_header_that_drips_is_cut_off(tmp_path: Path) -> None:
    def work(site: Site) -> float:
        import time

        plain = socket.create_connection(("127.0.0.1", site.port), timeout=3)
        with site.client_context().wrap_socket(plain, server_hostname="127.0.0.1") as link:
            link.sendall(b"GET /ping HTTP/1.1\r\n")
            began = time.monotonic()
            try:
                while time.monotonic() - began < 3:
                    link.sendall(b"X: y\r\n")
                    time.sleep(0.05)
            except (ConnectionError, ssl.SSLError):
                pass
            return time.monotonic() - began

    assert with_site(tmp_path, work, QUICK)[1] < 2.5


@pytest.mark.parametrize(
    "data",
    [b"\x00" * 500, os.urandom(3000), b"GET " + b"a" * 40_000 + b" HTTP/1.1\r\n\r\n",
     b"GET /ping HTTP/1.1\r\nHost: a\r\nX: " + b"b" * 40_000 + b"\r\n\r\n",
     b"POST /ping HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\nabc",
     b"POST /ping HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nFFFFFFFFFFFFFFFFFF\r\n",
     b"GET /ping HTTP/1.1\r\nHost: a\r\n X: folded\r\n\r\n", b"GET /v1-rke2/config HTTP/0.9\r\n\r\n"],
)  # fmt: skip
def test_garbage_gets_no_secret_and_harms_nobody(tmp_path: Path, data: bytes) -> None:
    def work(site: Site) -> tuple[bytes, int]:
        return raw(site, data)[0], ask(site, "/ping")[0]

    site, (answer, after) = with_site(tmp_path, work, QUICK)
    assert after == 200 and b"ClusterDomain" not in answer and b"Traceback" not in answer
    assert not any("error:" in line for line in site.said)


def test_an_address_never_holds_all_connections(tmp_path: Path) -> None:
    """One address takes all it may; another still gets its answer."""

    def work(site: Site) -> tuple[int, int]:
        held = []
        try:
            for _ in range(QUICK.per_address + 5):
                held.append(socket.create_connection(("127.0.0.1", site.port), timeout=3))
            other = socket.create_connection(("127.0.0.1", site.port), timeout=5, source_address=("127.0.0.9", 0))
            with site.client_context().wrap_socket(other, server_hostname="127.0.0.1") as link:
                link.sendall(b"GET /ping HTTP/1.1\r\nHost: a\r\n\r\n")
                status = int(link.recv(100).split()[1])
        finally:
            for one in held:
                one.close()
        return status, ask(site, "/ping")[0]

    assert with_site(tmp_path, work, QUICK)[1] == (200, 200)


def test_real_nodes_join_through_five_hundred_silent_connections(tmp_path: Path) -> None:
    limits = Limits(handshake=2.0, header=2.0)

    def work(site: Site) -> list[int]:
        held = []
        try:
            for i in range(500):
                one = socket.socket()
                one.bind((f"127.0.1.{i % 250 + 1}", 0))
                one.connect(("127.0.0.1", site.port))
                held.append(one)
            path = "/v1-rke2/client-kubelet.crt"
            return [
                ask(site, path, AGENT | NODE | {"rke2-Node-Name": f"node-{i}"}, method="POST", body=csr())[0]
                for i in range(3)
            ]
        finally:
            for one in held:
                one.close()

    assert with_site(tmp_path, work, limits)[1] == [200, 200, 200]
