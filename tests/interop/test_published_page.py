"""docs/published.md as a stranger reads it: its three files as they stand there, every kind in one bundle.

example.org is a server on loopback with TLS, registry.example.org and docker.io are a real registry behind `--mirror`.
"""

import gzip
import hashlib
import json
import lzma
import re
import shutil
import ssl
import subprocess
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest
from backports import zstd

from bundles import oci
from bundles.index import decode
from tests.support.certificates import Authority
from tests.support.chartserving import chart_tgz, index_yaml
from tests.support.fileserver import FileServer, file_server
from tests.support.node import sealift, sealift_node
from tests.support.podmans import podman_home
from tests.support.published import Layer, push
from tests.support.publishing import BUNDLE
from tests.support.registry import Registry, running_registry
from tests.support.releases import program
from tests.support.tars import folder, image, member, new_docker, old_docker, tar

pytestmark = pytest.mark.real
PAGE = Path(__file__).resolve().parents[2] / "docs/published.md"
CONFIGURE = b"""#!/bin/sh
echo "hello: hello.c; cc -o hello hello.c $1" | sed 's/LDFLAGS=//' | tr ';' '\\n' | sed 's/^ cc/\\tcc/' > Makefile
"""
RUNTIME = """
rke2-runtime:
  name: rancher/rke2-runtime
  layers:
    - {nerdctl: /bin, etcd: /bin, hello: /bin}
    - charts: /charts
"""


@dataclass(frozen=True)
class Stranger:
    """A folder with the page's recipe, and what it takes to reach what it names."""

    recipe: Path
    server: FileServer
    registry: Registry
    options: tuple[str | Path, ...]


def blocks() -> Mapping[str, str]:
    """The YAML files of the page by name."""
    found = re.findall(r"```yaml\n# (\w+\.yaml)\n(.*?)```", PAGE.read_text(), re.DOTALL)
    assert [name for name, _ in found] == ["components.yaml", "images.yaml", "charts.yaml"]
    return dict(found)


def openssl(*words: str | Path) -> None:
    subprocess.run(["openssl", *map(str, words)], check=True, capture_output=True)


def publish_files(server: FileServer, recipe: Path, scratch: Path) -> None:
    """What example.org has; upstream signs with openssl."""
    tool = gzip.compress(tar(folder("bin"), member("bin/tool", program(b"tool"), mode=0o755)))
    at = "/releases/v1.2.3"
    server.files[f"{at}/tool-v1.2.3-linux-amd64.tar.gz"] = tool
    sums = f"{hashlib.sha256(tool).hexdigest()}  tool-v1.2.3-linux-amd64.tar.gz\n".encode()
    (scratch / "sums").write_bytes(sums)
    (recipe / "keys").mkdir()
    openssl("ecparam", "-name", "prime256v1", "-genkey", "-noout", "-out", scratch / "up.key")
    openssl("ec", "-in", scratch / "up.key", "-pubout", "-out", recipe / "keys/upstream.pub")
    openssl("dgst", "-sha256", "-sign", scratch / "up.key", "-out", scratch / "sig", scratch / "sums")
    server.files |= {f"{at}/SHA256SUMS": sums, f"{at}/SHA256SUMS.sig": (scratch / "sig").read_bytes()}
    source = tar(
        folder("hello-2.12"),
        member("hello-2.12/configure", CONFIGURE, mode=0o755),
        member("hello-2.12/hello.c", b'#include <stdio.h>\nint main(void) { return puts("hello") < 0; }\n'),
    )
    server.files["/hello-2.12.tar.xz"] = lzma.compress(source)
    app = new_docker(image(tar(member("app", b"the app"))), "example.org/app:1.0")
    server.files["/app.tar.zst"] = zstd.compress(app)
    for name in ("one", "two"):
        server.files[f"/charts/{name}-1.2.3.tgz"] = chart_tgz(name)
    two = server.files["/charts/two-1.2.3.tgz"]
    server.files["/charts/index.yaml"] = index_yaml("two", "1.2.3", "two-1.2.3.tgz", two)


def publish_images(registry: Registry) -> None:
    """What both registries have."""
    layer = tar(folder("usr"), member("usr/local/bin/etcd", program(b"etcd"), mode=0o755))
    made = Layer(gzip.compress(layer, mtime=0), oci.LAYER_GZIP, f"sha256:{hashlib.sha256(layer).hexdigest()}")
    push(registry, "rancher/hardened-etcd", "v3.6.7-k3s1-build20260126", [made])
    rows = [
        registry.push_blob("charts/three", b'{"name":"three"}', "application/vnd.cncf.helm.config.v1+json"),
        registry.push_blob(
            "charts/three", chart_tgz("three"), "application/vnd.cncf.helm.chart.content.v1.tar+gzip"
        ),
    ]  # fmt: skip
    manifest = {"schemaVersion": 2, "mediaType": oci.MANIFEST, "config": rows[0], "layers": rows[1:]}
    registry.push_manifest("charts/three", "1.2.3", manifest)


