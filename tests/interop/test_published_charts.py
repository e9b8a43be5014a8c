"""Charts as real helm publishes them: pushed to a real registry, listed by `helm repo index`, rendered in a build."""

import base64
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from bundles.digest import Digest
from bundles.errors import SealiftError
from tests.support.chartserving import POD, VALUES
from tests.support.fileserver import file_server
from tests.support.publishing import BUNDLE, TOOL, build_recipe, lock_recipe, runtime_files, taken_recipe
from tests.support.registry import Registry, running_registry
from tests.support.tars import image, member, new_docker, tar

pytestmark = pytest.mark.real
IMAGE = "rancher/dns:v1"


@pytest.fixture
def registry(tmp_path: Path) -> Iterator[Registry]:
    (tmp_path / "registry").mkdir()
    with running_registry(tmp_path / "registry") as made:
        yield made


def run(helm: Path, *arguments: str | Path, home: Path) -> str:
    environment = {"HOME": str(home), "PATH": "/usr/bin:/bin"}
    done = subprocess.run([helm, *arguments], capture_output=True, text=True, env=environment)
    assert done.returncode == 0, f"{arguments}\n{done.stdout}\n{done.stderr}"
    return done.stdout


def package(helm: Path, folder: Path, version: str = "1.2.3+up1") -> Path:
    """A chart, packaged by helm itself."""
    chart = folder / "up-dns"
    (chart / "templates").mkdir(parents=True)
    (chart / "Chart.yaml").write_text(f"apiVersion: v2\nname: up-dns\nversion: {version}\n")
    (chart / "values.yaml").write_bytes(VALUES)
    (chart / "templates/pod.yaml").write_bytes(POD)
    run(helm, "package", chart, "--destination", folder, home=folder)
    return folder / f"up-dns-{version}.tgz"


def recipe_with(folder: Path, helm: Path, chart: str, values: str = "{}") -> Path:
    """A recipe that renders the chart with real helm; what it asks for comes out of an archive."""
    bundle = BUNDLE + "  apps: [dns]\nhelm: helm\n"
    components = "tool:\n  file: ./tool\n  executable: true\nhelm:\n  file: ./helm\n  executable: true\n"
    more = f"dns:\n  archive: ./dns.tar\n  image: {IMAGE}\n"
    taken_recipe(folder, components, "    - tool: /bin\n    - charts: /charts\n", bundle=bundle, more=more)
    (folder / "tool").write_bytes(TOOL)
    (folder / "dns.tar").write_bytes(new_docker(image(tar(member("dns", b"x"))), f"docker.io/{IMAGE}"))
    shutil.copyfile(helm, folder / "helm")
    (folder / "charts.yaml").write_text(f"dns:\n  {chart}\n  discover: [{values}]\n")
    return folder


def content_in(bundle: Path, folder: Path) -> bytes:
    manifest = yaml.safe_load(runtime_files(bundle, folder)["/charts/rke2-dns.yaml"][0])
    return base64.b64decode(manifest["spec"]["chartContent"])


def test_a_chart_that_helm_pushed_is_in_the_bundle_byte_for_byte_and_its_images_are_checked(
    helm: Path, registry: Registry, tmp_path: Path
) -> None:
    tgz = package(helm, tmp_path)
    run(helm, "push", tgz, f"oci://{registry.host}/charts", "--plain-http", home=tmp_path)
    # In a tag, helm writes _ for +.
    recipe = recipe_with(tmp_path / "recipe", helm, f"oci: {registry.host}/charts/up-dns:1.2.3_up1")
    lock = lock_recipe(recipe, tmp_path / "store")
    assert [(each.version, each.digest) for each in lock.charts] == [("1.2.3+up1", Digest.of(tgz.read_bytes()))]
    built = build_recipe(recipe, tmp_path / "out", tmp_path / "store")
    content = content_in(built.folder, tmp_path / "x")
    assert content == tgz.read_bytes()
    (tmp_path / "again.tgz").write_bytes(content)
    assert IMAGE in run(helm, "template", "rke2-dns", tmp_path / "again.tgz", home=tmp_path)
    assert next(one.why for one in built.index.images if one.reference.endswith(IMAGE)) == "chart dns"


def test_a_published_chart_that_asks_for_an_image_that_is_not_there_is_refused(
    helm: Path, registry: Registry, tmp_path: Path
) -> None:
    tgz = package(helm, tmp_path)
    run(helm, "push", tgz, f"oci://{registry.host}/charts", "--plain-http", home=tmp_path)
    chart = f"oci: {registry.host}/charts/up-dns:1.2.3_up1"
    recipe = recipe_with(tmp_path / "recipe", helm, chart, "{}, {image: 'rancher/other:v1'}")
    lock_recipe(recipe, tmp_path / "store")
    with pytest.raises(SealiftError, match="rancher/other:v1"):
        build_recipe(recipe, tmp_path / "out", tmp_path / "store")


def test_a_repository_that_helm_indexed_is_read(helm: Path, tmp_path: Path) -> None:
    served = tmp_path / "served"
    served.mkdir()
    tgz = package(helm, tmp_path)
    shutil.copyfile(tgz, served / tgz.name)
    shutil.copytree(tmp_path / "up-dns", tmp_path / "newer/up-dns")
    (tmp_path / "newer/up-dns/Chart.yaml").write_text("apiVersion: v2\nname: up-dns\nversion: 1.3.0\n")
    run(helm, "package", tmp_path / "newer/up-dns", "--destination", served, home=tmp_path)
    run(helm, "repo", "index", served, home=tmp_path)
    files = {f"/stable/{path.name}": path.read_bytes() for path in served.iterdir()}
    with file_server(files) as server:
        chart = f"repo: {server.url('/stable')}\n  chart: up-dns\n  version: 1.2.3+up1"
        recipe = recipe_with(tmp_path / "recipe", helm, chart)
        lock = lock_recipe(recipe, tmp_path / "store")
        assert lock.charts[0].url == server.url(f"/stable/{tgz.name}")
        built = build_recipe(recipe, tmp_path / "out", tmp_path / "store")
        assert content_in(built.folder, tmp_path / "x") == tgz.read_bytes()
