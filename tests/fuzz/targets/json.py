"""Strict JSON, and the documents that are read by it: ours are written again the same."""

import json
from contextlib import AbstractContextManager
from typing import Any, Final

import msgspec

from bundles import index, jsontext, oci, packages
from bundles.consistency import check_index
from bundles.diff import compare, render
from bundles.digest import Digest
from bundles.errors import SealiftError
from bundles.index import BundleIndex
from bundles.region import Region
from bundles.sums import sums_text
from runtime.admitted import Admitted
from runtime.daemon.archives import Imported, expected_archives
from runtime.daemon.deployed import Deployed
from runtime.daemon.journal import Journal
from runtime.prove import report
from runtime.record import Record
from tests.fuzz import examples, modes, repair
from tests.fuzz.model import Target, taken

_SAME: Final[dict[str, dict[str, str]]] = {"added": {}, "removed": {}, "changed": {}}
_SBOM: Final = (
    b'{"components":[{"bom-ref":"go:a","name":"a","version":"v1","purl":"pkg:golang/a@v1",'
    b'"licenses":[{"expression":"MIT"},{"license":{"id":"MIT"}}]}]}'
)
_HASH: Final = examples.digest_of("x")
_INDEX: Final = examples.packed()[0]
_BUNDLE: Final = index.decode(_INDEX)


def _plain(data: bytes) -> bool:
    """What is taken, Python's reader takes too; without fractions it can be written canonically and read again."""
    value = taken(lambda: jsontext.decode_plain(data, where="input"))
    if value is None:
        return False
    assert value == json.loads(data)
    try:
        written = jsontext.encode_canonical(value)
    except TypeError:
        return True  # a fraction
    if b"null" not in written:
        assert jsontext.decode_plain(written, where="written") == value
    return True


def _document(kind: type[Any], *, ours: bool) -> modes.Reader:
    def read(data: bytes) -> bool:
        value = taken(lambda: jsontext.decode(data, kind, where="input"))
        if value is not None and ours:
            written = jsontext.encode_canonical(value)
            assert jsontext.decode(written, kind, where="written") == value
        return value is not None

    return read


def _index(data: bytes) -> bool:
    """An index that agrees with itself can be shown, listed, compared and expected by a node."""
    found = taken(lambda: index.decode(data))
    if found is None:
        return False
    assert index.decode(index.encode(found)) == found
    render(compare(_BUNDLE, found) | {"packages": _SAME}).encode()
    if taken(lambda: _consistent(found)):
        sums_text(found, Digest.of(data)).encode()
        expected_archives(found)
    return True


class _Inside:
    """A bundle that holds one file."""

    where = "bundle"

    def __init__(self, data: bytes) -> None:
        """`data`: of that file."""
        self._data = data

    def envelope(self) -> tuple[bytes, dict[str, bytes]]:
        """See BundleSource."""
        return _INDEX, {}

    def files(self) -> list[str]:
        """See BundleSource."""
        return [packages.SBOM]

    def open(self, path: str) -> AbstractContextManager[Region]:
        """See BundleSource."""
        return examples.region_of(self._data)


def _sbom(data: bytes) -> bool:
    file = index.File(path=packages.SBOM, size=len(data), sha256=Digest.of(data))
    found = taken(packages.listed, _Inside(data), msgspec.structs.replace(_BUNDLE, files=[file]))
    if found is not None:
        packages.render(found).encode()
        packages.versions(found)
    return found is not None


def _consistent(found: BundleIndex) -> bool:
    check_index(found, where="input")
    return True


def _canonical(data: bytes) -> bool:
    """The index, made canonical again after a mutation."""
    try:
        return _index(jsontext.encode_canonical(jsontext.decode_plain(data, where="input")))
    except (SealiftError, TypeError):
        return False


def _report(data: bytes) -> bool:
    found = taken(lambda: report.decode(data, where="input"))
    if found is not None:
        assert report.decode(report.encode(found), where="written") == found
        found.faults()
    return found is not None