@pytest.fixture(scope="module")
def stranger(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stranger]:
    scratch = tmp_path_factory.mktemp("page")
    authority = Authority(scratch)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(authority.sign("server").both)
    with (
        pytest.MonkeyPatch.context() as patch,
        podman_home() as engine,
        running_registry(scratch) as registry,
        file_server(tls=context) as server,
    ):
        for name, value in {"SSL_CERT_FILE": str(authority.ca), **engine}.items():
            patch.setenv(name, value)
        recipe = scratch / "recipe"
        recipe.mkdir()
        for name, text in blocks().items():
            ours = re.sub(r"https://example\.org(?=/)", server.url(""), text)
            (recipe / name).write_text(ours + (RUNTIME if name == "images.yaml" else ""))
        (recipe / "bundle.yaml").write_text(BUNDLE + "  apps: [app, own, last-resort]\n")
        (recipe / "images/last").mkdir(parents=True)
        (recipe / "images/own.tar").write_bytes(old_docker(image(tar(member("own", b"own"))), ["some/own:v1"]))
        (recipe / "images/last/Containerfile").write_text("FROM scratch\nCOPY motd /etc/motd\n")
        (recipe / "images/last/motd").write_text("last resort\n")
        publish_files(server, recipe, scratch)
        publish_images(registry)
        mirrors = [f"--mirror={name}={registry.host}" for name in ("docker.io", "registry.example.org")]
        yield Stranger(recipe, server, registry, (*mirrors, "--progress", "none"))


@pytest.fixture(scope="module")
def store(stranger: Stranger, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store in which the page was locked."""
    made = tmp_path_factory.mktemp("store")
    sealift("lock", stranger.recipe, "--store", made, *stranger.options)
    return made


def built(stranger: Stranger, store: Path, output: Path, *more: str | Path) -> Path:
    done = sealift("build", stranger.recipe, "--output", output, "--store", store, *stranger.options, *more)
    return Path(done.stdout.splitlines()[-1])


def test_every_kind_of_the_page_is_locked_built_and_on_a_node(stranger: Stranger, store: Path, tmp_path: Path) -> None:
    bundle = built(stranger, store, tmp_path / "out")
    sealift("verify", bundle, "--insecure-no-signature")
    index = decode((bundle / "bundle.json").read_bytes())
    names = {one.reference for one in index.images}
    assert names >= {"example.org/app:1.0", "example.org/own:1.0", "example.org/last:1.0"}
    assert [chart.name for chart in index.charts] == ["rke2-one", "rke2-two", "rke2-three"]
    sealift_node("stage", bundle, "--data-dir", tmp_path / "data", "--insecure-no-signature")
    sealift_node("extract", "--data-dir", tmp_path / "data")
    there = tmp_path / "data/bin"
    assert (there / "tool").read_bytes() == program(b"tool") and (there / "etcd").read_bytes() == program(b"etcd")
    assert subprocess.run([there / "hello"], capture_output=True, check=True).stdout == b"hello\n"
    statement = next(bundle.rglob("*provenance*")).read_text()
    assert "last-resort" in json.dumps(json.loads(statement)) and "notReproducible" in statement


def test_a_damaged_witness_of_the_page_stops_the_lock(stranger: Stranger, tmp_path: Path) -> None:
    """Each row of "what is believed" that counts when a recipe is locked."""
    copy = tmp_path / "recipe"
    shutil.copytree(stranger.recipe, copy)
    (copy / "lock.yaml").unlink(missing_ok=True)
    at, files = "/releases/v1.2.3", stranger.server.files
    for path, change, words in (
        (f"{at}/SHA256SUMS.sig", files[f"{at}/SHA256SUMS"], "signature"),
        (f"{at}/SHA256SUMS", b"0" * 64 + b"  tool-v1.2.3-linux-amd64.tar.gz\n", "does not hold"),
        ("/charts/two-1.2.3.tgz", chart_tgz("two", "1.2.3")[:-1] + b"\1", "index"),
    ):
        kept = files[path]
        files[path] = change
        try:
            done = sealift("lock", copy, "--store", tmp_path / "store", *stranger.options, check=False)
        finally:
            files[path] = kept
        assert done.returncode in (1, 3) and words in done.stderr, done.stderr
        assert not (copy / "lock.yaml").exists()


def test_what_the_page_names_is_kept_and_built_without_anybody(stranger: Stranger, store: Path, tmp_path: Path) -> None:
    """All but what the engine makes: its store keeps that, and another machine says what it lacks."""
    recipe = tmp_path / "recipe"
    shutil.copytree(stranger.recipe, recipe, ignore=shutil.ignore_patterns("lock.yaml"))
    text = (recipe / "images.yaml").read_text()
    (recipe / "images.yaml").write_text(re.sub(r"last-resort: .*\n", "", text))
    (recipe / "bundle.yaml").write_text(BUNDLE + "  apps: [app, own]\n")
    sealift("lock", recipe, "--store", store, *stranger.options)
    sealift("fetch", recipe, "--to", tmp_path / "kept", "--store", store, *stranger.options)
    subprocess.run(["sha256sum", "-c", "--quiet", *(p.name for p in (tmp_path / "kept").glob("*SUM*"))],
                   cwd=tmp_path / "kept", check=True)  # fmt: skip
    asked = len(stranger.server.seen)
    here = Path(
        sealift("build", recipe, "--output", tmp_path / "here", "--store", store, *stranger.options).stdout.split()[-1]
    )
    there = Path(
        sealift("build", recipe, "--output", tmp_path / "there", "--store", tmp_path / "empty", "--inputs",
                tmp_path / "kept", "--offline").stdout.split()[-1]
    )  # fmt: skip
    assert len(stranger.server.seen) == asked
    for path in sorted(here.rglob("*")):
        if path.is_file():
            assert path.read_bytes() == (there / path.relative_to(here)).read_bytes(), path
