"""A real registry (Debian's docker-registry) on loopback, and a client of few lines that reads and writes manifests."""

import contextlib
import hashlib
import json
import os
import socket
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bundles.digest import Digest

OCI = "application/vnd.oci.image.manifest.v1+json"
INDEX = "application/vnd.oci.image.index.v1+json"
BCRYPT = "$2b$04$e2JbU8dgRYWm234aOlrWKOmWIhM8cl./QFHELMM8mqP8gHoCLjbfm"  # of Guarded.password


@dataclass(frozen=True)
class Registry:
    """`host` is HOST:PORT."""

    host: str

    def manifest(self, repository: str, reference: str) -> bytes | None:
        """A manifest or index by tag or digest; None when there is none."""
        try:
            return self._get(f"{repository}/manifests/{reference}", Accept=f"{OCI}, {INDEX}")
        except urllib.error.HTTPError as exc:
            assert exc.code == 404
            return None

    def blob(self, repository: str, digest: Digest, limit: int) -> bytes:
        """A blob of at most `limit` bytes, checked."""
        data = self._get(f"{repository}/blobs/{digest}")
        assert len(data) <= limit and Digest.of(data) == digest
        return data

    def push_image(self, repository: str, tag: str) -> Digest:
        """A small image; returns its manifest's digest."""
        config = json.dumps({"architecture": "amd64", "os": "linux", "rootfs": {"type": "layers", "diff_ids": []}})
        manifest = {
            "schemaVersion": 2,
            "mediaType": OCI,
            "config": self.push_blob(repository, config.encode(), "application/vnd.oci.image.config.v1+json"),
            "layers": [self.push_blob(repository, tag.encode(), "application/vnd.oci.image.layer.v1.tar")],
        }
        return self.push_manifest(repository, tag, manifest)

    def push_manifest(self, repository: str, reference: str, manifest: dict[str, Any]) -> Digest:
        """Puts it under a tag or its digest."""
        data = json.dumps(manifest).encode()
        url = f"http://{self.host}/v2/{repository}/manifests/{reference}"
        request = urllib.request.Request(url, data, {"Content-Type": manifest["mediaType"]}, method="PUT")
        urllib.request.urlopen(request).close()
        return Digest.of(data)

    def push_blob(self, repository: str, data: bytes, media_type: str) -> dict[str, Any]:
        """Puts a blob; returns its descriptor."""
        digest = f"sha256:{hashlib.sha256(data).hexdigest()}"
        start = urllib.request.Request(f"http://{self.host}/v2/{repository}/blobs/uploads/", method="POST")
        with urllib.request.urlopen(start) as answer:
            place = answer.headers["Location"]
        url = f"{place}{'&' if '?' in place else '?'}digest={digest}"
        headers = {"Content-Type": "application/octet-stream"}
        urllib.request.urlopen(urllib.request.Request(url, data, headers, method="PUT")).close()
        return {"mediaType": media_type, "digest": digest, "size": len(data)}

    def _get(self, path: str, **headers: str) -> bytes:
        with urllib.request.urlopen(urllib.request.Request(f"http://{self.host}/v2/{path}", headers=headers)) as answer:
            found: bytes = answer.read(4 << 20)
            return found


@dataclass(frozen=True)
class Guarded:
    """TLS with this certificate and key (PEM files), and this user's password (htpasswd)."""

    certificate: Path
    key: Path
    user: str = "node"
    password: str = "s3cr3t-of-site"

    def settings(self, folder: Path) -> tuple[dict[str, Any], dict[str, Any]]:
        """`http` and the rest of a registry's configuration."""
        (folder / "htpasswd").write_text(f"{self.user}:{BCRYPT}\n")
        auth = {"htpasswd": {"realm": "site", "path": str(folder / "htpasswd")}}
        return {"tls": {"certificate": str(self.certificate), "key": str(self.key)}}, {"auth": auth}


@contextlib.contextmanager
def running_registry(
    folder: Path, *, program: str | Path = "docker-registry", guarded: Guarded | None = None
) -> Iterator[Registry]:
    """Starts one on a free port of loopback, its blobs below `folder`; stopped at the end.

    `program`: Debian's (distribution 2), or another of distribution. `guarded`: with TLS and a password.
    """
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        host = f"127.0.0.1:{probe.getsockname()[1]}"
    config = folder / "registry.yml"
    storage = {"filesystem": {"rootdirectory": str(folder / "blobs")}, "delete": {"enabled": True}}
    http, more = guarded.settings(folder) if guarded is not None else ({}, {})
    config.write_text(json.dumps({"version": "0.1", "storage": storage, "http": {"addr": host, **http}, **more}))
    environment = {**os.environ, "OTEL_TRACES_EXPORTER": "none"}  # distribution 3 would look for a collector
    with (folder / "registry.log").open("wb") as log:
        process = subprocess.Popen([program, "serve", config], stdout=log, stderr=log, env=environment)
    try:
        _wait(host, process)
        yield Registry(host)
    finally:
        process.terminate()
        process.wait()


def _wait(host: str, process: "subprocess.Popen[bytes]") -> None:
    name, _, port = host.partition(":")
    for _ in range(300):
        assert process.poll() is None, "the registry ended"
        with contextlib.suppress(OSError), socket.create_connection((name, int(port))):
            return
        time.sleep(0.1)
    raise AssertionError("the registry does not answer")
