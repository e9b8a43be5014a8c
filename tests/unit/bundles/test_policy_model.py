"""A policy is read whole or not at all; everything wrong with it is said at once."""

from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from bundles.errors import FormatError, ProblemsError, SealiftError
from bundles.policy import model
from tests.support import policies


def refused(**changes: Any) -> str:
    with pytest.raises(SealiftError) as caught:
        policies.policy(**changes)
    return str(caught.value)


def test_a_policy_says_who_signs_what() -> None:
    policy = policies.policy()
    release = policies.key("release").public.id
    assert policy.bundles[0].quorum.met(frozenset({release}))
    assert policy.told(frozenset({release})) == "release"


def test_two_signatures_of_one_key_are_one() -> None:
    rules = [{"names": ["*"], "signers": ["release", "builder"], "threshold": 2}]
    quorum = policies.policy(bundles=rules).bundles[0].quorum
    release, builder = (policies.key(name).public.id for name in ("release", "builder"))
    assert not quorum.met(frozenset([release, release]))
    assert quorum.met(frozenset([release, builder]))


def test_a_key_under_two_names_is_refused() -> None:
    keys = policies.pems("release", "root") | {"again": policies.pems("release")["release"]}
    assert "the same key as release" in refused(keys=keys)


def test_a_key_that_is_revoked_and_trusted_is_refused() -> None:
    assert "a revoked key" in refused(revoked=[str(policies.key("release").public.id)])


@pytest.mark.parametrize("field", ["Keys", "threshhold", "expiry"])
def test_a_rule_that_a_reader_does_not_know_is_never_left_out(field: str) -> None:
    assert "policy.json" in refused(**{field: 1})


def test_an_unknown_field_deep_inside_is_refused() -> None:
    assert "max_age" in refused(bundles=[{"names": ["*"], "signers": ["release"], "max_age": 3}])


@pytest.mark.parametrize("version", ["2.0", "1.1", 1, None])
def test_another_format_is_refused_before_anything_else(version: object) -> None:
    assert "unknown policy format" in refused(format=version, keys="nonsense")


def test_duplicate_keys_are_refused() -> None:
    text = policies.encode(policies.document()).replace(b'"sequence": 1', b'"sequence": 1, "sequence": 9')
    with pytest.raises(FormatError, match="duplicate"):
        model.parse(text, where="policy.json")


def test_weak_and_wrong_keys_are_named() -> None:
    weak = rsa.generate_private_key(65537, 2048).public_key()
    curve = ec.generate_private_key(ec.SECP384R1()).public_key()
    pems = [k.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode() for k in (weak, curve)]
    text = refused(keys=policies.pems("release", "root") | {"weak": pems[0], "curve": pems[1]})
    assert "keys.weak" in text and "keys.curve" in text


def test_all_problems_are_shown_at_once() -> None:
    rules = [
        {"names": [], "signers": ["nobody"]},
        {"names": ["a b"], "signers": ["release"], "threshold": 2, "lowest_sequence": -1},
    ]
    with pytest.raises(ProblemsError) as caught:
        policies.policy(name="Not A Name", sequence=0, bundles=rules)
    places = {problem.where.partition(":")[2] for problem in caught.value.problems}
    assert places >= {
        "name",
        "sequence",
        "bundles[0].names",
        "bundles[0].signers",
        "bundles[1].names",
        "bundles[1].threshold",
        "bundles[1].lowest_sequence",
    }


@pytest.mark.parametrize("threshold", [0, -1, 3])
def test_a_quorum_that_cannot_or_need_not_be_met_is_refused(threshold: int) -> None:
    rules = [{"names": ["*"], "signers": ["release", "builder"], "threshold": threshold}]
    assert "threshold" in refused(bundles=rules)


def test_a_signer_named_twice_does_not_make_a_quorum_of_two() -> None:
    rules = [{"names": ["*"], "signers": ["release", "release"], "threshold": 2}]
    assert "2 of 1 signers" in refused(bundles=rules)


def test_a_policy_without_a_rule_is_refused() -> None:
    assert "refuses every bundle" in refused(bundles=[])
