from pathlib import Path

import pytest
import yaml

from bundles.errors import ProblemsError, UsageError
from runtime.kubeconfig import admin_kubeconfig, agent_kubeconfigs, server_kubeconfigs
from runtime.nodeconf.model import NodeConfig, Role, Taint
from runtime.nodeconf.parse import Machine, parse
from runtime.nodeconf.read import read_settings
from runtime.nodeconf.settings import from_flags, merge
from tests.support.nodes import MACHINE, node_config, node_paths


def from_text(tmp_path: Path, text: str, role: Role = "server", machine: Machine = MACHINE) -> NodeConfig:
    path = tmp_path / "config.yaml"
    path.write_text(text)
    settings = read_settings(path, required=True)
    return parse(settings, role=role, paths=node_paths(tmp_path), machine=machine, where=path).config


def test_nothing_set_gives_rke2s_defaults(tmp_path: Path) -> None:
    node = node_config(tmp_path)
    assert (node.node_name, str(node.node_ip), node.loopback) == ("n1", "192.0.2.11", "127.0.0.1")
    assert [str(network) for network in (*node.cluster_cidrs, *node.service_cidrs)] == ["10.42.0.0/16", "10.43.0.0/16"]
    assert [str(address) for address in (*node.cluster_dns, *node.service_ips)] == ["10.43.0.10", "10.43.0.1"]
    assert node.api_url == "https://127.0.0.1:6443"


def test_a_whole_configuration(tmp_path: Path) -> None:
    node = from_text(
        tmp_path,
        """
node-name: Worker-1
node-ip: [192.0.2.5, "2001:db8::5"]
cluster-cidr: 10.1.0.0/16,fd01::/56
service-cidr: 10.2.0.0/16,fd02::/112
node-label: [a.b/c=d, e=]
node-taint: ["k=v:NoSchedule", "x:NoExecute"]
kube-apiserver-arg: [--v=2, "feature-gates=A=true,B=false"]
control-plane-resource-requests: etcd-cpu=50m,etcd-memory=1Gi
disable: rke2-metrics-server
disable-kube-proxy: true
token: secret-word
""",
    )
    assert node.node_name == "worker-1"
    assert [str(address) for address in node.cluster_dns] == ["10.2.0.10", "fd02::a"]
    assert node.labels == ("a.b/c=d", "e=")
    assert node.taints == (
        Taint(key="k", value="v", effect="NoSchedule"),
        Taint(key="x", value="", effect="NoExecute"),
    )
    assert node.extra("kube-apiserver") == ("v=2", "feature-gates=A=true,B=false")
    assert node.requests == {"etcd-cpu": "50m", "etcd-memory": "1Gi"}
    assert node.disabled == {"rke2-metrics-server"} and not node.kube_proxy
    assert node.token is not None and node.token.text == "secret-word"
    assert "secret-word" not in repr(node)


def test_all_problems_are_told_at_once_with_their_lines(tmp_path: Path) -> None:
    text = "node-nmae: x\ncluster-cidr: 10.43.0.0/24\nnode-ip: 10.0.0.300\nprofile: cis\nselinux: false\ndebug: maybe\n"
    with pytest.raises(ProblemsError) as caught:
        from_text(tmp_path, text)
    told = [f"{problem.where.rpartition('/')[2]}: {problem.message}" for problem in caught.value.problems]
    assert told == [
        "config.yaml:1:node-nmae: unknown key",
        "config.yaml:4:profile: this runtime does not have the setting",
        "config.yaml:3:node-ip: '10.0.0.300' does not appear to be an IPv4 or IPv6 address",
        "--service-cidr: 10.43.0.0/16 overlaps the pods' 10.43.0.0/24",
        "config.yaml:6:debug: must be true or false, not 'maybe'",
    ]
    assert caught.value.problems[0].hint == "did you mean node-name?"


@pytest.mark.parametrize(
    "text",
    [
        "node-ip: 127.0.0.1",
        "node-ip: [192.0.2.1, 192.0.2.2]",
        "node-name: a_b",
        "cluster-cidr: 10.42.0.1/16",
        "cluster-cidr: fd00::/56",
        "service-cidr: 10.43.0.0/30",
        "cluster-dns: 10.99.0.10",
        "service-node-port-range: 40000-30000",
        "tls-san: 'a b'",
        "node-taint: k=v:Never",
        "etcd-image: 'not an image'",
        "token: a\ntoken-file: b",
        "control-plane-resource-limits: etcd-cpu=lots",
        "server: http://192.0.2.1:9345",
        "debug: [true, false]",
        "node-name: {a: b}",
        "node-name: a\nnode-name: b",
    ],
)
def test_values_that_cannot_be_are_refused(tmp_path: Path, text: str) -> None:
    with pytest.raises(ProblemsError):
        from_text(tmp_path, text)


