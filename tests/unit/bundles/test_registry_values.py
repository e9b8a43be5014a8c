"""What a registry says and what a user writes, parsed: places, challenges, credentials, mirrors, proxies, waits."""

import base64
import contextlib
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bundles import oci
from bundles.errors import FormatError, MissingError, SealiftError, UsageError
from bundles.platform import Platform
from bundles.registry import challenge, retry, url
from bundles.registry.authfiles import Keyring, load_auth_files
from bundles.registry.bandwidth import Bucket, parse_rate
from bundles.registry.credentials import read_auth_file
from bundles.registry.documents import RemoteDescriptor, choose, read_document, read_manifest
from bundles.registry.mirrors import parse_mirrors
from bundles.registry.place import Repository, is_loopback, parse_place, parse_prefix
from bundles.registry.proxies import proxy_for

HEX = "a" * 64
HUB = Repository(host="docker.io", path="rancher/x")


def test_a_place_names_its_registry() -> None:
    place = parse_place("site:5000/a/b:v1")
    assert (place.repository.host, place.repository.path, place.reference) == ("site:5000", "a/b", "v1")
    assert parse_place("oci://site.io/a").reference == ""
    assert parse_place(f"site.io/a:v1@sha256:{HEX}").reference == f"sha256:{HEX}"
    for wrong in (
        "a/b:v1",
        "rke2",
        "site:5000",
        "site:5000/A:v1",
        "site:5000/a:",
        "https://site/a:v1",
        "site:5000/a:v 1",
    ):
        with pytest.raises(UsageError):
            parse_place(wrong)
    assert parse_prefix("site:5000/hub/") == ("site:5000", "hub")
    assert parse_prefix("site:5000") == ("site:5000", "")


def test_this_machine_is_known_by_its_names_only() -> None:
    assert all(map(is_loopback, ("localhost", "localhost:5000", "127.0.0.1:80", "127.9.9.9", "[::1]:5000", "[::1]")))
    assert not any(map(is_loopback, ("localhost.evil.io", "127.0.0.1.evil.io:80", "site:5000", "10.0.0.1", "")))


@pytest.mark.parametrize(
    ("text", "schemes", "realm"),
    [
        ('Bearer realm="https://a/t",service="s",scope="repository:x:pull,push"', ["bearer"], "https://a/t"),
        ("Basic realm=plain", ["basic"], "plain"),
        ('Negotiate, Basic realm="a, b"', ["negotiate", "basic"], None),
        ('bearer realm = "q\\"uoted" , service=x', ["bearer"], 'q"uoted'),
    ],
)
def test_challenges_are_read(text: str, schemes: list[str], realm: str | None) -> None:
    found = challenge.parse([text], where="r")
    assert [one.scheme for one in found] == schemes
    assert found[0].parameters.get("realm") == realm


@pytest.mark.parametrize(
    "text",
    [
        'Bearer realm="a",realm="b"',
        'Bearer realm="a',
        'Bearer realm="a" service="b"',
        "Bearer realm=",
        '="x"',
        "x" * 9000,
    ],
)
def test_two_readings_of_a_challenge_are_none(text: str) -> None:
    with pytest.raises(FormatError):
        challenge.parse([text], where="r")


@given(st.text(max_size=60))
def test_any_challenge_is_read_or_refused(text: str) -> None:
    with contextlib.suppress(SealiftError):
        challenge.parse([text], where="r")


def auth(user: str, password: str) -> dict[str, str]:
    return {"auth": base64.b64encode(f"{user}:{password}".encode()).decode()}


def never(name: str, host: str) -> bytes | None:
    raise AssertionError("no helper is configured")


def test_the_longest_key_counts_and_docker_hub_has_many_names() -> None:
    hub = "https://index.docker.io/v1/"
    auths = {"site:5000": auth("all", "1"), "site:5000/team": auth("team", "2"), hub: auth("hub", "3")}
    file = read_auth_file(json.dumps({"auths": auths}).encode(), where="config.json")

    def user(host: str, path: str) -> str:
        found = file.find(Repository(host=host, path=path), never)
        return found.user if found else "-"

    assert user("site:5000", "team/x") == "team"
    assert user("site:5000", "teams/x") == "all"
    assert user("docker.io", "library/x") == "hub"
    assert user("site:5001", "x") == user("evil.site:5000", "x") == user("site", "x") == "-"


