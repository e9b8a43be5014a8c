"""The recipe that takes everything as it is published, from lock to bundle: stand-ins of the same names in a real
registry, reached through `--mirror`, and charts from a server with TLS. What is inside them is small; the way is whole.
"""

import gzip
import hashlib
import json
import shutil
import ssl
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from builder.recipe.fetched import ImageFilesComponent, PublishedChart
from builder.recipe.model import Recipe
from builder.recipe.read import read_recipe
from builder.recipe.taken import MirrorImage
from bundles import oci
from bundles.errors import ProblemsError
from bundles.index import BundleIndex, decode
from bundles.reference import Reference
from runtime.choices import decide
from runtime.daemon.chosen import choose_images
from tests.support.certificates import Authority
from tests.support.chartserving import chart_tgz
from tests.support.fileserver import FileServer, file_server
from tests.support.node import sealift, sealift_node
from tests.support.nodes import node_config
from tests.support.published import Layer, push
from tests.support.registry import Registry, running_registry
from tests.support.releases import program
from tests.support.tars import END, member

pytestmark = pytest.mark.real
UPSTREAM = Path(__file__).resolve().parents[2] / "recipes/rke2-v1.34-upstream"
CHARTS = "https://rke2-charts.rancher.io"


@dataclass(frozen=True)
class Site:
    """What a builder reaches: a mirror of docker.io, and the chart repository in the recipe's copy."""

    recipe: Path
    registry: Registry
    options: tuple[str | Path, ...]


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    folder = tmp_path_factory.mktemp("upstream")
    recipe = read_recipe(UPSTREAM)
    authority = Authority(folder)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(authority.sign("charts").both)
    patched = pytest.MonkeyPatch.context()
    with patched as patch, running_registry(folder) as registry, file_server(tls=context) as server:
        patch.setenv("SSL_CERT_FILE", str(authority.ca))  # as every program of a machine is told
        publish_images(recipe, registry)
        publish_charts(recipe, server)
        copy = folder / "recipe"
        shutil.copytree(UPSTREAM, copy)
        text = (copy / "charts.yaml").read_text()
        assert text.count(CHARTS) == len(recipe.charts)
        (copy / "charts.yaml").write_text(text.replace(CHARTS, server.url("")))
        mirror = f"docker.io={registry.host}"
        yield Site(copy, registry, ("--mirror", mirror, "--store", folder / "store"))


def publish_images(recipe: Recipe, registry: Registry) -> None:
    """A small image for every name, with the programs that the recipe takes out of it."""
    programs: dict[Reference, dict[str, bytes]] = {}
    for image in recipe.images.values():
        if isinstance(image, MirrorImage):
            programs.setdefault(image.source, {"etc/name": str(image.source).encode()})
    for component in recipe.components.values():
        assert isinstance(component, ImageFilesComponent)
        inside = programs.setdefault(component.reference, {})
        inside |= {str(path): program(path.name.encode()) for path in component.files.values()}
    for reference, files in programs.items():
        push(registry, reference.repository, reference.tag, [layer_of(files)])


def layer_of(files: dict[str, bytes]) -> Layer:
    """Programs."""
    tar = b"".join(member(name, data, mode=0o755) for name, data in sorted(files.items())) + END
    return Layer(gzip.compress(tar, mtime=0), oci.LAYER_GZIP, f"sha256:{hashlib.sha256(tar).hexdigest()}")


def publish_charts(recipe: Recipe, server: FileServer) -> None:
    """A repository with every chart in its version."""
    entries = {}
    for chart in recipe.charts.values():
        assert isinstance(chart, PublishedChart)
        tgz, path = chart_tgz(chart.chart, chart.version), f"assets/{chart.chart}/{chart.chart}-{chart.version}.tgz"
        server.files[f"/{path}"] = tgz
        digest = hashlib.sha256(tgz).hexdigest()
        entries[chart.chart] = [
            {"name": chart.chart, "version": chart.version, "digest": digest, "urls": [path], "apiVersion": "v2"}
        ]
    server.files["/index.yaml"] = json.dumps({"apiVersion": "v1", "entries": entries}).encode()


@pytest.fixture(scope="module")
def bundle(site: Site, tmp_path_factory: pytest.TempPathFactory) -> Path:
    sealift("lock", site.recipe, *site.options)
    output = tmp_path_factory.mktemp("out")
    done = sealift("build", site.recipe, "--output", output, "--progress", "none", *site.options)
    return Path(done.stdout.splitlines()[-1])


def index_of(bundle: Path) -> BundleIndex:
    return decode((bundle / "bundle.json").read_bytes())


def test_names_digests_and_archives_are_those_that_are_published(site: Site, bundle: Path) -> None:
    assert bundle.name == "rke2-v1.34.5-rke2r1-linux-amd64"
    sealift("verify", bundle, "--insecure-no-signature")
    index = index_of(bundle)
    assert [Path(archive.path).name.partition(".")[0] for archive in index.archives] == [
        *("rke2-runtime", "rke2-images-core", "rke2-images-canal", "rke2-images-flannel", "rke2-images-cni-plugins"),
        *("rke2-images-cilium", "rke2-images-ingress-nginx", "rke2-images-traefik"),
    ]
    for image in index.images:
        if image.why != "runtime":
            name = Reference.parse(image.reference)
            manifest = site.registry.manifest(name.repository, name.tag or "")
            assert manifest is not None and image.digest.hex == hashlib.sha256(manifest).hexdigest()
    assert {chart.name for chart in index.charts} >= {"rke2-canal", "rke2-cilium", "rke2-ingress-nginx"}


