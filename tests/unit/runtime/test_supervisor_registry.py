"""The read-only registry over real TLS: what it has, to whom, and what a slow or greedy client cannot do."""

import asyncio
import hashlib
import http.client
import json
import socket
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from bundles.registry.documents import TITLE
from runtime.supervisor.limits import Limits
from tests.support.bundles import CORE, make_bundle
from tests.support.nodedirs import TestNode
from tests.support.supervisors import AGENT, AGENT_SECRET, Site, basic

BIG = 6 << 20  # bytes: more than the buffers of both ends


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_bundle(tmp_path_factory.mktemp("usb"), big=BIG)


def ask(
    site: Site, path: str, headers: Mapping[str, str] = AGENT, *, method: str = "GET", source: str = "127.0.0.1"
) -> tuple[int, bytes, dict[str, str]]:
    connection = http.client.HTTPSConnection(
        "127.0.0.1", site.port, context=site.client_context(), timeout=10, source_address=(source, 0)
    )
    try:
        connection.request(method, path, headers=dict(headers))
        response = connection.getresponse()
        return response.status, response.read(), {name.lower(): value for name, value in response.getheaders()}
    finally:
        connection.close()


def served(tmp_path: Path, bundle: Path, work: Callable[[Site], Any], limits: Limits | None = None) -> tuple[Site, Any]:
    node = TestNode(tmp_path / "node")
    node.stage(bundle)
    site = Site(tmp_path, layout=node.layout)

    async def run() -> Any:
        async with site.open(limits):
            return await asyncio.to_thread(work, site)

    return site, asyncio.run(run())


def layers(manifest: bytes) -> dict[str, dict[str, Any]]:
    return {layer["annotations"][TITLE]: layer for layer in json.loads(manifest)["layers"]}


def test_the_whole_bundle_can_be_fetched_by_its_name_and_every_byte_is_the_bundle_s(
    tmp_path: Path, bundle: Path
) -> None:
    def work(site: Site) -> dict[str, bytes]:
        status, manifest, headers = ask(site, f"/v2/sealift/bundle/manifests/{bundle.name}")
        assert status == 200 and headers["content-type"] == "application/vnd.oci.image.manifest.v1+json"
        assert headers["docker-content-digest"] == f"sha256:{hashlib.sha256(manifest).hexdigest()}"
        assert ask(site, "/v2/sealift/bundle/manifests/admitted")[1] == manifest
        assert ask(site, f"/v2/sealift/bundle/manifests/{headers['docker-content-digest']}")[1] == manifest
        return {
            name: ask(site, f"/v2/sealift/bundle/blobs/{layer['digest']}")[1]
            for name, layer in layers(manifest).items()
        }

    _, found = served(tmp_path, bundle, work)
    assert found == {str(p.relative_to(bundle)): p.read_bytes() for p in bundle.rglob("*") if p.is_file()}


def test_an_image_is_served_straight_out_of_its_archive(tmp_path: Path, bundle: Path) -> None:
    document = json.loads((bundle / "bundle.json").read_bytes())
    image = next(image for image in document["images"] if image["archive"] == CORE)
    name, _, tag = image["reference"].removeprefix("docker.io/").rpartition(":")

    def work(site: Site) -> list[bytes]:
        status, manifest, _ = ask(site, f"/v2/{name}/manifests/{tag}")
        assert status == 200 and f"sha256:{hashlib.sha256(manifest).hexdigest()}" == image["digest"]
        parts = json.loads(manifest)
        found = []
        for blob in (parts["config"], *parts["layers"]):
            status, data, _ = ask(site, f"/v2/{name}/blobs/{blob['digest']}")
            assert (status, f"sha256:{hashlib.sha256(data).hexdigest()}") == (200, blob["digest"])
            found.append(data)
        assert ask(site, f"/v2/docker.io/{name}/manifests/{tag}")[1] == manifest
        return found

    assert len(served(tmp_path, bundle, work)[1]) >= 2


def test_a_cut_transfer_goes_on_where_it_ended(tmp_path: Path, bundle: Path) -> None:
    whole = (bundle / CORE).read_bytes()

    def work(site: Site) -> list[tuple[int, bytes, str]]:
        path = f"/v2/sealift/bundle/blobs/sha256:{hashlib.sha256(whole).hexdigest()}"
        ranges = ("bytes=100-", "bytes=0-9", f"bytes={len(whole) - 5}-{len(whole) + 5}", f"bytes={len(whole)}-",
                  "bytes=9-3", "bytes=0-1,4-5", "lines=1-2")  # fmt: skip
        found = [ask(site, path, AGENT | {"Range": each}) for each in ranges]
        return [(status, data, headers.get("content-range", "")) for status, data, headers in found]

    found = served(tmp_path, bundle, work)[1]
    size = len(whole)
    assert found[0] == (206, whole[100:], f"bytes 100-{size - 1}/{size}")
    assert found[1] == (206, whole[:10], f"bytes 0-9/{size}")
    assert found[2] == (206, whole[-5:], f"bytes {size - 5}-{size - 1}/{size}")
    assert (found[3][0], found[3][2]) == (416, f"bytes */{size}")
    assert [each[:2] for each in found[4:]] == [(200, whole)] * 3


def test_head_says_how_large_something_is_and_sends_nothing(tmp_path: Path, bundle: Path) -> None:
    digest = hashlib.sha256((bundle / CORE).read_bytes()).hexdigest()
    path = f"/v2/sealift/bundle/blobs/sha256:{digest}"
    _, found = served(tmp_path, bundle, lambda site: ask(site, path, method="HEAD"))
    assert (found[0], found[1]) == (200, b"")
    assert int(found[2]["content-length"]) == (bundle / CORE).stat().st_size