def test_a_helper_is_asked_for_its_registry_and_others_by_the_store() -> None:
    asked = []

    def helper(name: str, host: str) -> bytes | None:
        asked.append((name, host))
        return (
            json.dumps({"ServerURL": host, "Username": "<token>", "Secret": "idt"}).encode() if name == "one" else None
        )

    file = read_auth_file(b'{"credHelpers":{"a.io":"one"},"credsStore":"all"}', where="c")
    found = file.find(Repository(host="a.io", path="x"), helper)
    assert found is not None and found.identity == "idt"
    assert file.find(HUB, helper) is None
    assert asked == [("one", "a.io"), ("all", "https://index.docker.io/v1/")]


def test_no_secret_is_in_a_value_that_is_shown_or_in_an_error() -> None:
    found = read_auth_file(json.dumps({"auths": {"a.io": auth("u", "s3cret")}}).encode(), where="c")
    assert "s3cret" not in repr(found) and auth("u", "s3cret")["auth"] not in repr(found)
    for wrong in (
        {"auths": {"a.io": {"auth": "s3cret"}}},
        {"auths": {"a.io": {"auth": "s3cret\xe4"}}},
        {"auths": {"a.io": {"auth": 5, "password": "s3cret"}}},
    ):
        with pytest.raises(FormatError) as caught:
            read_auth_file(json.dumps(wrong).encode(), where="c")
        assert "s3cret" not in str(caught.value)
    with pytest.raises(FormatError) as caught:
        read_auth_file(b'{"credHelpers":{"a.io":"one"}}', where="c").find(
            Repository(host="a.io", path="x"), lambda name, host: b'{"Secret":"s3cret"}'
        )
    assert "s3cret" not in str(caught.value) and caught.value.__cause__ is None


@pytest.mark.parametrize("name", ["../../tmp/evil", "-rf", "", "a b"])
def test_a_helper_is_a_name_and_no_path(name: str) -> None:
    with pytest.raises(FormatError):
        read_auth_file(json.dumps({"credHelpers": {"a.io": name}, "credsStore": name or "."}).encode(), where="c")


def test_the_environment_says_which_file(tmp_path: Path) -> None:
    for name, user in (("one.json", "one"), ("docker/config.json", "two"), ("home/.docker/config.json", "three")):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(json.dumps({"auths": {"docker.io": auth(user, "x")}}))
    env = {"HOME": str(tmp_path / "home")}
    users = []
    for more in ({}, {"DOCKER_CONFIG": str(tmp_path / "docker")}, {"REGISTRY_AUTH_FILE": str(tmp_path / "one.json")}):
        env |= more
        found = Keyring(env, never)(HUB)
        users.append(found.user if found else "")
    assert users == ["three", "two", "one"]
    assert Keyring({"HOME": str(tmp_path)}, never)(HUB) is None
    with pytest.raises(MissingError):
        load_auth_files({"REGISTRY_AUTH_FILE": str(tmp_path / "none")})


def test_what_podman_login_and_docker_login_wrote_is_found_one_after_the_other(tmp_path: Path) -> None:
    """containers-auth.json(5): the runtime folder, the settings, docker's; each asked for what the others lack."""
    for place, registry in (("run", "a.io"), ("settings", "b.io"), ("home/.docker", "c.io")):
        name = "config.json" if ".docker" in place else "containers/auth.json"
        (tmp_path / place / name).parent.mkdir(parents=True)
        both = {registry: auth(place, "x"), "c.io": auth(place, "x")}
        (tmp_path / place / name).write_text(json.dumps({"auths": both}))
    env = {"XDG_RUNTIME_DIR": str(tmp_path / "run"), "XDG_CONFIG_HOME": str(tmp_path / "settings")}
    keyring = Keyring(env | {"HOME": str(tmp_path / "home")}, never)
    found = {host: keyring(Repository(host=host, path="x")) for host in ("a.io", "b.io", "c.io", "d.io")}
    assert {host: keys.user for host, keys in found.items() if keys} == {
        "a.io": "run", "b.io": "settings", "c.io": "run"
    }  # fmt: skip
    only = Keyring(env | {"DOCKER_CONFIG": str(tmp_path / "home/.docker")}, never)
    assert only(Repository(host="a.io", path="x")) is None


