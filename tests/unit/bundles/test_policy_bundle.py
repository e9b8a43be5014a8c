"""A policy against real signed bundles, read whole: attacks by name, each refused before the wrong thing is read."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from builder.signing import sign_bundle
from bundles.digest import Digest
from bundles.errors import SealiftError, TrustError
from bundles.pack import pack
from bundles.signing import dsse, statement
from bundles.signing.statement import SLSA_PROVENANCE, Statement, Subject
from bundles.talk import SilentProgress
from bundles.trust import by_policy
from bundles.verify import BundleReport, verify_bundle
from tests.support import policies
from tests.support.bundles import CORE, add_documents, forge, make_bundle
from tests.support.damage import flip

NOW = 1_900_000_000
RULE: dict[str, Any] = {"names": ["*"], "signers": ["release", "builder", "third"], "threshold": 2}
KEYS = policies.pems("release", "builder", "third", "root")


def signed(folder: Path, *names: str, change: Callable[[Path], None] = add_documents) -> Path:
    bundle = make_bundle(folder)
    change(bundle)
    for name in names:
        sign_bundle(bundle, policies.key(name), progress=SilentProgress())
    return bundle


def verify(bundle: Path, *, now: int = NOW, keys: dict[str, str] | None = None, **rule: Any) -> BundleReport:
    policy = policies.policy(keys=keys or KEYS, bundles=[RULE | rule])
    return verify_bundle(bundle, by_policy(policy, Path("policy.json")), now=now)


def test_two_of_three_sign_a_bundle(tmp_path: Path) -> None:
    bundle = signed(tmp_path, "release", "third")
    report = verify(bundle)
    assert report.decision.signers == {policies.key(name).public.id for name in ("release", "third")}
    pack(bundle, tmp_path / "carry.sealift")
    assert verify(tmp_path / "carry.sealift")


def test_one_of_three_is_not_enough(tmp_path: Path) -> None:
    with pytest.raises(TrustError, match="not signed as the policy asks") as caught:
        verify(signed(tmp_path, "release"))
    assert "release" in caught.value.got and "2 of" in caught.value.want


def test_the_same_key_twice_is_one(tmp_path: Path) -> None:
    bundle = signed(tmp_path, "release", "release")
    for suffix in ("sigstore.json", "sig"):
        copy = bundle / f"bundle.json.{policies.key('release').public.short}.{suffix}"
        shutil.copy(bundle / f"bundle.json.{suffix}", copy)
    with pytest.raises(TrustError, match="not signed as the policy asks"):
        verify(bundle)


def test_a_stripped_signature_is_missed(tmp_path: Path) -> None:
    bundle = signed(tmp_path, "release", "third")
    for path in bundle.glob(f"bundle.json.{policies.key('third').public.short}.*"):
        path.unlink()
    with pytest.raises(TrustError, match="not signed as the policy asks"):
        verify(bundle)


def test_a_swapped_key_signs_nothing(tmp_path: Path) -> None:
    with pytest.raises(TrustError, match="not signed"):
        verify(signed(tmp_path, "thief", "other thief"))


def test_a_swapped_bundle_is_not_what_was_signed(tmp_path: Path) -> None:
    """The index of another bundle under these signatures."""
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    one = signed(tmp_path / "a", "release", "third")
    other = signed(tmp_path / "b", "release", change=lambda bundle: forge(bundle, _older))
    shutil.copy(other / "bundle.json", one / "bundle.json")
    with pytest.raises(TrustError):
        verify(one)


def test_another_bundle_s_signature_is_of_something_else(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    one = signed(tmp_path / "a", "release", "third")
    other = signed(tmp_path / "b", "release", "third", change=lambda bundle: forge(bundle, _older))
    for path in other.glob("bundle.json.*"):
        shutil.copy(path, one / path.name)
    with pytest.raises(TrustError):
        verify(one)


def _older(document: Any) -> Any:
    return msgspec.structs.replace(document, sequence=0)


def test_an_index_changed_over_intact_archives_is_refused_before_it_is_read(tmp_path: Path) -> None:
    bundle = signed(tmp_path, "release", "third")
    data = (bundle / "bundle.json").read_bytes()
    (bundle / "bundle.json").write_bytes(data.replace(b'"classic"', b'"modern!"'))
    with pytest.raises(TrustError):
        verify(bundle)


def test_an_archive_changed_under_an_intact_index_is_refused(tmp_path: Path) -> None:
    bundle = signed(tmp_path, "release", "third")
    flip(bundle / CORE, (bundle / CORE).stat().st_size // 2)
    with pytest.raises(SealiftError, match=r"blob|padding|member|header"):
        verify(bundle)


def test_archives_of_two_releases_do_not_mix(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    one = signed(tmp_path / "a", "release", "third")
    other = make_bundle(tmp_path / "b", big=200_001)
    shutil.copy(other / "images/rke2-runtime.linux-amd64.tar", one / "images/rke2-runtime.linux-amd64.tar")
    with pytest.raises(SealiftError):
        verify(one)


def test_an_expired_bundle_is_refused(tmp_path: Path) -> None:
    def expiring(bundle: Path) -> None:
        forge(bundle, lambda document: msgspec.structs.replace(document, expires=NOW))

    bundle = signed(tmp_path, "release", "third", change=expiring)
    assert verify(bundle, now=NOW - 1)
    with pytest.raises(TrustError, match="expired"):
        verify(bundle)
    assert verify(bundle, expiry="warn")


def test_required_attestations_are_counted_by_type_and_signer(tmp_path: Path) -> None:
    bundle = signed(tmp_path, "release", "third")
    wanted = [{"type": SLSA_PROVENANCE, "signers": ["release", "third"], "threshold": 2}]
    assert verify(bundle, attestations=wanted)
    for path in bundle.glob("provenance*.sigstore.json"):
        if policies.key("third").public.short in path.name:
            path.unlink()
    with pytest.raises(TrustError, match="no attestation of type"):
        verify(bundle, attestations=wanted)


def test_an_attestation_of_another_bundle_is_refused(tmp_path: Path) -> None:
    bundle = signed(tmp_path, "release", "third")
    elsewhere = Subject(name="bundle.json", digest=Digest.of(b"another"))
    payload = statement.encode(Statement(subjects=(elsewhere,), predicate_type=SLSA_PROVENANCE, predicate={}))
    (bundle / "provenance.sigstore.json").write_bytes(dsse.sign(policies.key("release"), payload))
    with pytest.raises(TrustError, match="something else"):
        verify(bundle)


def test_an_attestation_that_does_not_hold_is_refused_although_none_is_asked_for(tmp_path: Path) -> None:
    bundle = signed(tmp_path, "release", "third")
    path = bundle / "provenance.sigstore.json"
    document = json.loads(path.read_bytes())
    document["dsseEnvelope"]["payloadType"] = "application/vnd.in-toto+jsoN"
    path.write_text(json.dumps(document))
    with pytest.raises(TrustError):
        verify(bundle)


def test_an_attestation_of_a_stranger_proves_nothing_and_spoils_nothing(tmp_path: Path) -> None:
    bundle = signed(tmp_path, "release", "third", "stranger")
    assert verify(bundle)
    with pytest.raises(TrustError, match="no attestation of type"):
        verify(bundle, attestations=[{"type": "https://example.org/scan", "signers": ["release"]}])


def test_a_key_that_the_policy_revoked_does_not_count(tmp_path: Path) -> None:
    bundle = signed(tmp_path, "release", "third")
    keys = policies.pems("builder", "third", "root")
    policy = policies.policy(
        keys=keys,
        revoked=[str(policies.key("release").public.id)],
        bundles=[{"names": ["*"], "signers": ["builder", "third"], "threshold": 2}],
    )
    with pytest.raises(TrustError, match="signed with a revoked key"):
        verify_bundle(bundle, by_policy(policy, Path("policy.json")), now=NOW)


def test_a_bundle_is_refused_for_its_name_after_its_signatures_hold(tmp_path: Path) -> None:
    with pytest.raises(TrustError, match="no rule for this bundle"):
        verify(signed(tmp_path, "release", "third"), names=["other-*"])
