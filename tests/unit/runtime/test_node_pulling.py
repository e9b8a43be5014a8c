"""`sealift-node extract` without an archive: which registries it asks, and what it takes from them."""

import base64
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from bundles import index
from bundles.digest import Digest
from bundles.errors import FormatError, MissingError, SealiftError, TrustError
from bundles.index import BundleIndex
from bundles.reference import Reference
from bundles.registry.registriesread import read_registries
from bundles.registry.site import push_images
from bundles.source import open_source
from bundles.talk import SilentProgress
from runtime import cli
from runtime.extract import ExtractRequest, NodeReport, extract
from runtime.pullingways import Named, Network, ways_to
from runtime.record import State, state_of
from tests.support.fakeregistry import Clock, FakeRegistry, Fault, client, fake_registry
from tests.support.nodedirs import TestNode
from tests.support.registrypush import opened, sent_nothing
from tests.support.releases import FIRST, release

IMAGE = Reference.parse(f"rancher/rke2-runtime:{FIRST}-classic")
BASIC = "Basic " + base64.b64encode(b"node:s3cr3t").decode()


@dataclass
class Site:
    """A node that lost its archive, and a registry with the images of its bundle below `hub`."""

    node: TestNode
    registry: FakeRegistry
    bundle: Path
    admitted: list[tuple[str, str, Digest]]

    @property
    def document(self) -> BundleIndex:
        return index.decode((self.bundle / index.INDEX_NAME).read_bytes())

    def named(self, **more: Any) -> Named:
        mirror = {"endpoint": [f"http://{self.registry.host}"], "rewrite": {"^(.*)$": "hub/$1"}}
        document = {"mirrors": {"docker.io": mirror}, **more}
        return Named(registries=read_registries(document, where="r"))

    def extract(self, named: Named, *, image: str | None = None, unsigned: bool = False) -> NodeReport:
        network = Network(
            named=named,
            env={},
            unsigned=unsigned,
            admit=lambda *told: self.admitted.append(told),
            timing=Clock().timing,
        )
        request = ExtractRequest(runtime_image=image, network=network)
        node = self.node
        return extract(request, node.layout, platform=node.platform, say=node.said.append, shims=node.shims)


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    node, bundle = TestNode(tmp_path / "node"), release(tmp_path / "usb")
    node.stage(bundle)
    for path in node.layout.images.iterdir():
        path.unlink()
    with fake_registry() as registry:
        with client(Clock()) as ours, open_source(bundle) as source, opened(source) as pushed:
            push_images(pushed, ours, registry.host, "hub", sent_nothing(), SilentProgress())
        registry.seen.clear()
        yield Site(node, registry, bundle, [])


def nothing_unpacked(site: Site) -> bool:
    versions = site.node.layout.versions
    return not versions.exists() or not list(versions.iterdir())


def test_what_was_admitted_is_pulled_by_its_digest_and_stands_as_if_it_came_from_the_archive(site: Site) -> None:
    report = site.extract(site.named())
    assert (
        report.unpacked and report.archive is None and report.pulled == f"{site.registry.host}/hub/{IMAGE.repository}"
    )
    assert (report.key, report.digest) == (site.document.runtime.key, site.document.runtime.digest)
    assert state_of(site.node.layout.version(report.key)) is State.OURS
    assert (site.node.layout.bin_link / "kubelet").exists() and "small.yaml" in report.manifests
    assert f"/v2/hub/rancher/rke2-runtime/manifests/{site.document.runtime.digest}" in site.registry.paths()
    assert not site.admitted  # the bundle was admitted before: this is no new decision
    site.registry.seen.clear()
    assert not site.extract(site.named()).unpacked and not site.registry.seen


def test_docker_io_is_never_asked_by_itself(site: Site) -> None:
    empty = Named(registries=read_registries(None, where="r"))
    assert ways_to(IMAGE, empty, typed=False) == ways_to(IMAGE, empty, typed=True) == []
    with pytest.raises(MissingError, match="no archive holds") as caught:
        site.extract(empty)
    assert "system-default-registry" in caught.value.hint
    assert [one.origin for one in ways_to(IMAGE, site.named(), typed=False)] == [f"http://{site.registry.host}"]
    told = read_registries({"mirrors": {"docker.io": {"endpoint": ["https://registry-1.docker.io"]}}}, where="r")
    assert [str(one) for one in ways_to(IMAGE, Named(registries=told), typed=False)] == [
        "registry-1.docker.io/rancher/rke2-runtime"
    ]


