"""Digests, references, data keys, platforms: what is accepted, what it becomes, what is refused."""

import pytest

from bundles.datakey import data_key
from bundles.digest import Digest
from bundles.errors import FormatError, UsageError
from bundles.platform import Platform, from_machine
from bundles.reference import Reference

HEX = "0123456789abcdef" * 4


def test_a_digest_is_its_text() -> None:
    assert str(Digest.parse(f"sha256:{HEX}")) == f"sha256:{HEX}"
    assert Digest.of(b"").hex == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"


@pytest.mark.parametrize(
    "text",
    [f"sha256:{HEX.upper()}", f"sha256:{HEX[:-1]}", f"sha512:{HEX}", HEX, f"sha256:{HEX}\n", f" sha256:{HEX}", ""],
)
def test_other_spellings_of_a_digest_are_refused(text: str) -> None:
    with pytest.raises(FormatError, match="not a digest"):
        Digest.parse(text)


def test_a_digest_cannot_be_changed() -> None:
    with pytest.raises(AttributeError, match="immutable"):
        Digest(HEX).hex = HEX


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("rancher/rke2-runtime:v1", "docker.io/rancher/rke2-runtime:v1"),
        ("index.docker.io/rancher/x:t", "docker.io/rancher/x:t"),
        ("docker.io/rancher/x:t", "docker.io/rancher/x:t"),
        ("busybox:1", "docker.io/library/busybox:1"),
        ("localhost:5000/a/b:c", "localhost:5000/a/b:c"),
        ("reg.example/a:b", "reg.example/a:b"),
        (f"a/b@sha256:{HEX}", f"docker.io/a/b@sha256:{HEX}"),
        (f"a/b:t@sha256:{HEX}", f"docker.io/a/b:t@sha256:{HEX}"),
    ],
)
def test_a_reference_is_normalised_as_containerd_does(text: str, name: str) -> None:
    assert Reference.parse(text).name == name
    assert Reference.parse(text).original == text


def test_rke2_spells_docker_hub_with_index() -> None:
    assert Reference.parse("rancher/x:t").index_name == "index.docker.io/rancher/x:t"
    assert Reference.parse("docker.io/rancher/x:t").familiar == "rancher/x:t"


@pytest.mark.parametrize(
    "text",
    ["", "a/b", "A/b:t", "a//b:t", "a/b:", "a/b:v1+rke2r1", "a/b:t@sha256:00", "../b:t", "a/b:t\n", f"{'a' * 300}:t"],
)
def test_malformed_references_are_refused(text: str) -> None:
    with pytest.raises(FormatError):
        Reference.parse(text)


# Data directory names seen in public reports of running RKE2 nodes.
@pytest.mark.parametrize(
    ("reference", "key"),
    [
        ("rancher/rke2-runtime:v1.34.7-rke2r1", "v1.34.7-rke2r1-db44f300fe21"),
        ("rancher/rke2-runtime:v1.33.8-rke2r1", "v1.33.8-rke2r1-1b2872361ec5"),
        ("rancher/rke2-runtime:v1.24.9-rke2r2", "v1.24.9-rke2r2-154c18a3ccf5"),
        ("rancher/rke2-runtime:v1.20.4-rke2r1", "v1.20.4-rke2r1-4cdb4b0ef109"),
        (f"rancher/rke2-runtime@sha256:{HEX}", HEX),
    ],
)
def test_the_data_key_is_rke2s(reference: str, key: str) -> None:
    assert data_key(Reference.parse(reference)) == key


def test_another_spelling_is_another_data_key() -> None:
    assert data_key(Reference.parse("docker.io/rancher/rke2-runtime:v1.34.7-rke2r1")) != "v1.34.7-rke2r1-db44f300fe21"


def test_a_tag_that_rke2_refuses_has_no_key() -> None:
    with pytest.raises(UsageError, match="begin with v"):
        data_key(Reference.parse("rancher/rke2-runtime:latest"))


def test_platforms() -> None:
    assert str(Platform.parse("linux/arm64/v8")) == "linux/arm64/v8"
    assert Platform.parse("linux/amd64").dashed == "linux-amd64"
    assert from_machine("Linux", "x86_64") == Platform.parse("linux/amd64")
    with pytest.raises(FormatError):
        Platform.parse("linux")


@pytest.mark.parametrize(
    "text", ["docker.io/foo.bar/x:t", "docker.io/localhost/x:t", "docker.io/a.b/c@" + f"sha256:{'ab' * 32}"]
)
def test_the_short_form_never_names_another_registry(text: str) -> None:
    reference = Reference.parse(text)
    assert Reference.parse(reference.familiar).name == reference.name
