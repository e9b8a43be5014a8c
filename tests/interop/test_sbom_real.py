"""The documents of real bundles: valid by the specifications' own validators, and what they say is what others see.

The Go command says which modules a program carries, dpkg says which packages an image holds, and every file in every
image has to be accounted for.
"""

import base64
import json
import subprocess
from collections import defaultdict
from pathlib import Path
from typing import Any

import pytest
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator

from bundles import index
from tests.support.gotools import go_program, store_root
from tests.support.imagefiles import image_files
from tests.support.node import PROGRAMS

pytestmark = pytest.mark.real
BUNDLES = ("hello_bundle", "rke2_bundle")


@pytest.fixture
def bundle(request: pytest.FixtureRequest) -> Path:
    found: Path = request.getfixturevalue(request.param)
    return found


@pytest.fixture(scope="module")
def files(rke2_bundle: Path) -> list[tuple[str, str, str, bytes | None]]:
    """All files of all images, unpacked once."""
    return list(image_files(rke2_bundle))


def document(bundle: Path, name: str) -> Any:
    return json.loads((bundle / name).read_bytes())


def spdx_errors(path: Path) -> str:
    """What the SPDX project's tool finds wrong; empty for a valid document."""
    command: list[str | Path] = [PROGRAMS / "pyspdxtools", "--infile", path, "--version", "SPDX-2.3"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert (done.returncode == 0) == (done.stderr == ""), done
    return done.stderr


@pytest.mark.parametrize("bundle", BUNDLES, indirect=True)
def test_the_spdx_document_is_valid_by_the_projects_own_validator(bundle: Path) -> None:
    assert spdx_errors(bundle / "sbom.spdx.json") == ""


def test_that_validator_would_have_found_a_licence_that_does_not_exist(hello_bundle: Path, tmp_path: Path) -> None:
    broken = (
        (hello_bundle / "sbom.spdx.json")
        .read_text()
        .replace('"licenseDeclared":"NOASSERTION"', '"licenseDeclared":"MITT"')
    )
    (tmp_path / "broken.spdx.json").write_text(broken)
    assert "MITT" in spdx_errors(tmp_path / "broken.spdx.json")


@pytest.mark.parametrize("bundle", BUNDLES, indirect=True)
def test_the_cyclonedx_document_is_valid_by_the_strict_schema(bundle: Path) -> None:
    wrong = JsonStrictValidator(SchemaVersion.V1_6).validate_str((bundle / "sbom.cdx.json").read_text())
    assert wrong is None, str(wrong)[:3000]


@pytest.mark.parametrize("bundle", BUNDLES, indirect=True)
def test_the_documents_are_listed_and_provenance_names_every_other_file(bundle: Path) -> None:
    listed = index.decode((bundle / "bundle.json").read_bytes())
    files = {file.path: file.sha256.hex for file in listed.files}
    assert {"sbom.spdx.json", "sbom.cdx.json", "provenance.json"} <= files.keys()
    said = {each["name"]: each["digest"]["sha256"] for each in document(bundle, "provenance.json")["subject"]}
    files |= {archive.path: archive.sha256.hex for archive in listed.archives}
    files |= {image.reference: image.digest.hex for image in listed.images}
    files |= {f"charts/{chart.name}-{chart.version}.tgz": chart.sha256.hex for chart in listed.charts}
    assert said == {path: digest for path, digest in files.items() if path != "provenance.json"}


def test_every_file_of_every_image_is_a_program_a_file_or_a_packages(
    rke2_bundle: Path, files: list[tuple[str, str, str, bytes | None]]
) -> None:
    sbom = document(rke2_bundle, "sbom.spdx.json")
    sums = {each["checksums"][0]["checksumValue"] for each in sbom["packages"] if "checksums" in each}
    packaged = ("usr/", "bin/busybox", "lib/", "lib64/", "sbin/", "etc/debian_version", "var/lib/dpkg/status.d/")
    unknown = []
    for image, path, digest, _ in files:
        of_debian = "hardened" in image and path.startswith(packaged)
        if digest not in sums and not of_debian and not path.startswith("charts/"):
            unknown.append(f"{image} /{path}")
    assert not unknown


def test_the_modules_of_every_program_are_those_that_go_says(rke2_bundle: Path) -> None:
    sbom = document(rke2_bundle, "sbom.cdx.json")
    parts = {each["bom-ref"]: each for each in sbom["components"]}
    needs = {each["ref"]: each.get("dependsOn", []) for each in sbom["dependencies"]}
    checked = 0
    for key, part in parts.items():
        ours = {module(parts[need]) for need in needs[key] if need.startswith("go:")}
        if not key.startswith("program:") or not ours:
            continue
        program = store_root() / "blobs/sha256" / part["hashes"][0]["content"]
        done = subprocess.run([go_program(), "version", "-m", program], capture_output=True, text=True)
        if key == "program:pause/pause":  # C, though made from a file of a Go module
            assert done.returncode != 0
            continue
        assert done.returncode == 0, done.stderr
        assert ours == modules_of(done.stdout), key
        unlocked = {(path, version) for path, version, h1 in ours if not h1}
        assert len(unlocked) <= 2 + done.stdout.count("\n\t=>\t./"), key  # the main module, stdlib, folders
        checked += 1
    assert checked > 25


def module(part: dict[str, Any]) -> tuple[str, str, str]:
    sums = [each["value"] for each in part.get("properties", ()) if each["name"] == "sealift:go:h1"]
    return part["name"], part.get("version", ""), "".join(sums)


def modules_of(text: str) -> set[tuple[str, str, str]]:
    """What `go version -m` says, with the hash of every module that has one."""
    found = set()
    version = text.partition("\n")[0].rpartition(": go")[2].split()[0].partition("-X:")[0]  # without experiments
    last: tuple[str, str, str] = ("", "", "")
    for line in text.splitlines()[1:]:
        kind, *words = line.strip().split("\t")
        words += [""] * (3 - len(words))
        if kind == "=>" and words[0].startswith("."):
            continue  # by a folder of the module's own: what came in is what was there before, or less of it
        if kind in ("dep", "=>"):
            found.discard(last if kind == "=>" else ("", "", ""))
            last = (words[0], words[1], words[2])
            found.add(last)
        elif kind == "mod":
            main = words
    return found | {("stdlib", version, ""), main_module(main)}


def main_module(words: list[str]) -> tuple[str, str, str]:
    path, version, h1 = words[:3]
    return (path, "v1.0.0", "") if version == "(devel)" else (path, version, h1)


def test_the_packages_of_every_image_are_those_that_dpkg_says(
    rke2_bundle: Path, files: list[tuple[str, str, str, bytes | None]], tmp_path: Path
) -> None:
    """dpkg-query on a status file made of the records in the image; it has to read each of them."""
    sbom = document(rke2_bundle, "sbom.spdx.json")
    parts = {each["SPDXID"]: each for each in sbom["packages"]}
    ours = defaultdict(set)
    for each in sbom["relationships"]:
        image, part = parts.get(each["spdxElementId"], {}), parts.get(each["relatedSpdxElement"], {})
        purl = "".join(found["referenceLocator"] for found in part.get("externalRefs", ()))
        if image.get("primaryPackagePurpose") == "CONTAINER" and purl.startswith("pkg:deb/"):
            ours[f"{image['name']}:{image['versionInfo']}"].add(
                (part["name"], part["versionInfo"], "arch=amd64" in purl, part["comment"].partition("deb:source=")[2])
            )
    theirs = {}
    records = defaultdict(list)
    for image, path, _, content in files:
        if path.startswith("var/lib/dpkg/status.d/") and content is not None:
            records[image].append(content.decode())
    for image, every in records.items():
        (tmp_path / "status").write_text("\n".join(every))
        shown = "${Package}\t${Version}\t${Architecture}\t${source:Package}=${source:Version}\n"
        command = ["dpkg-query", f"--admindir={tmp_path}", "--show", f"--showformat={shown}"]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        rows = [line.split("\t") for line in done.stdout.splitlines()]
        theirs[image] = {(name, version, arch == "amd64", source) for name, version, arch, source in rows}
    assert ours == theirs and len(theirs) == 3


def test_hashes_of_modules_in_the_provenance_are_go_sums(rke2_bundle: Path) -> None:
    lock = (Path(__file__).resolve().parents[2] / "recipes/rke2-v1.34/go/runc/go.sum").read_text().splitlines()
    sums = {f"go:{path}@{version}": h1 for path, version, h1 in map(str.split, lock) if "/go.mod" not in version}
    dependencies = document(rke2_bundle, "provenance.json")["predicate"]["buildDefinition"]["resolvedDependencies"]
    ours = {each["name"]: each["digest"]["dirHash1"] for each in dependencies if "dirHash1" in each["digest"]}
    common = sums.keys() & ours.keys()
    assert "go:github.com/opencontainers/runc@v1.3.4" in common and len(common) > 20
    assert all(base64.b64decode(sums[name].removeprefix("h1:")).hex() == ours[name] for name in common)