@pytest.mark.parametrize(
    ("system_default", "typed", "asked"),
    [
        ("reg.site:5000", None, ["reg.site:5000/rancher/rke2-runtime"]),
        ("reg.site/prefix", None, ["reg.site/prefix/rancher/rke2-runtime"]),
        ("reg.site", "other.site/rke2-runtime:v1", ["other.site/rke2-runtime"]),
        ("", "other.site/rke2-runtime:v1", ["other.site/rke2-runtime"]),
        ("reg.site", "rancher/rke2-runtime:v1", []),
    ],
)
def test_the_registries_are_those_that_rke2_would_take(
    system_default: str, typed: str | None, asked: list[str]
) -> None:
    named = Named(registries=read_registries(None, where="r"), system_default=system_default)
    reference = Reference.parse(typed) if typed else IMAGE
    assert [str(one) for one in ways_to(reference, named, typed=typed is not None)] == asked


def test_without_default_endpoints_a_mirrored_registry_is_not_asked_itself() -> None:
    document = {"mirrors": {"reg.site": {"endpoint": ["https://m.site"]}}}
    for own, hosts in ((True, ["https://m.site", "https://reg.site"]), (False, ["https://m.site"])):
        named = Named(registries=read_registries(document, where="r"), system_default="reg.site", default_endpoints=own)
        assert [one.origin for one in ways_to(IMAGE, named, typed=False)] == hosts


def test_a_registry_that_lies_is_passed_over_for_the_next(site: Site) -> None:
    with fake_registry() as liar:
        liar.blobs, liar.manifests = dict(site.registry.blobs), dict(site.registry.manifests)
        liar.faults = lambda seen, number: Fault(flip=True) if "/blobs/" in seen.path else None
        mirror = {"endpoint": [f"http://{liar.host}", f"http://{site.registry.host}"], "rewrite": {"^": "hub/"}}
        named = Named(registries=read_registries({"mirrors": {"*": mirror}}, where="r"))
        report = site.extract(named)
        assert report.pulled is not None and report.pulled.startswith(site.registry.host)
        assert any("wrong bytes" in line and liar.host in line for line in site.node.said)


@pytest.mark.parametrize("fault", [Fault(flip=True), Fault(longer=b"x"), Fault(endless=True)])
def test_wrong_bytes_are_never_unpacked(site: Site, fault: Fault) -> None:
    layers = {str(layer) for layer in _layers(site)}
    site.registry.faults = lambda seen, number: fault if seen.path.rpartition("/")[2] in layers else None
    with pytest.raises(FormatError):
        site.extract(site.named())
    assert nothing_unpacked(site)


def test_a_line_that_cuts_is_gone_on_with_where_it_was_cut(site: Site) -> None:
    layers = {str(layer) for layer in _layers(site)}
    cut: set[str] = set()

    def once(seen: Any, number: int) -> Fault | None:
        name = seen.path.rpartition("/")[2]
        if name in layers and name not in cut:
            cut.add(name)
            return Fault(cut=40)
        return None

    site.registry.faults = once
    assert site.extract(site.named()).unpacked
    ranges = [seen.headers["range"] for seen in site.registry.seen if "range" in seen.headers]
    assert ranges == ["bytes=40-"] * len(layers)


def test_what_a_tag_means_now_does_not_matter_where_a_bundle_says_the_digest(site: Site) -> None:
    runtime = ("hub/rancher/rke2-runtime", str(IMAGE.tag))
    site.registry.manifests[runtime] = ("application/vnd.oci.image.manifest.v1+json", b'{"schemaVersion": 2}')
    assert site.extract(site.named()).digest == site.document.runtime.digest
    del site.registry.manifests[runtime[0], str(site.document.runtime.digest)]
    with pytest.raises(MissingError):
        Site(_bare(site), site.registry, site.bundle, []).extract(site.named())