def test_mirrors_come_first_under_their_own_names_and_the_registry_last() -> None:
    ways = parse_mirrors(["docker.io=mirror.site:5000/hub", "docker.io=localhost:5001", "*=any.site"])
    urls = [one.url("blobs/x") for one in ways.to_pull(HUB)]
    assert urls == [
        "https://mirror.site:5000/v2/hub/rancher/x/blobs/x",
        "http://localhost:5001/v2/rancher/x/blobs/x",
        "https://registry-1.docker.io/v2/rancher/x/blobs/x",
    ]
    other = ways.to_pull(Repository(host="quay.io", path="a"))
    assert [one.origin for one in other] == ["https://any.site", "https://quay.io"]
    assert [one.origin for one in parse_mirrors([], plain=True).to_pull(HUB)] == ["http://registry-1.docker.io"]
    for wrong in ("docker.io", "=x.io", "docker.io=", "a/b=x.io", "docker.io=x y"):
        with pytest.raises(UsageError):
            parse_mirrors([wrong])


@pytest.mark.parametrize(
    ("no_proxy", "through"),
    [
        ("", True), ("site.io", False), (".site.io", False), ("other.io", True), ("*", False),
        ("reg.site.io:443", False), ("reg.site.io:80", True), ("*.site.io", False), ("te.io", True),
    ],
)  # fmt: skip
def test_proxies_are_those_of_the_environment(no_proxy: str, through: bool) -> None:
    env = {"HTTPS_PROXY": "proxy:3128", "no_proxy": no_proxy}
    assert proxy_for("https://reg.site.io/v2/", env) == ("http://proxy:3128" if through else None)
    assert proxy_for("http://reg.site.io/v2/", env) is None
    assert proxy_for("https://127.0.0.1:5000/v2/", env) is None


def test_addresses_without_proxy_may_be_networks() -> None:
    env = {"http_proxy": "http://proxy:3128", "NO_PROXY": "10.0.0.0/8, 192.168.1.1"}
    assert proxy_for("http://10.1.2.3:5000/", env) is None
    assert proxy_for("http://192.168.1.1/", env) is None
    assert proxy_for("http://11.1.2.3:5000/", env) == "http://proxy:3128"


@pytest.mark.parametrize(
    ("at", "location", "goes"),
    [
        ("http://a/v2/x", "https://b/y", "https://b/y"),
        ("http://a/v2/x", "/y?z=1#f", "http://a/y?z=1"),
        ("https://a/v2/x", "http://a/y", None),
        ("https://a/v2/x", "file:///etc/passwd", None),
        ("https://a/v2/x", "https://user:pw@b/", None),
        ("https://a/v2/x", "https://b\\@c/", None),
        ("https://a/v2/x", "//b/y", "https://b/y"),
    ],
)
def test_a_redirect_goes_up_to_tls_and_never_down(at: str, location: str, goes: str | None) -> None:
    if goes is None:
        with pytest.raises(SealiftError):
            url.follow(at, location, where="r")
    else:
        assert url.follow(at, location, where="r") == goes


def test_what_is_shown_of_a_url_holds_no_signature() -> None:
    assert url.shown("https://u:p@s3/x?X-Amz-Signature=abc") == "https://s3/x"
    assert url.same_origin("https://a/x", "https://a:443/y")
    assert not url.same_origin("https://a/", "http://a/") and not url.same_origin("https://a/", "https://a:444/")


