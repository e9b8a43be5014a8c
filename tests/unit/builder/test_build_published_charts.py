"""Charts that somebody publishes: found, recorded, fetched, and in the bundle byte for byte."""

import base64
import gzip
import json
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from builder.recipe.read import read_recipe
from builder.sources import chartrepo
from builder.why import reasons
from bundles.digest import Digest
from bundles.errors import FormatError, LimitError, MissingError, SealiftError
from tests.support.chartserving import chart_tgz, index_yaml, push_chart
from tests.support.fakeregistry import FakeRegistry, fake_registry
from tests.support.fileserver import FileServer, file_server
from tests.support.publishing import TOOL, build_recipe, lock_recipe, runtime_files, taken_recipe
from tests.support.tars import member, symlink, tar

TGZ = chart_tgz()


@pytest.fixture
def server() -> Iterator[FileServer]:
    with file_server({"/up-dns-1.2.3.tgz": TGZ, "/charts/assets/up-dns-1.2.3.tgz": TGZ}) as made:
        made.files["/charts/index.yaml"] = index_yaml("up-dns", "1.2.3", "assets/up-dns-1.2.3.tgz", TGZ)
        yield made


@pytest.fixture
def registry() -> Iterator[FakeRegistry]:
    with fake_registry() as made:
        push_chart(made, "charts/up-dns", "1.2.3", TGZ)
        yield made


def recipe_with(folder: Path, entry: str) -> Path:
    taken_recipe(folder, "tool:\n  file: ./tool\n  executable: true\n", "    - tool: /bin\n    - charts: /charts\n")
    (folder / "tool").write_bytes(TOOL)
    (folder / "charts.yaml").write_text(f"dns:\n  {entry}\n  bootstrap: true\n")
    return folder


def entry_of(kind: str, server: FileServer, registry: FakeRegistry) -> str:
    return {
        "tgz": f"tgz: {server.url('/up-dns-1.2.3.tgz')}",
        "repo": f"repo: {server.url('/charts/')}\n  chart: up-dns\n  version: 1.2.3",
        "oci": f"oci: {registry.host}/charts/up-dns:1.2.3",
    }[kind]


@pytest.mark.parametrize("kind", ["tgz", "repo", "oci"])
def test_a_published_chart_is_in_the_manifest_byte_for_byte(
    kind: str, server: FileServer, registry: FakeRegistry, tmp_path: Path
) -> None:
    recipe = recipe_with(tmp_path / "recipe", entry_of(kind, server, registry))
    lock = lock_recipe(recipe, tmp_path / "store")
    (chart,) = lock.charts
    assert (chart.name, chart.version, chart.digest, chart.size) == ("dns", "1.2.3", Digest.of(TGZ), len(TGZ))
    assert lock_recipe(recipe, tmp_path / "store") == lock
    first = build_recipe(recipe, tmp_path / "out", tmp_path / "store", offline=True)
    files = runtime_files(first.folder, tmp_path / "x")
    manifest = yaml.safe_load(files["/charts/rke2-dns.yaml"][0])
    assert base64.b64decode(manifest["spec"]["chartContent"]) == TGZ
    assert manifest["metadata"]["name"] == "rke2-dns" and manifest["spec"]["bootstrap"] is True
    url = manifest["metadata"]["annotations"]["helm.cattle.io/chart-url"]
    assert (
        url
        == {
            "tgz": server.url("/up-dns-1.2.3.tgz"),
            "repo": server.url("/charts/assets/up-dns-1.2.3.tgz"),
            "oci": f"oci://{registry.host}/charts/up-dns:1.2.3",
        }[kind]
    )
    assert [(one.name, one.version, one.sha256) for one in first.index.charts] == [
        ("rke2-dns", "1.2.3", Digest.of(TGZ))
    ]
    again = build_recipe(recipe, tmp_path / "out2", tmp_path / "store2")
    assert again.index == first.index, "fetched anew by its digest: the same bundle"
    spdx = json.loads((first.folder / "sbom.spdx.json").read_bytes())
    assert next(each for each in spdx["packages"] if each["name"] == "rke2-dns")["licenseDeclared"] == "MIT"
    provenance = json.loads((first.folder / "provenance.json").read_bytes())
    found = provenance["predicate"]["buildDefinition"]["resolvedDependencies"]
    assert next(each for each in found if each["name"] == "chart:dns@1.2.3")["digest"] == {"sha256": Digest.of(TGZ).hex}
    assert chart.source in reasons(read_recipe(recipe), "dns")[0]