def test_an_image_that_no_bundle_vouches_for_has_to_be_asked_for_aloud(site: Site) -> None:
    site.node.layout.admitted.unlink()
    with pytest.raises(TrustError, match="nobody vouches"):
        site.extract(site.named(), image=IMAGE.familiar)
    assert nothing_unpacked(site) and not site.registry.seen
    report = site.extract(site.named(), image=IMAGE.familiar, unsigned=True)
    assert report.unpacked and report.digest is not None
    source = f"{site.registry.host}/hub/rancher/rke2-runtime"
    assert site.admitted == [(IMAGE.name, source, report.digest)]


def test_credentials_of_registries_yaml_open_the_door(site: Site) -> None:
    site.registry.basic = BASIC
    with pytest.raises(SealiftError, match="wants to know who asks"):
        site.extract(site.named())
    auth = {site.registry.host: {"auth": {"username": "node", "password": "s3cr3t"}}}
    assert site.extract(site.named(configs=auth)).unpacked
    assert "s3cr3t" not in "".join(site.node.said)


def test_an_image_of_another_platform_or_with_foreign_layers_is_refused(site: Site) -> None:
    repository, digest = "hub/rancher/rke2-runtime", str(site.document.runtime.digest)
    kind, data = site.registry.manifests[repository, digest]
    config = json.loads(data)["config"]
    other = json.loads(site.registry.blobs[repository, config["digest"]]) | {"architecture": "arm64"}
    foreign = json.loads(data)["layers"][0] | {"urls": ["https://elsewhere.example/x"]}
    blob = site.registry.add(repository, json.dumps(other).encode())
    size = len(json.dumps(other))
    for changes, words in (
        ({"config": config | {"digest": str(blob), "size": size}}, "another platform"),
        ({"layers": [foreign]}, "foreign layer"),
        ({"layers": []}, "another number of layers"),
    ):
        site.registry.add_manifest(repository, "v1-odd", json.dumps(json.loads(data) | changes).encode(), kind)
        with pytest.raises(FormatError, match=words):
            site.extract(site.named(), image="rancher/rke2-runtime:v1-odd", unsigned=True)
    assert nothing_unpacked(site)


def test_the_command_reads_rke2_s_files_and_says_where_the_image_came_from(
    site: Site, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    registries, config = tmp_path / "registries.yaml", tmp_path / "config.yaml"
    named = site.named()
    mirror = {"endpoint": [f"http://{site.registry.host}"], "rewrite": {"^(.*)$": "hub/$1"}}
    registries.write_text(yaml.safe_dump({"mirrors": {"docker.io": mirror}}))
    config.write_text(f"private-registry: {registries}\n")
    words = ["extract", "--data-dir", str(site.node.layout.data), "--shim-dir", str(site.node.shims), "--json"]
    assert cli.run(words) == 1  # nobody is asked whom nobody named
    assert not site.registry.seen
    capsys.readouterr()
    assert cli.run([*words, "--config", str(config)]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["pulled"] == f"{site.registry.host}/hub/rancher/rke2-runtime" and told["archive"] is None
    assert named.registries


def test_what_was_taken_unsigned_is_in_the_audit_log(
    site: Site, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    site.node.layout.admitted.unlink()
    registries = tmp_path / "registries.yaml"
    mirror = {"endpoint": [f"http://{site.registry.host}/v2/hub"]}
    registries.write_text(yaml.safe_dump({"mirrors": {"*": mirror}}))
    data = str(site.node.layout.data)
    words = ["extract", "--data-dir", data, "--registries", str(registries), "--runtime-image", IMAGE.familiar]
    assert cli.run(words) == 3
    assert cli.run([*words, "--insecure-no-signature", "--shim-dir", str(site.node.shims)]) == 0
    capsys.readouterr()
    assert cli.run(["audit", "--data-dir", data]) == 0
    assert re.search(r"extract.*admitted.*hub/rancher/rke2-runtime", capsys.readouterr().out)


def _layers(site: Site) -> list[str]:
    _, data = site.registry.manifests["hub/rancher/rke2-runtime", str(IMAGE.tag)]
    return [layer["digest"] for layer in json.loads(data)["layers"]]


def _bare(site: Site) -> TestNode:
    """Another node of the same bundle, without archives."""
    node = TestNode(site.node.root / "other")
    node.stage(site.bundle)
    for path in node.layout.images.iterdir():
        path.unlink()
    return node
