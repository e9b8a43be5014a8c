"""A site's registry (distribution 3) with TLS and a password, and what a node does with registries.yaml."""

import base64
import json
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml

from bundles import index
from bundles.index import BundleIndex
from bundles.registry.registriesread import read_registries
from runtime.configs.hosts import credentials, hosts_files
from runtime.configs.hostswrite import write_hosts
from runtime.configs.toml import table, value
from tests.support.bundles import tree
from tests.support.certificates import Authority
from tests.support.containerd import Containerd
from tests.support.gotools import go_tool
from tests.support.node import extracted_node, sealift_node
from tests.support.registry import Guarded, Registry, running_registry

pytestmark = pytest.mark.real
SEALIFT = Path(__file__).resolve().parents[2] / ".venv/bin/sealift"
REGISTRY = {2: 'plugins."io.containerd.grpc.v1.cri".registry', 3: 'plugins."io.containerd.cri.v1.images".registry'}


@dataclass(frozen=True)
class Site:
    """The registry, the node's file that leads to it, and the bundle whose images are there."""

    registry: Registry
    guarded: Guarded
    registries: Path
    bundle: Path
    home: Path

    @property
    def document(self) -> BundleIndex:
        return index.decode((self.bundle / index.INDEX_NAME).read_bytes())


