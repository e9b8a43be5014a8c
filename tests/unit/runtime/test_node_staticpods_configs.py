import hashlib
import json
import os
import stat
import tomllib
from pathlib import Path

import pytest
import yaml

from bundles.errors import FormatError
from runtime.arguments import command_line
from runtime.configs.containerd import Host, config_version, containerd_config, crictl_config
from runtime.configs.etcd import etcd_config, first_member, member_name
from runtime.configs.kubelet import kubelet_arguments, kubelet_config
from runtime.host import CAP_SYS_RESOURCE, has_capability, has_controller, look
from runtime.staticpods.model import SSL_FOLDERS
from runtime.yamltext import yaml_text
from tests.support.nodes import HOST, PAUSE, node_config, start


def test_containerds_configuration_says_what_rke2s_does(tmp_path: Path) -> None:
    node = node_config(tmp_path)
    document = tomllib.loads(containerd_config(node, PAUSE, HOST))
    cri = document["plugins"]["io.containerd.grpc.v1.cri"]
    assert document["version"] == 2
    assert document["grpc"]["address"] == str(node.paths.socket)
    assert cri["sandbox_image"] == "index.docker.io/rancher/mirrored-pause:3.10.1"
    assert cri["restrict_oom_score_adj"] is True
    assert cri["registry"]["config_path"] == str(node.paths.registry_hosts)
    assert cri["containerd"]["runtimes"]["runc"]["options"] == {"SystemdCgroup": False}
    full = Host(systemd=True, keeps_oom_score=False)
    cri = tomllib.loads(containerd_config(node, PAUSE, full))["plugins"]["io.containerd.grpc.v1.cri"]
    assert cri["restrict_oom_score_adj"] is False
    assert cri["containerd"]["runtimes"]["runc"]["options"] == {"SystemdCgroup": True}


def test_containerd_2_gets_the_tables_that_rke2_writes_for_it(tmp_path: Path) -> None:
    node = node_config(tmp_path)
    keys = {"site.test:5000": {"username": "u", "password": "p"}}
    plain = Host(systemd=False, keeps_oom_score=False)
    document = tomllib.loads(containerd_config(node, PAUSE, plain, keys, version=3))
    root, folder = str(node.paths.containerd_root), node.paths.containerd_config.parent
    assert document == {
        "version": 3,
        "imports": [f"{folder}/config-v3.toml.d/*.toml"],
        "root": root,
        "state": str(node.paths.state),
        "grpc": {"address": str(node.paths.socket)},
        "plugins": {
            "io.containerd.internal.v1.opt": {"path": root},
            "io.containerd.grpc.v1.cri": {"stream_server_address": "127.0.0.1", "stream_server_port": "10010"},
            "io.containerd.cri.v1.runtime": {
                "enable_selinux": False,
                "enable_unprivileged_ports": True,
                "enable_unprivileged_icmp": True,
                "device_ownership_from_security_context": False,
                "containerd": {
                    "runtimes": {"runc": {"runtime_type": "io.containerd.runc.v2", "options": {"SystemdCgroup": False}}}
                },
            },
            "io.containerd.cri.v1.images": {
                "snapshotter": "overlayfs",
                "disable_snapshot_annotations": True,
                "use_local_image_pull": True,
                "pinned_images": {"sandbox": "index.docker.io/rancher/mirrored-pause:3.10.1"},
                "registry": {
                    "config_path": str(node.paths.registry_hosts),
                    "configs": {"site.test:5000": {"auth": keys["site.test:5000"]}},
                },
            },
        },
    }
    runtime = tomllib.loads(containerd_config(node, PAUSE, HOST, version=3))["plugins"]["io.containerd.cri.v1.runtime"]
    assert runtime["restrict_oom_score_adj"] is True


@pytest.mark.parametrize(
    ("said", "version"),
    [
        ("containerd github.com/containerd/containerd v1.7.35 \n", 2),
        ("containerd github.com/containerd/containerd/v2 v2.1.9 \n", 3),
        ("containerd github.com/k3s-io/containerd v2.1.5-k3s1 fcd43222d6b07379a4be9786bda52438f0dd16a1\n", 3),
        ("containerd containerd.io 1.6.20~ds1 1.6.20~ds1-1+deb12u2\n", 2),
        ("containerd example.org/containerd 10.0.0", 3),
        ("something else", 2),
        ("", 2),
    ],
)
def test_the_containerd_of_the_runtime_decides_the_version_of_its_configuration(said: str, version: int) -> None:
    assert config_version(said) == version


def test_a_control_character_never_reaches_a_configuration(tmp_path: Path) -> None:
    with pytest.raises(FormatError, match="control character"):
        containerd_config(node_config(tmp_path, ("snapshotter", "a\nb")), PAUSE, HOST)


def test_crictl_finds_containerd(tmp_path: Path) -> None:
    node = node_config(tmp_path)
    assert crictl_config(node.paths) == f"runtime-endpoint: unix://{tmp_path}/run/containerd.sock\n"


def test_the_kubelets_command_line(tmp_path: Path) -> None:
    node = node_config(tmp_path, ("kubelet-arg", "v=2"), ("kubelet-arg", "config=/etc/mine.conf"))
    arguments = kubelet_arguments(node)
    assert f"--config-dir={node.paths.kubelet_folder}" in arguments
    assert f"--containerd={node.paths.socket}" in arguments
    assert {"--read-only-port=0", "--hostname-override=n1", "--node-ip=192.0.2.11", "--v=2"} <= set(arguments)
    assert not [text for text in arguments if "mine.conf" in text or "cloud-provider" in text]