_OURS: Final = {"admitted": Admitted, "record": Record, "journal": Journal, "imported": Imported, "deployed": Deployed}
_OTHERS: Final = {"manifest": oci.Manifest, "index.json": oci.Index, "config": oci.ImageConfig}
READERS: Final[dict[str, modes.Reader]] = {
    "plain": _plain,
    "index": _index,
    "index, canonical": _canonical,
    "report": _report,
    "sbom": _sbom,
    "manifest.json": _document(list[oci.DockerImage], ours=False),
    **{name: _document(kind, ours=True) for name, kind in _OURS.items()},
    **{name: _document(kind, ours=False) for name, kind in _OTHERS.items()},
}


def _examples() -> dict[str, list[bytes]]:
    members = {name: (at, size) for name, at, size in repair.spans(examples.sealed_plain())}
    bodies = {name.decode(): examples.sealed_plain()[at : at + size] for name, (at, size) in members.items()}
    blobs = [body for name, body in bodies.items() if name.startswith("blobs/") and body.startswith(b"{")]
    runtime = {"reference": _BUNDLE.runtime.reference, "digest": _HASH, "key": _BUNDLE.runtime.key}
    plain = {
        "admitted": {
            "format": "1.0", "bundle": "b", "index": _HASH, "version": "v1", "flavour": "classic", "sequence": 1,
            "platform": "linux/amd64", "runtime": runtime, "archives": [{"name": "a.tar", "size": 1, "sha256": _HASH}],
        },
        "record": {
            "format": "1.0", "reference": "r", "digest": _HASH, "config": _HASH,
            "files": [{"path": "bin/x", "size": 1, "mode": 493, "sha256": _HASH}],
        },
        "journal": {
            "format": "1.0", "pid": 1, "version": "1", "bundle": "b", "role": "server", "node": "n", "began": 1,
            "stages": [
                {"name": "a", "text": "t", "needs": ["b"], "phase": "up", "since": 1, "restarts": 0, "detail": ""}
            ],
            "problems": {"a.tar": "why"}, "stop": "",
        },
        "imported": {
            "format": "1.0",
            "archives": [{"name": "a", "size": 1, "mtime": 2, "inode": 3, "sha256": None, "images": {"a": _HASH}}],
        },
        "deployed": {
            "format": "1.0",
            "files": [
                {
                    "path": "a.yaml", "sha256": _HASH,
                    "objects": [{"api_version": "v1", "kind": "Pod", "namespace": "", "name": "x"}],
                }
            ],
        },
        "report": {
            "format": "1.0", "ready": True, "bundle": {"name": "b", "version": "v", "sha256": _HASH},
            "nodes": [{"name": "n", "role": "server", "ready_seconds": 1.5}], "pods": [], "images": [], "unused": [],
            "missing": [{"reference": "r", "used_by": ["x"]}],
            "outside": {"attempts": 0, "packets": 0, "control": True},
            "checks": [{"name": "dns", "ok": True, "seconds": 0.1}], "stages": [{"name": "s", "seconds": None}],
        },
    }  # fmt: skip
    texts = {name: [json.dumps(value).encode()] for name, value in plain.items()}
    known = {
        "plain": [b'{"a":[1,-2.5e3,true,null,"\\u00e9\\ud83d\\ude00"]}', b"[" * 31 + b"]" * 31, _INDEX],
        "index": [_INDEX],
        "index, canonical": [_INDEX],
        "manifest.json": [bodies["manifest.json"]],
        "sbom": [_SBOM],
        "index.json": [bodies["index.json"]],
        "manifest": [next(blob for blob in blobs if b'"layers":[' in blob)],
        "config": [next(blob for blob in blobs if b'"rootfs"' in blob)],
    }
    return texts | known


TARGET: Final = Target(read=modes.by_first_byte(READERS), seeds=lambda: modes.seeds(READERS, _examples()), least=200)
