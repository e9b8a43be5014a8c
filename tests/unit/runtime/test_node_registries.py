"""registries.yaml on a node: what containerd is told of it, and what is left when it changes."""

import tomllib
from pathlib import Path
from typing import Any

import pytest

from bundles.errors import FormatError, ProblemsError, UsageError
from bundles.reference import Reference
from bundles.registry.registriesread import read_registries
from runtime.configs.containerd import Host, containerd_config
from runtime.configs.hosts import credentials, hosts_files, warnings_of
from runtime.configs.hostswrite import write_hosts
from runtime.registries import read_private_registry
from tests.support.nodes import node_config

YAML = {
    "mirrors": {
        "docker.io": {"endpoint": ["https://m.site:5000", "https://n.site/base"], "rewrite": {"^(.*)$": "hub/$1"}},
        "*": {"endpoint": ["http://any.site"]},
        "plain.site": {"endpoint": ["https://plain.site/v2"]},
    },
    "configs": {
        "m.site:5000": {
            "auth": {"username": "u", "password": 'p"\\'},
            "tls": {"ca_file": "/ca.pem", "cert_file": "/c.pem", "key_file": "/k.pem"},
        },
        "n.site": {"tls": {"insecure_skip_verify": True}},
        "q.site": {"auth": {"identity_token": "long"}},
    },
}


def hosts(document: Any = YAML, *, own: bool = True) -> dict[str, dict[str, Any]]:
    files = hosts_files(read_registries(document, where="r"), default_endpoints=own)
    return {name: tomllib.loads(text) for name, text in files.items()}


def test_mirrors_come_in_their_order_and_the_registry_itself_last() -> None:
    hub = hosts()["docker.io"]
    assert hub["server"] == "https://registry-1.docker.io/v2"
    assert list(hub["host"]) == ["https://m.site:5000/v2/hub", "https://n.site/base/hub"]
    first = hub["host"]["https://m.site:5000/v2/hub"]
    assert first["ca"] == ["/ca.pem"] and first["client"] == [["/c.pem", "/k.pem"]] and first["override_path"] is True
    assert hub["host"]["https://n.site/base/hub"]["skip_verify"] is True


def test_any_registry_s_mirror_is_containerd_s_default() -> None:
    found = hosts()
    assert "*" not in found and "server" not in found["_default"]
    assert list(found["_default"]["host"]) == ["http://any.site/v2"]


def test_a_mirror_that_is_the_registry_itself_is_no_second_way_to_it() -> None:
    assert hosts()["plain.site"] == {"server": "https://plain.site/v2", "capabilities": ["pull", "resolve", "push"]}


def test_tls_of_a_registry_without_mirrors_counts_too() -> None:
    found = hosts()
    assert found["n.site"]["skip_verify"] is True
    assert "q.site" not in found  # credentials stand in containerd's own configuration


def test_without_default_endpoints_nothing_asks_the_registry_itself() -> None:
    hub = hosts(own=False)["docker.io"]
    assert "docker.io" not in str(hub)
    assert hub["server"] == "https://n.site/base/hub" and hub["override_path"] is True and hub["skip_verify"] is True
    assert list(hub["host"]) == ["https://m.site:5000/v2/hub"]


def test_a_rewrite_that_only_k3s_s_containerd_knows_is_written_for_it_and_told() -> None:
    document = {"mirrors": {"docker.io": {"endpoint": ["https://m.site"], "rewrite": {"^rancher/(.*)": "r-$1"}}}}
    assert hosts(document)["docker.io"]["host"]["https://m.site/v2"]["rewrite"] == {"^rancher/(.*)": "r-$1"}
    (told,) = warnings_of(read_registries(document, where="r"))
    assert "^rancher/(.*)" in told
    (unchecked,) = warnings_of(read_registries(YAML, where="r"))
    assert "n.site" in unchecked


def test_credentials_stand_in_containerd_s_configuration_alone(tmp_path: Path) -> None:
    keys = credentials(read_registries(YAML, where="r"))
    host = Host(systemd=False, keeps_oom_score=False)
    text = containerd_config(node_config(tmp_path), Reference.parse("docker.io/rancher/pause:1"), host, keys)
    configs = tomllib.loads(text)["plugins"]["io.containerd.grpc.v1.cri"]["registry"]["configs"]
    assert configs["m.site:5000"]["auth"] == {"username": "u", "password": 'p"\\'}
    assert configs["q.site"]["auth"] == {"identitytoken": "long"}
    assert 'p"' not in str(hosts())


def test_what_is_no_longer_wanted_goes_and_what_an_administrator_put_there_stays(tmp_path: Path) -> None:
    files = hosts_files(read_registries(YAML, where="r"), default_endpoints=True)
    write_hosts(tmp_path, files)
    assert (tmp_path / "docker.io/hosts.toml").stat().st_mode & 0o777 == 0o600
    (tmp_path / "mine.site").mkdir()
    (tmp_path / "mine.site/hosts.toml").write_text('server = "https://x"\n')
    write_hosts(tmp_path, {"docker.io": files["docker.io"]})
    assert sorted(path.name for path in tmp_path.iterdir()) == ["docker.io", "mine.site"]


def test_the_private_registry_file_is_read_with_yaml_s_words_kept_out_of_errors(tmp_path: Path) -> None:
    path = tmp_path / "registries.yaml"
    with pytest.raises(UsageError):
        read_private_registry(path)
    path.write_text("configs:\n  a.site:\n    auth: {username: u, password: 012}\n")
    credentials = read_private_registry(path).configs["a.site"].credentials
    assert credentials is not None and credentials.password == "012"  # a password is no number
    path.write_text("mirrors: ~\nconfigs:\n")
    assert not read_private_registry(path).configs
    for wrong in ("configs: [s3cr3t", "a: s3cr3t\n b: - s3cr3t", "s3cr3t", "--- a\n--- b", "configs: {a b: }"):
        path.write_text(wrong)
        with pytest.raises((FormatError, ProblemsError)) as caught:
            read_private_registry(path)
        assert "s3cr3t" not in str(caught.value)


def test_the_configuration_names_the_file_and_forbids_the_registries_themselves(tmp_path: Path) -> None:
    config = node_config(tmp_path, ("private-registry", "/r.yaml"), ("disable-default-registry-endpoint", "true"))
    assert config.private_registry == Path("/r.yaml") and not config.default_endpoints
    assert node_config(tmp_path).private_registry is None
    with pytest.raises(ProblemsError):
        node_config(tmp_path, ("private-registry", "r.yaml"))