def test_the_administrators_kubelet_files_come_after_ours(tmp_path: Path) -> None:
    mine = tmp_path / "mine.conf"
    mine.write_text("maxPods: 9\n")
    more = tmp_path / "more"
    more.mkdir()
    (more / "a.conf").write_text("podsPerCore: 1\n")
    start(node_config(tmp_path, ("kubelet-arg", f"config={mine}"), ("kubelet-arg", f"config-dir={more}")))
    folder = node_config(tmp_path).paths.kubelet_folder
    files = sorted(str(path.relative_to(folder)) for path in folder.rglob("*.conf"))
    assert files == ["00-rke2-defaults.conf", "10-cli-config.conf", "20-cli-config-dir/a.conf"]


def test_etcds_configuration_of_a_first_member(tmp_path: Path) -> None:
    node = node_config(tmp_path, ("etcd-arg", "election-timeout=1000"), ("etcd-arg", "quota-backend-bytes=8589934592"))
    name = member_name("n1", b"\x01\x02\x03\xff")
    document = yaml.safe_load(etcd_config(node, first_member(node, name)))
    assert document["name"] == "n1-010203ff"
    assert document["listen-client-urls"] == "https://127.0.0.1:2379,https://192.0.2.11:2379"
    assert document["listen-client-http-urls"] == "https://127.0.0.1:2382"
    assert document["initial-cluster"] == "n1-010203ff=https://192.0.2.11:2380"
    assert (document["election-timeout"], document["heartbeat-interval"]) == (1000, 500)
    assert document["quota-backend-bytes"] == 8589934592
    assert document["client-transport-security"]["client-cert-auth"] is True


def test_addresses_of_the_sixth_version_are_bracketed(tmp_path: Path) -> None:
    node = node_config(tmp_path, ("node-ip", "2001:db8::5"))
    document = yaml.safe_load(etcd_config(node, first_member(node, "n1-0")))
    assert document["listen-client-urls"] == "https://[::1]:2379,https://[2001:db8::5]:2379"
    assert node.api_url == "https://[::1]:6443"
    assert yaml.safe_load(kubelet_config(node, systemd=True))["healthzBindAddress"] == "::1"


def test_secrets_are_made_once_and_kept(tmp_path: Path) -> None:
    node = node_config(tmp_path)
    name = start(node).name
    config = node.paths.encryption_config.read_bytes()
    document = json.loads(config)
    assert document["resources"][0]["providers"][0]["aescbc"]["keys"][0]["name"] == "aescbckey"
    assert node.paths.encryption_state.read_text() == f"start-{hashlib.sha256(config).hexdigest()}"
    assert start(node).name == name == node.paths.etcd_name.read_text()
    assert node.paths.encryption_config.read_bytes() == config


def test_a_restart_writes_nothing(tmp_path: Path) -> None:
    node = node_config(tmp_path)
    start(node)
    stamps = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")}
    start(node)
    assert {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")} == stamps


def test_nobody_else_reads_what_is_secret(tmp_path: Path) -> None:
    node = node_config(tmp_path)
    before = os.umask(0)
    try:
        start(node)
    finally:
        os.umask(before)
    open_files = [path for path in tmp_path.rglob("*") if path.is_file() and path.suffix not in (".crt",)]
    assert {stat.S_IMODE(path.stat().st_mode) for path in open_files} == {0o600}
    assert stat.S_IMODE(node.paths.agent.stat().st_mode) == stat.S_IMODE(node.paths.etcd.stat().st_mode) == 0o700


@pytest.mark.parametrize(
    ("ours", "extra", "line"),
    [
        ({"b": "1", "a": "2"}, [], ["--a=2", "--b=1"]),
        ({"a": "1"}, ["a=2"], ["--a=2"]),
        ({"a": "1"}, ["a=2", "a=3"], ["--a=2", "--a=3"]),
        ({"a": "1"}, ["a+=2"], ["--a=1,2"]),
        ({"a": "1"}, ["a-=2"], ["--a=2,1"]),
        ({}, ["a+=2"], ["--a=2"]),
        ({}, ["--verbose"], ["--verbose=true"]),
        ({"a": "1"}, ["a=x=y"], ["--a=x=y"]),
    ],
)
def test_the_administrators_arguments_go_over_ours(ours: dict[str, str], extra: list[str], line: list[str]) -> None:
    assert command_line(ours, extra) == tuple(line)


@pytest.mark.parametrize(
    "text", ["1e3", "y", "no", "012", "0x1f", ".5", "-", "", "null", "1_000", "12:30", "on", "12e34"]
)
def test_texts_that_look_like_something_else_are_quoted(text: str) -> None:
    written = yaml_text([text])
    assert yaml.safe_load(written) == [text]
    assert written.strip()[2] in "\"'"


def test_capabilities_and_controllers_are_read_from_proc() -> None:
    assert has_capability("Name:\tx\nCapEff:\t0000000001000000\n", CAP_SYS_RESOURCE)
    assert not has_capability("CapEff:\t0000000000ffffff\n", CAP_SYS_RESOURCE)
    assert not has_capability("", CAP_SYS_RESOURCE)
    table = "#subsys_name\thierarchy\tnum_cgroups\tenabled\ncpuset\t2\t1\t1\npids\t3\t1\t0\n"
    assert has_controller(table, "cpuset") and not has_controller(table, "pids")


def test_only_systemds_own_services_have_systemds_cgroups() -> None:
    assert not look({}, SSL_FOLDERS).containerd.systemd
    assert look({}, (Path("/etc"), Path("/no/such"))).ssl_folders == (Path("/etc"),)