def test_waits_grow_and_a_registry_may_say_how_long() -> None:
    assert [retry.backoff(n, 1.0) for n in (1, 2, 3, 4, 20)] == [0.0, 0.5, 1.0, 2.0, 20.0]
    assert retry.backoff(3, 0.0) == 0.5
    assert retry.retry_after("7", 0) == 7.0
    assert retry.retry_after("Thu, 01 Jan 1970 00:01:40 GMT", 90) == 10.0
    for nothing in (None, "", "soon", "-5", "1e9", "٣"):
        assert retry.retry_after(nothing, 0) is None


def test_a_rate_is_kept_over_all_that_is_taken() -> None:
    now = [0.0]
    bucket = Bucket(parse_rate("1k"), lambda: now[0])
    for _ in range(100):
        now[0] += bucket.take(100)
    assert 9.0 <= now[0] <= 10.0
    assert Bucket(0, lambda: 0.0).take(1 << 40) == 0.0
    assert (parse_rate("40M"), parse_rate("500kB/s"), parse_rate("7")) == (40_000_000, 500_000, 7)
    for wrong in ("", "fast", "-1", "0", "1.5M", "k"):
        with pytest.raises(UsageError):
            parse_rate(wrong)


def manifest(**more: Any) -> bytes:
    plain = {"schemaVersion": 2, "mediaType": oci.MANIFESTS[0], "config": one(), "layers": [one()]}
    return json.dumps(plain | more).encode()


def one(**more: Any) -> dict[str, Any]:
    return {"mediaType": "application/vnd.oci.image.layer.v1.tar", "digest": f"sha256:{HEX}", "size": 1} | more


def test_a_document_that_is_two_things_is_none() -> None:
    kind = oci.MANIFESTS[0]
    assert read_document(manifest(), f"{kind}; charset=utf-8", where="r").media_type == kind
    for data, told in (
        (manifest(), oci.INDEXES[0]),
        (manifest(mediaType="text/html"), "text/html"),
        (manifest(mediaType=""), None),
        (b'{"schemaVersion":2,"schemaVersion":2}', kind),
        (b"<html>", kind),
    ):
        with pytest.raises(FormatError):
            read_document(data, told, where="r")
    with pytest.raises(FormatError, match="version 1"):
        read_document(b'{"schemaVersion":1}', "application/vnd.docker.distribution.manifest.v1+prettyjws", where="r")


@pytest.mark.parametrize(
    "layer",
    [
        one(urls=["https://evil/x"]),
        one(mediaType="application/vnd.docker.image.rootfs.foreign.diff.tar.gzip"),
        one(mediaType="application/vnd.oci.image.layer.nondistributable.v1.tar+gzip"),
    ],
)
def test_foreign_layers_are_refused_in_words(layer: dict[str, Any]) -> None:
    document = read_document(manifest(layers=[one(), layer]), None, where="r")
    with pytest.raises(FormatError, match="foreign layer"):
        read_manifest(document, where="r")


def platforms(*words: str) -> list[RemoteDescriptor]:
    from bundles import oci
    from bundles.digest import Digest

    found = []
    for word in words:
        system, architecture, variant = (*word.split("/"), "")[:3]
        found.append(
            RemoteDescriptor(
                media_type=oci.MANIFESTS[0], digest=Digest.of(word.encode()), size=1,
                platform=oci.PlatformDocument(os=system, architecture=architecture, variant=variant),
            )
        )  # fmt: skip
    return found


def test_a_platform_is_chosen_exactly_before_nearly() -> None:
    listed = platforms("linux/arm64/v9", "linux/arm64/v8", "linux/amd64", "windows/amd64", "linux/arm/v7")

    def chosen(text: str) -> str:
        found = choose(listed, Platform.parse(text), where="r").platform
        assert found is not None
        return f"{found.os}/{found.architecture}/{found.variant}"

    assert chosen("linux/arm64") == chosen("linux/arm64/v8") == "linux/arm64/v8"
    assert chosen("linux/arm64/v9") == "linux/arm64/v9"
    assert chosen("linux/amd64") == "linux/amd64/"
    with pytest.raises(MissingError, match="linux/amd64"):
        chosen("linux/riscv64")
    with pytest.raises(MissingError):
        chosen("linux/arm")  # v7 does not run on every arm
