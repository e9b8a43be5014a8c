"""The modern bundle, for a stock RKE2: its seven programs, the stock name, containerd 2; and why it is a flavour."""

import hashlib
import json
import os
import shutil
import subprocess
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

from bundles import index
from bundles.index import BundleIndex
from runtime.configs.containerd import config_version, containerd_config
from tests.interop.test_node_configs import lacking
from tests.interop.test_node_programs import container, pod
from tests.interop.test_wharfie import hashes, read_as_rke2
from tests.support.containerd import Containerd
from tests.support.node import PROGRAMS, Node, extracted_node
from tests.support.nodes import HOST, PAUSE, node_config
from tests.support.stockshape import CONTAINERD

pytestmark = pytest.mark.real
VERSIONS = {
    "containerd": (["--version"], "v2.1."),
    "containerd-shim-runc-v2": (["-v"], "2.1."),
    "ctr": (["--version"], "v2.1."),
    "runc": (["--version"], "1.3.4"),
    "kubelet": (["--version"], "Kubernetes v1.34.4"),
    "kubectl": (["version", "--client"], "v1.34.4"),
    "crictl": (["--version"], "v1.34.0"),
}


@pytest.fixture(scope="module")
def document(modern_bundle: Path) -> BundleIndex:
    return index.decode((modern_bundle / index.INDEX_NAME).read_bytes())


@pytest.fixture(scope="module")
def node(modern_bundle: Path, tmp_path_factory: pytest.TempPathFactory) -> Node:
    return extracted_node(modern_bundle, tmp_path_factory.mktemp("node"))


@pytest.fixture(scope="module")
def daemon(node: Node, document: BundleIndex, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Containerd]:
    (pause,) = (image.reference for image in document.images if "mirrored-pause" in image.reference)
    home = tmp_path_factory.mktemp("containerd")
    with Containerd(str(node.bin), home, pause=pause, version=3) as daemon:
        yield daemon


def test_it_carries_the_seven_programs_that_rke2_ships_today_and_each_says_its_version(node: Node) -> None:
    assert sorted(os.listdir(node.bin)) == sorted(VERSIONS)
    for program, (arguments, version) in VERSIONS.items():
        done = subprocess.run([node.bin / program, *arguments], env={"PATH": ""}, capture_output=True, text=True)
        assert version in done.stdout + done.stderr, program


def test_rke2_finds_it_among_its_archives_under_the_name_that_is_compiled_into_it(
    wharfie: Path, modern_bundle: Path, document: BundleIndex, node: Node, tmp_path: Path
) -> None:
    """RKE2 v1.34.4+rke2r1 asks for `rancher/rke2-runtime:v1.34.4-rke2r1` and unpacks below the hash of that text."""
    stock = f"rancher/rke2-runtime:{document.version}"
    shutil.copytree(modern_bundle / "images", tmp_path / "images")
    assert {path.suffix for path in (tmp_path / "images").iterdir()} == {".tar"}, "a .txt there would be a pull list"
    assert read_as_rke2(wharfie, tmp_path / "images", stock, tmp_path).returncode == 0
    assert hashes(tmp_path / "bin") == hashes(node.bin) != {}
    assert hashes(tmp_path / "charts") == hashes(node.charts) != {}
    assert node.bin.parent.name == f"{document.version}-{hashlib.sha256(stock.encode()).hexdigest()[:12]}"
    assert document.runtime.reference == f"docker.io/{stock}"


def test_containerd_2_has_every_image_of_both_flavours_under_our_names_and_digests_and_runs_a_pod(
    daemon: Containerd, modern_bundle: Path, rke2_bundle: Path, document: BundleIndex, tmp_path: Path
) -> None:
    classic = index.decode((rke2_bundle / index.INDEX_NAME).read_bytes())
    archives = [str(modern_bundle / archive.path) for archive in document.archives]
    for path in (*archives, str(rke2_bundle / "images/rke2-runtime.linux-amd64.tar")):
        daemon.ctr("-n", "k8s.io", "images", "import", "--local", "--all-platforms", "--no-unpack", path)
    rows = [line.split() for line in daemon.ctr("-n", "k8s.io", "images", "ls").stdout.splitlines()[1:]]
    promised = {image.reference: str(image.digest) for one in (document, classic) for image in one.images}
    assert promised.items() <= {row[0]: row[2] for row in rows}.items()
    assert "v2.1." in daemon.crictl("version").stdout
    (pause,) = (image.reference for image in document.images if "mirrored-pause" in image.reference)
    (tmp_path / "pod.json").write_text(json.dumps(pod(tmp_path)))
    (tmp_path / "container.json").write_text(json.dumps(container(pause)))
    words = ("run", "--no-pull", str(tmp_path / "container.json"), str(tmp_path / "pod.json"))
    created = daemon.crictl(*words).stdout.strip()
    assert created[:13] in daemon.crictl("ps", "--state", "running").stdout


