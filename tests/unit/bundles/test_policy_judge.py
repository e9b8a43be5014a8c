"""What a policy lets pass: every attack on a signed bundle that a rule can see, by name."""

from typing import Any

import pytest

from bundles.digest import Digest
from bundles.policy import judge
from bundles.policy.judge import Attested, Claims, Verdict
from tests.support import policies

NOW = 2_000


def ids(*names: str) -> frozenset[Digest]:
    return frozenset(policies.key(name).public.id for name in names)


def claims(**changes: Any) -> Claims:
    given: dict[str, Any] = {"name": "rke2-v1-classic-linux-amd64", "sequence": 3, "created": 1_000, "expires": None}
    return Claims(**(given | changes))


def verdict(
    signed: frozenset[Digest], said: Claims | None = None, attested: tuple[Attested, ...] = (), **changes: Any
) -> Verdict:
    policy = policies.policy(**changes)
    return judge.judge(policy, said or claims(), signed, attested, now=NOW)


def messages(found: Verdict) -> str:
    return "; ".join(refusal.message for refusal in found.refusals)


def rule(**changes: Any) -> dict[str, Any]:
    return {"names": ["rke2-*"], "signers": ["release"], **changes}


def test_a_bundle_signed_as_asked_passes() -> None:
    assert verdict(ids("release")) == Verdict(refusals=(), warnings=())


def test_a_bundle_signed_with_a_key_for_something_else_is_refused() -> None:
    """Key swap: the policy's own root key is known, and does not sign bundles."""
    assert "not signed" in messages(verdict(ids("root")))
    assert judge.admits_signers(policies.policy(), ids("root")) is not None


def test_a_bundle_signed_by_a_stranger_is_refused_before_it_is_parsed() -> None:
    policy = policies.policy()
    assert judge.valid_signers(policy, ids("stranger")) == frozenset()
    refusal = judge.admits_signers(policy, frozenset())
    assert refusal is not None and refusal.want == "1 of release"


def test_a_revoked_key_does_not_count() -> None:
    revoked = policies.policy(keys=policies.pems("builder", "root"), bundles=[rule(signers=["builder"])],
                              revoked=[str(policies.key("release").public.id)])  # fmt: skip
    assert judge.valid_signers(revoked, ids("release")) == frozenset()
    refusal = judge.admits_signers(revoked, frozenset(), ids("release"))
    assert refusal is not None and refusal.message == "signed with a revoked key"


def test_another_bundle_s_rule_does_not_count() -> None:
    """Another bundle's signature: builder may sign tools, not rke2."""
    rules = [rule(), {"names": ["tools-*"], "signers": ["builder"]}]
    assert judge.admits_signers(policies.policy(bundles=rules), ids("builder")) is None
    assert "not signed" in messages(verdict(ids("builder"), bundles=rules))


def test_a_bundle_without_a_rule_is_refused() -> None:
    assert "no rule" in messages(verdict(ids("release"), claims(name="hello-v1-classic-linux-amd64")))


def test_every_matching_rule_has_to_hold() -> None:
    rules = [rule(), {"names": ["*"], "signers": ["builder"]}]
    assert "not signed" in messages(verdict(ids("release"), bundles=rules))
    assert not verdict(ids("release", "builder"), bundles=rules).refusals


def test_two_of_three_means_two() -> None:
    rules = [rule(signers=["release", "builder", "root"], threshold=2)]
    assert verdict(ids("release"), bundles=rules).refusals
    assert not verdict(ids("release", "root"), bundles=rules).refusals


def test_an_older_bundle_than_the_policy_takes_is_refused_and_may_be_overruled() -> None:
    found = verdict(ids("release"), bundles=[rule(lowest_sequence=4)])
    assert [refusal.override for refusal in found.refusals] == [True]


@pytest.mark.parametrize(("expires", "passes"), [(NOW - 1, False), (NOW, False), (NOW + 1, True)])
def test_an_expired_bundle_is_refused(expires: int, passes: bool) -> None:
    assert (not verdict(ids("release"), claims(expires=expires)).refusals) is passes


def test_a_policy_may_only_warn_of_expiry() -> None:
    found = verdict(ids("release"), claims(expires=1), bundles=[rule(expiry="warn")])
    assert not found.refusals and "expired" in found.warnings[0]


def test_a_policy_may_ask_that_bundles_expire() -> None:
    assert verdict(ids("release"), bundles=[rule(expiry="require")]).refusals
    assert not verdict(ids("release"), claims(expires=NOW + 1), bundles=[rule(expiry="require")]).refusals


def test_an_expired_policy_warns_and_still_guards() -> None:
    found = verdict(frozenset(), expires=NOW)
    assert found.refusals and "expired" in found.warnings[0]


SLSA = "https://slsa.dev/provenance/v1"


@pytest.mark.parametrize(
    ("attested", "passes"),
    [
        ((), False),
        ((("https://spdx.dev/Document", "builder"),), False),
        (((SLSA, "release"),), False),
        (((SLSA, "builder"),), True),
        (((SLSA, "release"), (SLSA, "builder")), True),
    ],
)
def test_a_required_attestation_needs_its_type_and_its_signer(
    attested: tuple[tuple[str, str], ...], passes: bool
) -> None:
    rules = [rule(attestations=[{"type": SLSA, "signers": ["builder"]}])]
    statements = tuple(Attested(type=kind, signers=ids(name)) for kind, name in attested)
    assert (not verdict(ids("release"), attested=statements, bundles=rules).refusals) is passes


def test_signatures_never_may_be_overruled() -> None:
    found = verdict(ids("builder"), claims(name="other"), bundles=[rule(names=["*"], expiry="require")])
    assert found.refusals and not any(refusal.override for refusal in found.refusals)


@pytest.mark.parametrize(
    ("pattern", "name", "matches"),
    [
        ("rke2-*", "rke2-v1", True),
        ("rke2-*", "xrke2-v1", False),
        ("rke2-*-linux-amd64", "rke2-v1-linux-amd64", True),
        ("rke2-*-linux-amd64", "rke2-v1-linux-amd64-extra", False),
        ("rke2.v1", "rke2xv1", False),
        ("*", "anything", True),
        ("rke2-*", "rke2-v1\n", True),
        ("*a" * 90 + "b", "a" * 400, False),
    ],
)
def test_a_pattern_is_the_whole_name(pattern: str, name: str, matches: bool) -> None:
    assert judge.matches((pattern,), name.strip()) is matches
