"""What a bundle's SBOM lists, as rows and as a difference between two bundles."""

import json
from pathlib import Path
from typing import Any

import msgspec
import pytest

from bundles import jsontext
from bundles.diff import diff
from bundles.diff import render as render_diff
from bundles.digest import Digest
from bundles.errors import FormatError, MissingError
from bundles.index import BundleIndex, File
from bundles.inspect import inspect
from bundles.inspect import render as render_inspected
from bundles.pack import pack
from bundles.packages import SBOM, packages, render
from tests.support.bundles import forge, make_bundle
from tests.support.node import sealift

PROGRAM = {"bom-ref": "program:k/kubelet", "type": "application", "name": "kubelet", "version": "v1"}
MODULE = {
    "bom-ref": "go:a.test/x@v1",
    "type": "library",
    "name": "a.test/x",
    "version": "v1",
    "licenses": [{"license": {"id": "MIT"}}],
    "purl": "pkg:golang/a.test/x@v1",
}
PACKAGE = {
    "bom-ref": "deb:a=1",
    "type": "library",
    "name": "a",
    "version": "1",
    "licenses": [{"expression": "ISC OR MIT"}],
}


def with_sbom(bundle: Path, data: bytes) -> Path:
    """The bundle with this SBOM, listed."""
    (bundle / SBOM).write_bytes(data)
    file = File(path=SBOM, size=len(data), sha256=Digest.of(data))

    def change(document: BundleIndex) -> BundleIndex:
        return msgspec.structs.replace(document, files=[*document.files, file])

    forge(bundle, change)
    return bundle


def sbom(*components: dict[str, Any]) -> bytes:
    return jsontext.encode_canonical({"bomFormat": "CycloneDX", "specVersion": "1.6", "components": list(components)})


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    return with_sbom(make_bundle(tmp_path / "one"), sbom(PROGRAM, MODULE, PACKAGE))


def test_packages_with_versions_and_licences_of_a_folder_and_of_one_file(bundle: Path, tmp_path: Path) -> None:
    rows = packages(bundle)
    assert [(row["kind"], row["name"], row["version"], row["licence"]) for row in rows] == [
        ("deb", "a", "1", "ISC OR MIT"),
        ("go", "a.test/x", "v1", "MIT"),
        ("program", "kubelet", "v1", ""),
    ]
    pack(bundle, tmp_path / "b.sealift")
    assert packages(tmp_path / "b.sealift") == rows
    assert render(rows).splitlines()[1].split() == ["go", "a.test/x", "v1", "MIT"]
    assert json.loads(sealift("inspect", bundle, "--packages", "--json").stdout) == rows


def test_a_bundle_without_sbom_says_so(tmp_path: Path) -> None:
    with pytest.raises(MissingError, match="no SBOM"):
        packages(make_bundle(tmp_path))


def test_another_sbom_than_the_listed_one_is_refused(bundle: Path) -> None:
    (bundle / SBOM).write_bytes(sbom(PROGRAM, {**MODULE, "version": "v2"}, PACKAGE))
    with pytest.raises(FormatError, match="damaged"):
        packages(bundle)


@pytest.mark.parametrize("data", [b"[]\n", b'{"components":{}}\n', b'{"components":[1]}\n', b'{"components":'])
def test_a_document_of_another_form_is_refused(tmp_path: Path, data: bytes) -> None:
    with pytest.raises(FormatError):
        packages(with_sbom(make_bundle(tmp_path), data))


def test_odd_values_are_shown_as_nothing_and_names_cannot_drive_a_terminal(tmp_path: Path) -> None:
    odd = {"bom-ref": 7, "name": "a\x1b[2J", "version": ["v"], "licenses": [3, {"license": "MIT"}], "purl": None}
    rows = packages(with_sbom(make_bundle(tmp_path), jsontext.encode_canonical({"components": [odd]})))
    assert rows == [{"kind": "", "name": "a\x1b[2J", "version": "", "licence": "", "purl": ""}]
    assert "\x1b" not in render(rows)


def test_diff_names_the_packages_whose_versions_changed(bundle: Path, tmp_path: Path) -> None:
    newer: list[dict[str, Any]] = [
        PROGRAM,
        {**MODULE, "version": "v2"},
        {**MODULE, "version": "v1.5"},
        {**MODULE, "name": "a.test/new"},
    ]
    other = with_sbom(make_bundle(tmp_path / "two"), sbom(*newer))
    found = diff(bundle, other)
    assert found["packages"] == {
        "added": {"go a.test/new": "v1"},
        "removed": {"deb a": "1"},
        "changed": {"go a.test/x": ["v1", "v1.5, v2"]},
    }
    assert "~ package go a.test/x  v1 -> v1.5, v2" in render_diff(found).splitlines()


def test_inspect_groups_programs_by_the_crypto_that_was_found(tmp_path: Path) -> None:
    def program(name: str, **properties: str) -> dict[str, Any]:
        listed = [{"name": f"sealift:go:{key}", "value": value} for key, value in properties.items()]
        return {"bom-ref": f"program:{name}/{name}", "name": name, "properties": listed}

    odd = {"bom-ref": 1, "name": [], "properties": [7, {"name": {}}]}
    found = [program("runc", crypto="boringcrypto"), program("etcd", crypto="boringcrypto"), program("x"), odd]
    found += [program("toy", crypto="off", **{"crypto-because": "it is one"})]
    bundle = with_sbom(make_bundle(tmp_path), jsontext.encode_canonical({"components": found}))
    text = render_inspected(inspect(bundle))
    assert "  crypto      boringcrypto: etcd, runc\n" in text and "  crypto      off: toy (it is one)\n" in text
    assert "crypto" not in inspect(make_bundle(tmp_path / "plain"))
    (bundle / SBOM).write_bytes(b"{}")
    assert "crypto" not in inspect(bundle)