def test_what_is_shown_of_it_are_the_choices_of_a_node(bundle: Path) -> None:
    shown = sealift("inspect", bundle).stdout
    for row in (
        "cni: canal  (rke2-images-canal.linux-amd64.tar, rke2-images-flannel.linux-amd64.tar, rke2-canal)",
        "cni: cilium  (rke2-images-cilium.linux-amd64.tar, rke2-images-cni-plugins.linux-amd64.tar, rke2-cilium)",
        "cni: flannel  (rke2-images-flannel.linux-amd64.tar, rke2-images-cni-plugins.linux-amd64.tar, rke2-flannel)",
        "ingress-controller: ingress-nginx  (rke2-images-ingress-nginx.linux-amd64.tar, rke2-ingress-nginx)",
        "ingress-controller: traefik  (rke2-images-traefik.linux-amd64.tar, rke2-traefik-crd, rke2-traefik)",
    ):
        assert f"choice      {row}" in shown, shown


def test_a_node_of_it_has_all_programs_and_chooses_among_what_is_there(bundle: Path, tmp_path: Path) -> None:
    data = tmp_path / "data"
    sealift_node("stage", bundle, "--data-dir", data, "--insecure-no-signature")
    told = sealift_node("extract", "--data-dir", data).stderr
    assert "to choose here: cni: canal, cilium, flannel" in told
    programs = {path.name for path in (data / "bin").iterdir()}
    assert programs == {"containerd", "containerd-shim-runc-v2", "ctr", "runc", "crictl", "kubelet", "kubectl"}
    index = index_of(bundle)
    assert str(choose_images(node_config(tmp_path), index).etcd).startswith("docker.io/rancher/hardened-etcd:")
    assert left(index, tmp_path, ("cni", "cilium")) == {"canal", "flannel", "traefik"}
    assert left(index, tmp_path, ("cni", "flannel"), ("ingress-controller", "traefik")) == {
        "canal", "cilium", "ingress-nginx"
    }  # fmt: skip
    assert left(index, tmp_path) == {"cilium", "cni-plugins", "traefik"}  # canal and ingress-nginx, as RKE2 v1.34
    nothing = left(index, tmp_path, ("cni", "none"), ("ingress-controller", "none"))
    assert nothing == {"canal", "cilium", "cni-plugins", "flannel", "ingress-nginx", "traefik"}
    with pytest.raises(ProblemsError, match=r"calico is not in the bundle: rke2 v1\.34\.5-rke2r1 has canal, cilium"):
        decide(node_config(tmp_path, ("cni", "calico")), index)


def left(index: BundleIndex, folder: Path, *settings: tuple[str, str]) -> set[str]:
    """The archives of images that a node with these settings leaves where they are."""
    chosen = decide(node_config(folder, *settings), index)
    return {Path(path).name.partition(".")[0].removeprefix("rke2-images-") for path in chosen.archives}


def test_a_newer_build_is_found_by_its_tag_and_nothing_else_moves(site: Site, bundle: Path, tmp_path: Path) -> None:
    copy = tmp_path / "recipe"
    shutil.copytree(site.recipe, copy)
    said = sealift("update", copy, "--check", *site.options).stdout
    assert said == f"nothing newer: {copy}\n" and bundle.exists()
    for tag in ("v1.4.1-build20260401", "v1.5.0-build20260401", "v1.4.2-rc1"):
        push(site.registry, "rancher/hardened-runc", tag, [layer_of({"usr/local/bin/runc": program(tag.encode())})])
    done = sealift("update", copy, *site.options)
    old, new = "v1.4.0-build20260303", "v1.4.1-build20260401"
    assert "bundle: rke2@v1.34.5-rke2r1 -> rke2@v1.34.5-rke2r2" in done.stdout
    before, after = ((folder / "components.yaml").read_text() for folder in (site.recipe, copy))
    assert after == before.replace(old, new) != before
    assert (copy / "images.yaml").read_text() == (site.recipe / "images.yaml").read_text()


def test_ingress_nginx_is_only_ever_taken_as_it_is_published() -> None:
    """The one commit that can be had as a module has holes through which others run code."""
    recipes = [read_recipe(path.parent) for path in UPSTREAM.parent.glob("*/bundle.yaml")]
    assert len(recipes) > 3
    for recipe in recipes:
        for name, image in recipe.images.items():
            if "ingress-nginx" in name or "nginx" in image.reference.repository:
                assert isinstance(image, MirrorImage), recipe.folder
        sources = " ".join(str(component) for component in recipe.components.values())
        assert "ingress-nginx" not in sources


def test_canal_is_only_ever_taken_as_it_is_published() -> None:
    """A module of it is missing: who built it here would build something else."""
    for recipe in (read_recipe(path.parent) for path in UPSTREAM.parent.glob("*/bundle.yaml")):
        needed = {part for choice in recipe.choices if choice.name == "canal" for part in choice.archives}
        images = [recipe.images[name] for archive in needed for name in recipe.archives[archive]]
        assert all(isinstance(image, MirrorImage) for image in images), recipe.folder
        assert not any("calico" in str(component) for component in recipe.components.values()), recipe.folder
        assert bool(images) == (recipe.folder.name == UPSTREAM.name)
