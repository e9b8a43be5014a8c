from pathlib import Path

import pytest

from bundles.datakey import data_key
from bundles.digest import Digest
from bundles.errors import FormatError, UsageError
from bundles.index import Runtime
from runtime.admitted import Admitted
from runtime.choice import choose, configured_image

TAG = "v1.34.7-rke2r1"
DIGEST = Digest.of(b"manifest")


def admitted(reference: str = f"docker.io/rancher/rke2-runtime:{TAG}") -> Admitted:
    return Admitted(
        format="1.0",
        bundle="rke2-v1",
        index=Digest.of(b"index"),
        version="v1",
        flavour="classic",
        sequence=1,
        platform="linux/amd64",
        runtime=Runtime(reference=reference, digest=DIGEST, key="unused"),
        archives=[],
    )


def test_the_flag_wins_over_the_configuration_and_that_over_the_admitted_bundle() -> None:
    flag, configured = "a.example/x/rke2-runtime:v1.1", "b.example/x/rke2-runtime:v1.2"
    first = choose(flag=flag, configured=configured, admitted=admitted())
    second = choose(flag=None, configured=configured, admitted=admitted())
    third = choose(flag=None, configured=None, admitted=admitted())
    assert [str(choice.reference) for choice in (first, second)] == [flag, configured]
    assert str(third.reference) == f"docker.io/rancher/rke2-runtime:{TAG}"
    assert choose(flag=None, configured=None, admitted=None).reference is None


def test_the_admitted_image_gets_the_key_rke2_computes() -> None:
    """The key seen on real nodes for this tag."""
    choice = choose(flag=None, configured=None, admitted=admitted())
    assert choice.reference is not None
    assert data_key(choice.reference) == "v1.34.7-rke2r1-db44f300fe21"


def test_a_typed_reference_keeps_its_spelling_because_rke2_hashes_it() -> None:
    choice = choose(flag=f" docker.io/rancher/rke2-runtime:{TAG} ", configured=None, admitted=None)
    assert choice.reference is not None
    assert choice.reference.original == f"docker.io/rancher/rke2-runtime:{TAG}"
    assert data_key(choice.reference) != "v1.34.7-rke2r1-db44f300fe21"


def test_the_admitted_digest_counts_for_every_spelling_and_for_no_other_image() -> None:
    same = choose(flag=f"index.docker.io/rancher/rke2-runtime:{TAG}", configured=None, admitted=admitted())
    other = choose(flag="rancher/rke2-runtime:v9", configured=None, admitted=admitted())
    assert same.digest == DIGEST
    assert other.digest is None


def test_a_digest_reference_is_refused_because_no_archive_is_found_by_it() -> None:
    with pytest.raises(UsageError, match="by tag"):
        choose(flag=f"rancher/rke2-runtime@{DIGEST}", configured=None, admitted=None)


def test_a_malformed_reference_is_refused() -> None:
    with pytest.raises(FormatError):
        choose(flag="Not A Reference", configured=None, admitted=None)


def test_the_configuration_and_its_folder_are_read_in_order(tmp_path: Path) -> None:
    config = tmp_path / "config.yaml"
    config.write_text("runtime-image: rancher/a:v1\nother: [1, 2]\n")
    assert configured_image(config) == "rancher/a:v1"
    (tmp_path / "config.yaml.d").mkdir()
    (tmp_path / "config.yaml.d/20.yaml").write_text("runtime-image: rancher/c:v1\n")
    (tmp_path / "config.yaml.d/10.yaml").write_text("runtime-image: rancher/b:v1\n")
    assert configured_image(config) == "rancher/c:v1"


def test_an_empty_configuration_names_no_image(tmp_path: Path) -> None:
    (tmp_path / "c.yaml").write_text("# nothing\n")
    assert configured_image(tmp_path / "c.yaml") is None


@pytest.mark.parametrize("text", ["- a list\n", "runtime-image: 12\n", "a: [\n", "runtime-image: 2001-99-99 \0"])
def test_a_configuration_that_is_none_is_a_usage_error(tmp_path: Path, text: str) -> None:
    (tmp_path / "c.yaml").write_text(text)
    with pytest.raises(UsageError):
        configured_image(tmp_path / "c.yaml")


def test_a_missing_configuration_is_a_usage_error(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no such"):
        configured_image(tmp_path / "c.yaml")
