"""Published images and charts move within their lines, by the command, with the difference of the locks in words."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from builder.cli import run
from builder.update.versions import bare, newest_tag
from bundles import oci
from bundles.digest import Digest
from tests.support.chartserving import chart_tgz, push_chart
from tests.support.fakeregistry import FakeRegistry, fake_registry
from tests.support.fileserver import FileServer, file_server
from tests.support.published import layer
from tests.support.releases import program

BUNDLE = """\
sealift: 1
name: site
version: v1.34.4-rke2r1   # as RKE2 counts
sequence: 3
platforms: [linux/amd64]
archives:
  rke2-runtime: [rke2-runtime]
  images: [app, fixed, newest]
"""
COMPONENTS = "kubernetes:\n  image: {host}/up/kube:v1.34.4-rke2r1-build20260101   # programs\n  files: [/bin/kubelet]\n"
IMAGES = """\
rke2-runtime:
  name: rancher/rke2-runtime
  layers:
    - kubernetes: /bin
app: {{mirror: "{host}/up/app:v2.1.9", name: "example.org/app:v1"}}   # in quotes
fixed: {{mirror: "{host}/up/app:v2.1.9@{digest}", name: "example.org/fixed:v1"}}
newest: {{mirror: "{host}/up/app:latest"}}
"""
CHARTS = """\
one: {{repo: "{charts}", version: 1.45.007}}
two: {{oci: "{host}/charts/two:1.2.3"}}
three: {{tgz: "{charts}/three-1.0.0.tgz"}}
"""


@pytest.mark.parametrize(
    ("version", "served", "want"),
    [
        ("v3.6.7-k3s1-build20260126", ["v3.6.7-k3s1-build20260301", "v3.6.9", "v3.7.0-k3s1-build20260401"],
         "v3.6.7-k3s1-build20260301"),
        ("v3.6.7-k3s1-build20260126", ["v3.6.10-k3s1-build20260101", "v3.6.9-k3s2-build20260401"],
         "v3.6.10-k3s1-build20260101"),
        ("v1.2.3", ["v1.2.4-rc1", "v1.2.10", "v1.2.9", "1.2.11", "v1.2.11-arm64", "v1.3.0"], "v1.2.10"),
        ("4.14.303", ["4.14.304", "4.15.100", "4.14.401-rc.1"], "4.14.304"),
        ("1.45.007", ["1.45.008", "1.45.010"], "1.45.010"),
        ("v3.31.3-build2026020600", ["v3.31.4-build2026031700", "v3.32.0-build2026031700"], "v3.31.4-build2026031700"),
        ("3.6", ["3.7", "3.6.1"], "3.6"),
        ("latest", ["latest", "v1.0.0"], "latest"),
        ("v1.2.3", [], "v1.2.3"),
    ],
)  # fmt: skip
def test_a_tag_stays_in_its_line_and_keeps_its_form(version: str, served: list[str], want: str) -> None:
    assert newest_tag(version, served) == want


def test_a_bundle_is_named_after_what_stands_before_the_build() -> None:
    assert (bare("v1.34.4-rke2r1-build1"), bare("1.2.3+up1"), bare("latest")) == ("v1.34.4", "1.2.3", "latest")


@dataclass(frozen=True)
class Place:
    """A recipe, locked, and what has come out since."""

    folder: Path
    store: Path
    registry: FakeRegistry
    server: FileServer

    def run(self, *words: str) -> int:
        return run([words[0], str(self.folder), *words[1:], "--store", str(self.store), "--progress", "none"])

    def text(self, name: str) -> str:
        return (self.folder / name).read_text()


def image(registry: FakeRegistry, path: str, *tags: str) -> Digest:
    """An image with a program, under all these tags."""
    one = layer({"bin/kubelet": program(tags[0].encode())}, oci.LAYER_GZIP)
    config = (
        f'{{"architecture":"amd64","os":"linux","rootfs":{{"type":"layers","diff_ids":["{one.diff_id}"]}}}}'.encode()
    )
    rows = [
        {"mediaType": kind, "digest": str(registry.add(path, data)), "size": len(data)}
        for kind, data in ((oci.CONFIG, config), (one.kind, one.data))
    ]
    manifest = {"schemaVersion": 2, "mediaType": oci.MANIFEST, "config": rows[0], "layers": rows[1:]}
    return [registry.add_manifest(path, tag, manifest) for tag in tags][-1]


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    with fake_registry() as registry, file_server() as server:
        image(registry, "up/kube", "v1.34.4-rke2r1-build20260101")
        digest = image(registry, "up/app", "v2.1.9", "latest")
        charts = {"one-1.45.007": chart_tgz("one", "1.45.007"), "three-1.0.0": chart_tgz("three", "1.0.0")}
        push_chart(registry, "charts/two", "1.2.3", chart_tgz("two", "1.2.3"))
        serve(server, charts, ["1.45.007"])
        folder = tmp_path / "recipe"
        folder.mkdir()
        words = {"host": registry.host, "digest": str(digest), "charts": server.url("")}
        (folder / "bundle.yaml").write_text(BUNDLE)
        for name, text in (("components.yaml", COMPONENTS), ("images.yaml", IMAGES), ("charts.yaml", CHARTS)):
            (folder / name).write_text(text.format(**words))
        made = Place(folder, tmp_path / "store", registry, server)
        assert made.run("lock") == 0
        yield made


def serve(server: FileServer, charts: dict[str, bytes], versions: list[str]) -> None:
    server.files |= {f"/{name}.tgz": data for name, data in charts.items()}
    rows = "".join(f"  - {{version: {each}, urls: [one-{each}.tgz]}}\n" for each in versions)
    server.files["/index.yaml"] = f"apiVersion: v1\nentries:\n  one:\n{rows}".encode()


def later(place: Place) -> None:
    """What upstream published since."""
    image(place.registry, "up/kube", "v1.34.6-rke2r1-build20260301", "v1.35.0-rke2r1-build20260301")
    image(place.registry, "up/app", "v2.1.10", "v2.2.0", "v2.1.11-rc1", "latest")
    push_chart(place.registry, "charts/two", "1.2.4", chart_tgz("two", "1.2.4"))
    serve(place.server, {"one-1.45.008": chart_tgz("one", "1.45.008")}, ["1.46.000", "1.45.008", "1.45.007"])


def test_published_images_and_charts_move_and_the_lock_is_told_in_words(
    place: Place, capsys: pytest.CaptureFixture[str]
) -> None:
    assert place.run("update", "--check") == 0 and "nothing newer" in capsys.readouterr().out
    later(place)
    before = {path.name: path.read_bytes() for path in place.folder.iterdir()}
    assert place.run("update", "--check") == 1
    told = capsys.readouterr().out
    for row in (
        f"kubernetes: {place.registry.host}/up/kube v1.34.4-rke2r1-build20260101 -> v1.34.6-rke2r1-build20260301",
        f"app: {place.registry.host}/up/app v2.1.9 -> v2.1.10",
        "one: chart one 1.45.007 -> 1.45.008",
        f"two: {place.registry.host}/charts/two 1.2.3 -> 1.2.4",
    ):
        assert row in told.splitlines(), told
    assert "fixed:" not in told and "newest:" not in told and "three:" not in told
    assert {path.name: path.read_bytes() for path in place.folder.iterdir()} == before
    assert place.run("update") == 0
    told = capsys.readouterr().out
    assert "bundle: site@v1.34.4-rke2r1 -> site@v1.34.6-rke2r1" in told and "v2.1.10" in told and "1.45.008" in told
    want = IMAGES.replace('app:v2.1.9", name: "example.org/app', 'app:v2.1.10", name: "example.org/app')
    digest = place.text("images.yaml").partition("@")[2].partition('"')[0]
    assert place.text("images.yaml") == want.format(host=place.registry.host, digest=digest)
    assert "build20260301   # programs" in place.text("components.yaml")
    assert "version: v1.34.6-rke2r1   # as RKE2 counts\nsequence: 4" in place.text("bundle.yaml")
    assert place.run("update", "--check") == 0


def test_one_image_or_chart_moves_alone(place: Place, capsys: pytest.CaptureFixture[str]) -> None:
    later(place)
    assert place.run("update", "two", "--same-version") == 0
    assert "charts/two:1.2.4" in place.text("charts.yaml") and "1.45.007" in place.text("charts.yaml")
    assert place.text("components.yaml") == COMPONENTS.format(host=place.registry.host)
    assert place.run("update", "thre") == 2
    assert "app" in (said := capsys.readouterr().err) and "one, two" in said.replace("newest, ", "")


def test_a_registry_that_lists_no_tags_is_told_and_the_rest_is_looked_at(
    place: Place, capsys: pytest.CaptureFixture[str]
) -> None:
    later(place)
    for key in [key for key in place.registry.manifests if key[0] == "up/kube"]:
        del place.registry.manifests[key]
    assert place.run("update", "--check") == 1
    told = capsys.readouterr().out
    assert "not looked at" in told and "up/kube" in told and "v2.1.9 -> v2.1.10" in told
    assert place.run("update", "kubernetes") == 1
    assert "nothing was changed" in capsys.readouterr().err