@pytest.mark.parametrize("kind", ["tgz", "repo", "oci"])
def test_a_chart_that_changed_upstream_is_not_the_locked_one(
    kind: str, server: FileServer, registry: FakeRegistry, tmp_path: Path
) -> None:
    recipe = recipe_with(tmp_path / "recipe", entry_of(kind, server, registry))
    lock_recipe(recipe, tmp_path / "store")
    other = gzip.compress(gzip.decompress(TGZ), 1, mtime=9)
    for path in [path for path in server.files if path.endswith(".tgz")]:
        server.files[path] = other
    registry.blobs["charts/up-dns", str(Digest.of(TGZ))] = other
    with pytest.raises(SealiftError, match=r"another size|not what was locked|wrong bytes|a blob of another size"):
        build_recipe(recipe, tmp_path / "out", tmp_path / "store2")


def test_the_index_is_a_witness_of_the_charts_digest(server: FileServer, tmp_path: Path) -> None:
    server.files["/charts/index.yaml"] = index_yaml("up-dns", "1.2.3", "assets/up-dns-1.2.3.tgz", b"other")
    entry = f"repo: {server.url('/charts')}\n  chart: up-dns\n  version: 1.2.3"
    with pytest.raises(FormatError, match="not the chart that the index lists"):
        lock_recipe(recipe_with(tmp_path / "recipe", entry), tmp_path / "store")


def test_a_new_version_in_the_recipe_needs_a_new_lock(server: FileServer, tmp_path: Path) -> None:
    entry = f"repo: {server.url('/charts')}\n  chart: up-dns\n  version: "
    recipe = recipe_with(tmp_path / "recipe", f"{entry}1.2.3")
    lock_recipe(recipe, tmp_path / "store")
    recipe_with(recipe, f"{entry}1.2.4")
    with pytest.raises(SealiftError, match="the recipe wants another"):
        build_recipe(recipe, tmp_path / "out", tmp_path / "store")
    with pytest.raises(MissingError, match=r"no up-dns 1\.2\.4") as caught:
        lock_recipe(recipe, tmp_path / "store")
    assert "9.9.9, 1.2.3" in caught.value.got


@pytest.mark.parametrize(
    ("tgz", "words"),
    [
        (b"<html>", "gzip|damaged"),
        (gzip.compress(tar(member("up-dns/values.yaml", b"a: 1\n"))), "no Chart.yaml"),
        (gzip.compress(tar(member("Chart.yaml", b"apiVersion: v2\nname: up-dns\nversion: 1.2.3\n"))), "no Chart.yaml"),
        (chart_tgz("other"), "another chart"),
        (chart_tgz(version="1.2.4"), "another version"),
        (chart_tgz(version="latest"), "want the chart's version"),
        (
            gzip.compress(gzip.decompress(TGZ)[:-1024] + tar(member("elsewhere/x", b"x"))),
            "not one folder of the chart's name",
        ),
        (gzip.compress(gzip.decompress(TGZ)[:-1024] + tar(member("../x", b"x"))), "climbs"),
        (gzip.compress(gzip.decompress(TGZ)[:-1024] + tar(symlink("up-dns/l", "../../x"))), "leaves the archive"),
    ],
)
def test_what_is_no_chart_or_not_the_one_is_refused(server: FileServer, tmp_path: Path, tgz: bytes, words: str) -> None:
    server.files["/charts/assets/up-dns-1.2.3.tgz"] = tgz
    server.files["/charts/index.yaml"] = index_yaml("up-dns", "1.2.3", "assets/up-dns-1.2.3.tgz", None)
    entry = f"repo: {server.url('/charts')}\n  chart: up-dns\n  version: 1.2.3"
    with pytest.raises(SealiftError, match=words):
        lock_recipe(recipe_with(tmp_path / "recipe", entry), tmp_path / "store")


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"config": "application/vnd.oci.image.config.v1+json"}, "not a chart"),
        ({"layer": "application/vnd.oci.image.layer.v1.tar+gzip"}, "not one packaged chart"),
    ],
)
def test_an_artifact_that_is_no_chart_is_refused(
    registry: FakeRegistry, tmp_path: Path, changes: dict[str, str], words: str
) -> None:
    push_chart(registry, "charts/up-dns", "1.2.3", TGZ, **changes)
    recipe = recipe_with(tmp_path / "recipe", f"oci: {registry.host}/charts/up-dns:1.2.3")
    with pytest.raises(FormatError, match=words):
        lock_recipe(recipe, tmp_path / "store")