@pytest.fixture(scope="module")
def site(rke2_bundle: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    folder = tmp_path_factory.mktemp("site")
    authority = Authority(folder)
    server = authority.sign("server")
    guarded = Guarded(server.certificate, server.key)
    with running_registry(folder, program=go_tool("distribution"), guarded=guarded) as registry:
        auth = base64.b64encode(f"{guarded.user}:{guarded.password}".encode()).decode()
        (folder / "config.json").write_text(json.dumps({"auths": {registry.host: {"auth": auth}}}))
        done = subprocess.run(
            [
                *(SEALIFT, "push", rke2_bundle, f"{registry.host}/x/rke2", "--images", f"{registry.host}/hub"),
                *("--tls", "--ca", authority.ca, "--json"),
            ],
            env={"PATH": "/usr/bin:/bin", "HOME": str(folder / "none"), "DOCKER_CONFIG": str(folder)},
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, done.stderr
        plain = yaml.safe_load(json.loads(done.stdout)["registries.yaml"])
        keys = {"username": guarded.user, "password": guarded.password}
        plain["configs"] = {registry.host: {"auth": keys, "tls": {"ca_file": str(authority.ca)}}}
        registries = folder / "registries.yaml"
        registries.write_text(yaml.safe_dump(plain))
        yield Site(registry, guarded, registries, rke2_bundle, folder)
        log = (folder / "registry.log").read_text()
        assert guarded.password not in log + done.stdout + done.stderr and auth not in log + done.stdout + done.stderr


@dataclass(frozen=True)
class Pulled:
    """A node without the runtime image's archive, its programs from the site's registry."""

    data: Path
    config: Path
    words: tuple[str | Path, ...]
    told: dict[str, str]
    said: str


@pytest.fixture(scope="module")
def node(site: Site, tmp_path_factory: pytest.TempPathFactory) -> Pulled:
    folder = tmp_path_factory.mktemp("node")
    data, config = folder / "rke2", folder / "config.yaml"
    sealift_node("stage", site.bundle, "--data-dir", data, "--insecure-no-signature")
    for path in (data / "agent/images").glob("*rke2-runtime*"):
        path.unlink()
    config.write_text(f"private-registry: {site.registries}\n")
    words = ("extract", "--data-dir", data, "--shim-dir", folder, "--json")
    nobody = sealift_node(*words, check=False)
    assert nobody.returncode == 1 and site.registry.host not in nobody.stdout
    done = sealift_node(*words, "--config", config)
    return Pulled(data, config, words, json.loads(done.stdout), done.stdout + done.stderr)


def test_a_node_without_the_archive_unpacks_what_the_registry_has(site: Site, node: Pulled) -> None:
    runtime = site.document.runtime
    assert runtime is not None and node.told["digest"] == str(runtime.digest)
    assert node.told["pulled"].startswith(f"{site.registry.host}/hub/")
    assert subprocess.run([node.data / "bin/kubelet", "--version"], check=True, capture_output=True).stdout
    assert site.guarded.password not in node.said


@pytest.mark.parametrize("version", [2, 3])
def test_its_containerd_pulls_docker_io_s_names_through_the_same_file(
    site: Site, node: Pulled, modern_bundle: Path, tmp_path: Path, version: int
) -> None:
    """containerd 1.7 of this bundle, and the modern one's containerd 2, each with its own configuration."""
    registries = read_registries(yaml.safe_load(site.registries.read_text()), where="r")
    certs = tmp_path / "certs.d"
    certs.mkdir()
    write_hosts(certs, hosts_files(registries, default_endpoints=False))
    assert site.guarded.password not in (certs / "docker.io/hosts.toml").read_text()
    more = table(REGISTRY[version], {"config_path": str(certs)})
    for host, keys in credentials(registries).items():
        more += table(f"{REGISTRY[version]}.configs.{value(host)}.auth", keys)
    if version == 3:  # as runtime.configs.containerd has it
        more = table('plugins."io.containerd.cri.v1.images"', {"use_local_image_pull": True}) + more
    programs = node.data / "bin" if version == 2 else extracted_node(modern_bundle, tmp_path / "modern").bin
    image = next(one for one in site.document.images if "pause" in one.reference)
    with Containerd(str(programs), tmp_path / "containerd", more=more, version=version) as daemon:
        daemon.crictl("pull", image.reference)
        rows = daemon.ctr("-n", "k8s.io", "images", "ls").stdout.splitlines()
        (row,) = [line for line in rows if line.startswith(f"{image.reference} ")]
        assert str(image.digest) in row


def test_the_system_s_default_registry_is_asked_without_a_mirror(site: Site, node: Pulled, tmp_path: Path) -> None:
    shutil.rmtree(node.told["folder"])
    plain = yaml.safe_load(site.registries.read_text())
    del plain["mirrors"]
    other, config = tmp_path / "other.yaml", tmp_path / "config.yaml"
    other.write_text(yaml.safe_dump(plain))
    config.write_text(f"private-registry: {other}\nsystem-default-registry: {site.registry.host}/hub\n")
    told = json.loads(sealift_node(*node.words, "--config", config).stdout)
    assert told["unpacked"] and told["pulled"].startswith(f"{site.registry.host}/hub/")


def test_a_bundle_comes_back_from_a_guarded_registry_byte_for_byte(site: Site, tmp_path: Path) -> None:
    for program in ("docker-registry", go_tool("distribution")):
        folder = tmp_path / Path(program).name
        folder.mkdir()
        with running_registry(folder, program=program, guarded=site.guarded) as registry:
            auth = base64.b64encode(f"{site.guarded.user}:{site.guarded.password}".encode()).decode()
            (folder / "auth.json").write_text(json.dumps({"auths": {registry.host: {"auth": auth}}}))
            environment = {"PATH": "/usr/bin:/bin", "REGISTRY_AUTH_FILE": str(folder / "auth.json")}
            tls = ("--tls", "--ca", site.home / "ca.pem")
            hello = next(path for path in site.bundle.parent.glob("hello-*"))
            for words in (("push", hello), ("pull", "--output", folder / "out")):
                command = [SEALIFT, *words, f"{registry.host}/site/hello:v1", *tls]
                done = subprocess.run(command, env=environment, capture_output=True, text=True)
                assert done.returncode == 0, done.stderr
            got = Path(done.stdout.strip())
            assert tree(got) == tree(hello)
            refused = subprocess.run(command, env={"PATH": "/usr/bin:/bin"}, capture_output=True, text=True)
            assert refused.returncode == 1 and "wants to know who asks" in refused.stderr