@pytest.mark.parametrize("text", ["- a", "a: [", "a: !!python/object:x.y {}\n b"])
def test_what_is_no_mapping_is_wrong_usage(tmp_path: Path, text: str) -> None:
    with pytest.raises(UsageError):
        from_text(tmp_path, text)


def test_scalars_are_taken_as_typed(tmp_path: Path) -> None:
    node = from_text(tmp_path, "node-name: 012\ncluster-domain: on\nkubelet-arg: 1e3\nsystem-default-registry: ~\n")
    assert (node.node_name, node.cluster_domain) == ("012", "on")
    assert (node.extra("kubelet"), node.registry) == (("1e3",), "")


def test_later_files_replace_and_a_plus_appends(tmp_path: Path) -> None:
    (tmp_path / "config.yaml").write_text("tls-san: [a, b]\nnode-name: first\n")
    folder = tmp_path / "config.yaml.d"
    folder.mkdir()
    (folder / "20.yml").write_text("tls-san+: d\n")
    (folder / "10.yaml").write_text("tls-san+: [c]\nnode-name: second\n")
    (folder / "30.txt").write_text("node-name: third\n")
    settings = read_settings(tmp_path / "config.yaml", required=True)
    settings = merge(settings, from_flags([("node-name", "flag")]))
    node = parse(settings, role="server", paths=node_paths(tmp_path), machine=MACHINE, where="").config
    assert (node.tls_sans, node.node_name) == (("a", "b", "c", "d"), "flag")


def test_a_missing_file_is_an_error_only_when_it_was_named(tmp_path: Path) -> None:
    assert read_settings(tmp_path / "none.yaml", required=False) == {}
    with pytest.raises(UsageError, match="no such configuration file"):
        read_settings(tmp_path / "none.yaml", required=True)


def test_keys_without_effect_are_told(tmp_path: Path) -> None:
    settings = from_flags([("prime", "true")])
    parsed = parse(settings, role="server", paths=node_paths(tmp_path), machine=MACHINE, where="")
    assert parsed.warnings == ("--prime: prime has no effect here",)


def test_a_machine_without_a_route_needs_an_address(tmp_path: Path) -> None:
    with pytest.raises(ProblemsError, match="no default route"):
        from_text(tmp_path, "", machine=Machine(hostname="n1", address=None))


def test_an_agent_needs_its_server(tmp_path: Path) -> None:
    with pytest.raises(ProblemsError, match="an agent needs the server's address"):
        from_text(tmp_path, "", role="agent")
    assert from_text(tmp_path, "server: https://192.0.2.1:9345", role="agent").server_url == "https://192.0.2.1:9345"


def test_kubeconfigs_have_rke2s_names_and_form(tmp_path: Path) -> None:
    node = node_config(tmp_path)
    server, agent = server_kubeconfigs(node), agent_kubeconfigs(node)
    assert sorted(path.name for path in server) == [
        "admin.kubeconfig",
        "api-server.kubeconfig",
        "controller.kubeconfig",
        "scheduler.kubeconfig",
        "supervisor.kubeconfig",
    ]
    assert [path.name for path in agent] == ["kubelet.kubeconfig", "kubeproxy.kubeconfig"]
    document = yaml.safe_load(server[node.paths.cred / "controller.kubeconfig"])
    tls = node.paths.tls
    assert document["clusters"] == [
        {
            "name": "local",
            "cluster": {"certificate-authority": f"{tls}/server-ca.crt", "server": "https://127.0.0.1:6443"},
        }
    ]
    assert document["users"][0]["user"] == {
        "client-certificate": f"{tls}/client-controller.crt",
        "client-key": f"{tls}/client-controller.key",
    }
    assert document["current-context"] == document["contexts"][0]["name"] == "Default"


def test_the_administrators_kubeconfig_can_be_carried_away(tmp_path: Path) -> None:
    document = yaml.safe_load(admin_kubeconfig("https://192.0.2.11:6443", b"ca", b"crt", b"key"))
    assert document["clusters"][0]["cluster"]["certificate-authority-data"] == "Y2E="
    assert document["users"][0]["user"] == {"client-certificate-data": "Y3J0", "client-key-data": "a2V5"}
    assert document["current-context"] == "default"
