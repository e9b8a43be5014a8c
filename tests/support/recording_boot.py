"""The flow of a first start that is replayed: everything the daemon writes by itself, but its logs."""

import functools
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_private_key

from bundles.digest import Digest
from bundles.files import TEMP_PREFIX
from runtime.daemon.addons import ObjectKey
from runtime.daemon.archives import Stamp
from runtime.daemon.deployed import entry, read_deployed, write_deployed
from runtime.daemon.journal import new_journal, only_daemon, write_journal
from runtime.daemon.stamps import read_stamps, write_stamps
from runtime.layout import NodeLayout
from runtime.nodeconf.model import NodeConfig
from runtime.staticpods.place import compose, place
from tests.support.disk_images import Image
from tests.support.nodedirs import seen
from tests.support.nodes import node_config, node_paths, start, static_pods
from tests.support.recording_build import shape


@dataclass
class Boot:
    """Everything the daemon writes at a first start, but its logs."""

    home: Path

    @property
    def root(self) -> Path:
        return self.home / "live"

    def prepare(self) -> None:
        self.root.mkdir(parents=True)

    def act(self) -> None:
        node = node_config(self.root)
        with only_daemon(NodeLayout(node.paths.data)):
            self._start(node)

    def _start(self, node: NodeConfig) -> None:
        layout = NodeLayout(node.paths.data)
        start(node)
        for name in ("etcd", "kube-scheduler"):  # all go the same way
            place(compose(static_pods(node)[name], path=node.paths.manifest(name), environment={}))
        stamp = Stamp(name="a.tar", size=1, mtime=2, inode=3, sha256=Digest.of(b"a"), images={"i:1": Digest.of(b"i")})
        write_stamps(layout, (stamp,))
        key = ObjectKey(api_version="v1", kind="ConfigMap", namespace="kube-system", name="one")
        write_deployed(layout, {"one.yaml": entry("one.yaml", Digest.of(b"one"), frozenset({key}))})
        write_journal(
            layout,
            new_journal(pid=1, version="1", bundle="b", role="server", node="n1", began=1.0, stages=[]),
        )

    def check(self) -> None:
        """Keys and certificates are whole and belong together; documents can be read."""
        data = node_paths(self.root).data
        for path in _everything(data):
            content = path.read_bytes()
            if path.suffix == ".crt" and (key := path.with_suffix(".key")).exists():
                assert _public(content) == _public(key.read_bytes()), f"not a pair: {path}"
            elif path.suffix in (".crt", ".key"):
                _public(content)
            elif path.name not in ("daemon.json", "daemon.lock"):  # not synced: believed only while the daemon lives
                assert content and b"\0" not in content, f"half a document: {path}"
        layout = NodeLayout(data)
        read_stamps(layout)
        read_deployed(layout)
        self._remember(data)

    def _remember(self, data: Path) -> None:
        """Private keys that a program may have used already: a second start must not make others."""
        self.keys = {path: path.read_bytes() for path in _everything(data) if path.suffix == ".key"}

    def result(self) -> Any:
        data = node_paths(self.root).data
        for path, key in getattr(self, "keys", {}).items():
            assert path.read_bytes() == key, f"another key: {path}"
        found = {name: what.rpartition(" ")[0] for name, what in seen(data).items() if TEMP_PREFIX not in name}
        for name in ("daemon.json", "daemon.lock"):
            found.pop(f"agent/sealift/{name}", None)
        return found

    def left(self) -> list[Path]:
        return list(self.root.rglob(f"{TEMP_PREFIX}*"))

    @staticmethod
    def shape(image: Image) -> Image:
        return shape(image)


@functools.cache
def _public(pem: bytes) -> bytes:
    """The public key of a private one, or of the first certificate."""
    form = Encoding.DER, PublicFormat.SubjectPublicKeyInfo
    if b"CERTIFICATE" in pem:
        return x509.load_pem_x509_certificates(pem)[0].public_key().public_bytes(*form)
    return load_pem_private_key(pem, None).public_key().public_bytes(*form)


def _everything(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file() and not path.name.startswith(TEMP_PREFIX)]
