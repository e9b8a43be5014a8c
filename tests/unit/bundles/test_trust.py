"""Trust is said, never assumed; nothing is parsed before it is decided."""

from pathlib import Path

import pytest

from bundles.errors import FormatError, TrustError, UsageError
from bundles.signing.keys import generate
from bundles.trust import Trust, by_policy, require
from bundles.verify import verify_bundle
from tests.support import policies
from tests.support.bundles import make_bundle

KEY = generate("ed25519").public


def test_without_a_trust_flag_nothing_is_trusted() -> None:
    with pytest.raises(TrustError) as caught:
        require()
    assert caught.value.exit_code == 3 and "--insecure-no-signature" in str(caught.value)


def test_two_trust_flags_are_wrong_usage() -> None:
    with pytest.raises(UsageError):
        require(key=Path("k.pub"), insecure=True)


def test_a_key_that_is_not_there_is_wrong_usage(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no such public key"):
        require(key=tmp_path / "k.pub")


def test_a_trust_without_keys_trusts_nobody(tmp_path: Path) -> None:
    bundle = make_bundle(tmp_path)
    (bundle / "bundle.json.sig").write_bytes(b"MEUCIQ==\n")
    with pytest.raises(TrustError, match="not signed with the trusted key"):
        verify_bundle(bundle, Trust(kind="key", path=Path("k.pub")))


@pytest.mark.parametrize(
    "trust", [Trust(kind="key", keys=(KEY,)), by_policy(policies.policy(), Path("p.json"))], ids=["key", "policy"]
)
def test_a_key_or_policy_never_lets_an_unsigned_bundle_pass(tmp_path: Path, trust: Trust) -> None:
    bundle = make_bundle(tmp_path)
    with pytest.raises(TrustError, match="not signed"):
        verify_bundle(bundle, trust)


@pytest.mark.parametrize("name", ["bundle.json.sig", "bundle.json.sigstore.json"])
def test_what_is_no_signature_is_refused_when_one_is_asked_for(tmp_path: Path, name: str) -> None:
    bundle = make_bundle(tmp_path)
    (bundle / name).write_bytes(b"MEUCIQ==")
    with pytest.raises(TrustError):
        verify_bundle(bundle, Trust(kind="key", keys=(KEY,)))
    assert verify_bundle(bundle, require(insecure=True)).trust.insecure


def test_a_signed_provenance_alone_signs_no_bundle(tmp_path: Path) -> None:
    bundle = make_bundle(tmp_path)
    (bundle / "provenance.sigstore.json").write_bytes(b"{}")
    with pytest.raises(TrustError, match="not signed"):
        verify_bundle(bundle, Trust(kind="key", keys=(KEY,)))


def test_trust_is_decided_before_the_index_is_parsed(tmp_path: Path) -> None:
    bundle = make_bundle(tmp_path)
    (bundle / "bundle.json").write_bytes(b"not json at all")
    with pytest.raises(TrustError):
        verify_bundle(bundle, Trust(kind="key", keys=(KEY,)))
    with pytest.raises(FormatError):
        verify_bundle(bundle, require(insecure=True))
