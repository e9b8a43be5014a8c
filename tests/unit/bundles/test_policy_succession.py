"""Keys are rotated and revoked across the gap; nobody else installs a policy, and none comes back."""

from typing import Any

import pytest

from bundles.digest import Digest
from bundles.policy import succession
from bundles.policy.model import Policy
from tests.support import policies

NOW = 2_000


def ids(*names: str) -> frozenset[Digest]:
    return frozenset(policies.key(name).public.id for name in names)


def words(old: Policy | None, new: Policy, *signers: str) -> str:
    return "; ".join(refusal.message for refusal in succession.may_follow(old, new, ids(*signers), now=NOW))


def newer(**changes: Any) -> Policy:
    return policies.policy(**({"sequence": 2} | changes))


def test_a_newer_policy_signed_by_its_root_follows() -> None:
    assert words(policies.policy(), newer(), "root") == ""


def test_the_first_policy_needs_its_own_signature() -> None:
    assert words(None, policies.policy(), "root") == ""
    assert "its own update keys" in words(None, policies.policy())


def test_a_root_key_is_rotated_with_old_and_new_key() -> None:
    rotated = newer(keys=policies.pems("release", "root2"), update={"signers": ["root2"]})
    assert words(policies.policy(), rotated, "root", "root2") == ""
    assert "the policy in force" in words(policies.policy(), rotated, "root2")
    assert "its own update keys" in words(policies.policy(), rotated, "root")


def test_a_stolen_root_key_is_revoked_by_the_others() -> None:
    three = {"signers": ["root", "root2", "root3"], "threshold": 2}
    old = policies.policy(keys=policies.pems("release", "root", "root2", "root3"), update=three)
    new = newer(
        keys=policies.pems("release", "root2", "root3"),
        update={"signers": ["root2", "root3"], "threshold": 2},
        revoked=[str(policies.key("root").public.id)],
    )
    assert words(old, new, "root2", "root3") == ""
    assert "the policy in force" in words(old, new, "root2")


def test_a_policy_downgrade_is_refused() -> None:
    assert "not newer" in words(newer(), policies.policy(), "root")


def test_another_policy_of_the_same_number_is_refused() -> None:
    other = policies.policy(bundles=[{"names": ["*"], "signers": ["release"]}])
    assert "not newer" in words(policies.policy(), other, "root")


def test_the_policy_in_force_again_changes_nothing() -> None:
    assert words(policies.policy(), policies.policy(), "root") == ""


def test_a_policy_of_another_site_is_refused() -> None:
    assert "another name" in words(policies.policy(), newer(name="elsewhere"), "root")


def test_a_revoked_key_never_comes_back() -> None:
    old = policies.policy(revoked=[str(policies.key("lost").public.id)])
    assert "come back" in words(old, newer(), "root")


def test_an_expired_policy_is_not_installed() -> None:
    assert "expired" in words(None, policies.policy(expires=NOW), "root")


@pytest.mark.parametrize("signers", [(), ("release",), ("stranger",)])
def test_nobody_else_replaces_a_policy(signers: tuple[str, ...]) -> None:
    assert "the policy in force" in words(policies.policy(), newer(), *signers)