@pytest.mark.parametrize("headers", [{}, basic("node", "wrong"), basic("", AGENT_SECRET)])
def test_nothing_of_it_is_for_strangers(tmp_path: Path, bundle: Path, headers: dict[str, str]) -> None:
    digest = hashlib.sha256((bundle / CORE).read_bytes()).hexdigest()
    paths = ("/v2/", "/v2/sealift/bundle/manifests/admitted", f"/v2/sealift/bundle/blobs/sha256:{digest}", "/v2/x")
    _, found = served(tmp_path, bundle, lambda site: [ask(site, path, headers) for path in paths])
    assert [status for status, _, _ in found] == [401] * 4
    assert all(each["www-authenticate"].startswith("Basic") for _, _, each in found)


@pytest.mark.parametrize(
    "path",
    ["sealift/bundle/blobs/sha256:" + "0" * 64, "sealift/bundle/manifests/none", "no/such/manifests/admitted",
     "../../etc/passwd", "sealift/bundle/blobs/..%2F..%2Fbundle.json", "sealift/bundle/blobs/bundle.json",
     "sealift/bundle/tags/all", "sealift/bundle", "_catalog", "sealift/bundle/blobs/sha256:%00"],
)  # fmt: skip
def test_what_it_does_not_have_is_said(tmp_path: Path, bundle: Path, path: str) -> None:
    _, found = served(tmp_path, bundle, lambda site: ask(site, f"/v2/{path}"))
    assert found[0] == 404 and "code" in json.loads(found[1])["errors"][0]


def test_nothing_can_be_written(tmp_path: Path, bundle: Path) -> None:
    def work(site: Site) -> list[int]:
        calls = (("PUT", "manifests/x"), ("POST", "blobs/uploads/"), ("DELETE", "manifests/admitted"))
        return [ask(site, f"/v2/sealift/bundle/{path}", method=method)[0] for method, path in calls]

    assert served(tmp_path, bundle, work)[1] == [405] * 3


def test_a_node_s_certificate_opens_it(tmp_path: Path, bundle: Path) -> None:
    def work(site: Site) -> int:
        context = site.client_context()
        context.load_cert_chain(*site.node_certificate())
        connection = http.client.HTTPSConnection("127.0.0.1", site.port, context=context, timeout=10)
        connection.request("GET", "/v2/sealift/bundle/manifests/admitted")
        return connection.getresponse().status

    assert served(tmp_path, bundle, work)[1] == 200


def slow(site: Site, path: str) -> socket.socket:
    """A client that has asked and takes nothing."""
    plain = socket.socket()
    plain.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    plain.connect(("127.0.0.1", site.port))
    link = site.client_context().wrap_socket(plain, server_hostname="127.0.0.1")
    lines = [f"GET {path} HTTP/1.1", "Host: a", f"Authorization: {AGENT['Authorization']}", "", ""]
    link.sendall("\r\n".join(lines).encode())
    return link


def blob(bundle: Path) -> str:
    largest = max((path for path in bundle.rglob("*.tar")), key=lambda path: path.stat().st_size)
    return f"/v2/sealift/bundle/blobs/sha256:{hashlib.sha256(largest.read_bytes()).hexdigest()}"


def test_who_takes_a_file_slowly_is_not_cut_by_the_limit_of_small_answers(tmp_path: Path, bundle: Path) -> None:
    def work(site: Site) -> int:
        link, taken = slow(site, blob(bundle)), 0
        with link:
            for _ in range(5):
                time.sleep(0.3)
                taken += len(link.recv(1 << 16))
            while data := link.recv(1 << 16):
                taken += len(data)
        return taken

    _, taken = served(tmp_path, bundle, work, Limits(answer=0.5, stall=5.0))
    assert taken > BIG


def test_who_takes_nothing_is_cut_and_leaves_its_place(tmp_path: Path, bundle: Path) -> None:
    def work(site: Site) -> list[int]:
        path = blob(bundle)
        held = [slow(site, path) for _ in range(2)]
        while (busy := ask(site, path)[0]) == 200:
            time.sleep(0.05)
        other = ask(site, path, source="127.0.0.9")[0]
        end = time.monotonic() + 10
        while (after := ask(site, path)[0]) != 200 and time.monotonic() < end:
            time.sleep(0.1)
        for each in held:
            each.close()
        return [busy, other, after]

    _, found = served(tmp_path, bundle, work, Limits(streams=3, streams_per_address=2, stall=2.0))
    assert found == [503, 200, 200]


def test_a_file_that_became_another_is_cut_off_and_told(tmp_path: Path, bundle: Path) -> None:
    def work(site: Site) -> str:
        assert site.layout is not None
        kept = next(site.layout.bundles.rglob(Path(CORE).name))
        with kept.open("ab") as file:
            file.write(b"more")
        try:
            return str(ask(site, f"/v2/sealift/bundle/blobs/sha256:{hash_of(bundle)}")[0])
        except http.client.HTTPException as exc:
            return type(exc).__name__

    site, found = served(tmp_path, bundle, work)
    assert found == "RemoteDisconnected"
    assert any("another size than bundle.json says" in line for line in site.said)


def hash_of(bundle: Path) -> str:
    return hashlib.sha256((bundle / CORE).read_bytes()).hexdigest()