GOOD = index_yaml("a", "1.0.0", "a.tgz", None).decode()


@pytest.mark.parametrize(
    ("text", "error", "words"),
    [
        ("", FormatError, "want a mapping"),
        ("entries: {}\n", MissingError, "no such chart"),
        ("a: 1\n", FormatError, "no entries"),
        ("apiVersion: v2\nentries: {}\n", FormatError, "unknown version"),
        (f"{GOOD}entries: {{}}\n", FormatError, "stands twice"),
        ("entries:\n  a: []\n  a: []\n", FormatError, "stands twice"),
        ("entries:\n  a: [{version: 1.0.0, version: 2.0.0, urls: [x]}]\n", FormatError, "stands twice"),
        ("entries:\n  a: [{version: 1.0.0, urls: [x]}, {version: 1.0.0, urls: [y]}]\n", FormatError, "two things"),
        ("entries:\n  a: [{version: 1.0.0, urls: []}]\n", FormatError, "without its URL"),
        ("entries:\n  a: [{version: 1.0.0, urls: [x], digest: md5}]\n", FormatError, "a digest that is none"),
        ("entries:\n  a: {version: 1.0.0}\n", FormatError, "want a list"),
        ("entries: [1]\n", FormatError, "want a mapping"),
        ("x: &a [1]\nentries: {a: *a}\n", FormatError, "aliases"),
        ("x: !!python/object:os.system {}\nentries: {}\n", FormatError, "tags are refused"),
        ("x: " + "[" * 200 + "]" * 200 + "\n", LimitError, "nested too deeply"),
        ("entries: {", FormatError, "not an index"),
        ("<html>\n", FormatError, "want a mapping"),
    ],
)
def test_an_index_with_two_readings_or_none_is_refused(text: str, error: type[SealiftError], words: str) -> None:
    with pytest.raises(error, match=words):
        chartrepo.find(text.encode(), "a", "1.0.0", "index")


def test_an_index_is_bounded() -> None:
    with pytest.raises(LimitError, match="too large"):
        chartrepo.find(bytes(chartrepo.MAX_INDEX + 1), "a", "1.0.0", "index")


@pytest.mark.parametrize(
    ("entry", "words"),
    [
        ("tgz: http://example.org/a.tgz", "plain http"),
        ("tgz: https://example.org/a.zip", "no .tgz"),
        ("repo: https://example.org/charts", "version: the key is missing"),
        ("repo: https://example.org/charts?x=1\n  version: 1.0.0", "no query"),
        ("oci: charts/a:1.0.0", "registry is not named"),
        ("oci: example.org/charts/a", "no tag and no digest"),
        ("tgz: https://example.org/a.tgz\n  folder: charts/a", "two kinds at once"),
    ],
)
def test_charts_that_are_not_named_safely_are_refused(tmp_path: Path, entry: str, words: str) -> None:
    with pytest.raises(SealiftError, match=words):
        read_recipe(recipe_with(tmp_path / "recipe", entry))