def test_an_inbox_admits_the_signed_modern_bundle_and_refuses_the_classic_one(
    wharfie: Path, modern_bundle: Path, rke2_bundle: Path, document: BundleIndex, tmp_path: Path
) -> None:
    """`sealift-node watch`, as a plain RKE2 site runs it: what it places is what RKE2's reader takes."""
    inbox, data = tmp_path / "inbox", tmp_path / "rke2"
    inbox.mkdir()
    data.mkdir()
    ran("sealift", "keygen", tmp_path / "release")
    keys = {"release": (tmp_path / "release.pub").read_text()}
    rules = [{"names": ["rke2-*"], "signers": ["release"]}]
    policy = {"format": "1.0", "name": "site", "sequence": 1, "keys": keys, "update": {"signers": ["release"]}}
    (tmp_path / "policy.json").write_text(json.dumps({**policy, "bundles": rules}))
    ran("sealift", "sign", tmp_path / "policy.json", "--key", tmp_path / "release.key")
    ran("sealift-node", "policy", "update", tmp_path / "policy.json", "--data-dir", data)
    for bundle in (modern_bundle, rke2_bundle):
        shutil.copytree(bundle, inbox / bundle.name)
        ran("sealift", "sign", inbox / bundle.name, "--key", tmp_path / "release.key", "--quick")
    watch = ("watch", inbox, "--quiet", "0", "--data-dir", data, "--progress", "none")
    said = ran("sealift-node", *watch, code=1)
    assert f"admitted: {modern_bundle.name}" in said
    assert f"refused: {rke2_bundle.name}" in said and "not a bundle for RKE2" in said
    images = data / "agent/images"
    assert {path.name for path in images.iterdir()} == {path.name for path in (modern_bundle / "images").iterdir()}
    assert read_as_rke2(wharfie, images, f"rancher/rke2-runtime:{document.version}", tmp_path / "node").returncode == 0
    for folder in (inbox, data):  # a gigabyte
        shutil.rmtree(folder)


def test_all_that_is_alike_in_both_flavours_has_the_same_bytes(modern_bundle: Path, rke2_bundle: Path) -> None:
    one, two = (index.decode((path / index.INDEX_NAME).read_bytes()) for path in (modern_bundle, rke2_bundle))
    digests = ({image.reference: image.digest for image in each.images} for each in (one, two))
    assert {name for name, _ in set.symmetric_difference(*(set(each.items()) for each in digests))} == {
        one.runtime.reference,
        two.runtime.reference,
    }
    assert two.runtime.reference == f"{one.runtime.reference}-classic"
    archives = [{archive.path: archive.sha256 for archive in each.archives} for each in (one, two)]
    assert {path for path in archives[0] if archives[0][path] != archives[1][path]} == {
        "images/rke2-runtime.linux-amd64.tar"
    }


def test_containerd_2_keeps_every_value_of_its_configuration(tmp_path: Path, node: Node) -> None:
    path = tmp_path / "config.toml"
    config = node_config(tmp_path / 'a "quoted" földer')
    keys = {"site.test:5000": {"username": "u", "password": "p"}}
    path.write_text(containerd_config(config, PAUSE, HOST, keys, version=3))
    done = dumped(node, path)
    assert done.returncode == 0 and "Ignoring" not in done.stderr, done.stderr
    ours, theirs = tomllib.loads(path.read_text()), tomllib.loads(done.stdout)
    del ours["imports"]  # dumped as what was found there
    assert lacking(ours, theirs) == []


def test_the_classic_containerd_ends_over_the_configuration_that_a_stock_rke2_writes(
    rke2_bundle: Path, node: Node, tmp_path: Path
) -> None:
    """Why a stock RKE2 must never pick up the classic runtime: the whole of RKE2 ends with its containerd."""
    classic = extracted_node(rke2_bundle, tmp_path / "classic")
    path = tmp_path / "config.toml"
    text = CONTAINERD.format(pause="index.docker.io/rancher/mirrored-pause:none")
    path.write_text(text.replace("/var/lib/rancher/rke2", str(tmp_path)).replace("/run/k3s", str(tmp_path)))
    assert dumped(node, path).returncode == 0
    command = [str(classic.bin / "containerd"), "-c", str(path)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert done.returncode == 1 and "unsupported config version `3`" in done.stderr
    versions = [subprocess.check_output([one.bin / "containerd", "--version"], text=True) for one in (classic, node)]
    assert [config_version(said) for said in versions] == [2, 3]


def ran(program: str, *words: str | Path, code: int = 0) -> str:
    """A command of ours with a passphrase in its environment; both of its outputs."""
    environment = {"PATH": os.environ["PATH"], "SEALIFT_PASSWORD": "passphrase"}
    done = subprocess.run([PROGRAMS / program, *words], env=environment, capture_output=True, text=True)
    assert done.returncode == code, f"{words}: {done.stdout}{done.stderr}"
    return done.stdout + done.stderr


def dumped(node: Node, config: Path) -> subprocess.CompletedProcess[str]:
    """What the node's containerd makes of a configuration."""
    command = [str(node.bin / "containerd"), "-c", str(config), "config", "dump"]
    return subprocess.run(command, capture_output=True, text=True, timeout=60)
