"""What the options of a command say of the network holds for files of URLs too, not for registries alone."""

import io
import ssl
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from builder.cli import run
from builder.process import Cancel
from builder.reach import Reach
from builder.sources.urlclient import UrlClient
from bundles.registry.bandwidth import Bucket
from bundles.registry.wire import Wire
from tests.support.certificates import Authority
from tests.support.chartserving import chart_tgz, index_yaml
from tests.support.fakeregistry import Clock
from tests.support.fileserver import FileServer, file_server
from tests.support.publishing import BUNDLE, packed, release_tar, taken_recipe

DATA = bytes(1_000_000)


def test_the_bytes_of_a_second_are_bounded() -> None:
    clock = Clock()
    with file_server({"/x": DATA}) as server:
        ours = UrlClient(Wire(), clock.timing, Cancel(), Bucket(100_000, clock.timing.monotonic))
        ours.fetch(server.url("/x"), io.BytesIO())
    assert 9 < sum(clock.slept) < 11


def test_all_connections_of_a_command_share_the_cap() -> None:
    reach = Reach(limit_rate="40k")
    assert reach.bucket.take(40_000) > 0.7
    with reach.opened({}) as registry:
        assert registry._download._bucket is reach.bucket  # type: ignore[attr-defined] # the client of registries
    assert reach == replace(reach)  # what is made here makes no two of one wish


@pytest.fixture
def server(tmp_path: Path) -> Iterator[FileServer]:
    """With a certificate of an authority that this machine does not know: `tmp_path/ca.pem`."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(Authority(tmp_path).sign("server").both)
    two = chart_tgz("two")
    with file_server(tls=context) as made:
        made.files |= {"/tool.tar.gz": packed(release_tar()), "/charts/two-1.2.3.tgz": two}
        made.files["/charts/index.yaml"] = index_yaml("two", "1.2.3", "two-1.2.3.tgz", two)
        yield made


def test_a_ca_file_counts_for_files_and_charts_of_urls(
    server: FileServer, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("SSL_CERT_FILE", raising=False)
    components = f"tool:\n  url: {server.url('/tool.tar.gz')}\n  files: [tool-v1.2.3/bin/tool]\n"
    recipe = taken_recipe(tmp_path / "recipe", components, "    - {tool: /bin, charts: /charts}\n", bundle=BUNDLE)
    (recipe / "charts.yaml").write_text(f"two: {{repo: '{server.url('/charts')}', version: 1.2.3}}\n")
    words = [str(recipe), "--store", str(tmp_path / "store"), "--progress", "none"]
    assert run(["lock", *words]) == 1
    assert "nobody known signed" in capsys.readouterr().err
    ca = ["--ca", str(tmp_path / "ca.pem")]
    assert run(["lock", *words, *ca]) == 0, capsys.readouterr().err
    other = [*words[:2], str(tmp_path / "other"), *words[3:]]
    assert run(["fetch", *other]) == 1
    assert run(["fetch", *other, *ca]) == 0, capsys.readouterr().err
