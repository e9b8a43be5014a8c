"""Whether a policy lets a bundle pass: facts in, a verdict out. Pure.

In two steps, as bundle-format 6 orders them: `admits_signers` looks at nothing but who signed, before a byte of the
index is parsed; `judge` then sees what the index claims.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Final

from bundles.digest import Digest

if TYPE_CHECKING:
    from bundles.policy.model import BundleRule, Policy  # loads the cryptography library


@dataclass(frozen=True, kw_only=True, slots=True)
class Claims:
    """What a signed index says of its bundle: `name` is the folder's; times in epoch seconds."""

    name: str
    sequence: int
    created: int
    expires: int | None


@dataclass(frozen=True, kw_only=True, slots=True)
class Attested:
    """A statement about this bundle whose signatures hold: its predicate type, and the ids of the keys that signed."""

    type: str
    signers: frozenset[Digest]


@dataclass(frozen=True, kw_only=True, slots=True)
class Refusal:
    """A rule that does not hold. `override`: the administrator may overrule it, in so many words and on record."""

    message: str
    got: str = ""
    want: str = ""
    hint: str = ""
    override: bool = False


@dataclass(frozen=True, kw_only=True, slots=True)
class Verdict:
    """What a policy says of a bundle: it passes when there is no refusal. `warnings` are to be told."""

    refusals: tuple[Refusal, ...]
    warnings: tuple[str, ...]


EXPIRED: Final = "the bundle has expired"
NOTHING_AGAINST: Final = Verdict(refusals=(), warnings=())


def valid_signers(policy: "Policy", signed: Iterable[Digest]) -> frozenset[Digest]:
    """Keys that signed -> those that count: known to the policy and not revoked."""
    return frozenset(signed) & policy.keys.keys() - policy.revoked


def admits_signers(
    policy: "Policy", signed: frozenset[Digest], said: frozenset[Digest] = frozenset()
) -> Refusal | None:
    """None when some rule could be met by these keys; else why nothing behind the signature is looked at.

    `said`: keys that signatures say they are of, whether or not they hold; a revoked one among them is told.
    """
    if any(rule.quorum.met(signed) for rule in policy.bundles):
        return None
    fewest = min((rule.quorum.threshold for rule in policy.bundles), default=1)
    if revoked := policy.revoked & said:
        got = ", ".join(map(str, sorted(revoked, key=str)))
        return Refusal(message="signed with a revoked key", got=got, hint="get it signed anew by its publisher")
    return Refusal(
        message="not signed as the policy asks",
        got=policy.told(valid_signers(policy, signed)),
        want=f"{fewest} of {policy.told(frozenset().union(*(rule.quorum.signers for rule in policy.bundles)))}",
        hint="get the signed bundle from its publisher; keys are rotated with `sealift-node policy update`",
    )


def judge(
    policy: "Policy", claims: Claims, signed: frozenset[Digest], attested: Iterable[Attested], *, now: int | None
) -> Verdict:
    """Every rule whose names match has to hold; a bundle that no rule matches is refused. `now` in epoch seconds;
    None: no clock is looked at.
    """
    rules = [rule for rule in policy.bundles if matches(rule.names, claims.name)]
    statements = tuple(attested)
    refusals: list[Refusal] = []
    warnings: list[str] = []
    if policy.expires is not None and now is not None and now >= policy.expires:
        warnings.append(f"the policy {policy.name} {policy.sequence} has expired: get a newer one")
    if not rules:
        refusals.append(Refusal(message="the policy has no rule for this bundle", got=claims.name))
    for rule in rules:
        refusals += _refusals(policy, rule, claims, signed, statements)
        if claims.expires is not None and now is not None and now >= claims.expires:
            if rule.expiry == "warn":
                warnings.append(f"the bundle has expired at {claims.expires}")
            else:
                refusals.append(expired(claims.expires, now))
    return Verdict(refusals=tuple(dict.fromkeys(refusals)), warnings=tuple(dict.fromkeys(warnings)))


def matches(patterns: Iterable[str], name: str) -> bool:
    """Whether one of the patterns is the whole name; `*` is any run of characters, nothing else is special.

    A policy's patterns have no other wildcard in them (`model`); fnmatch never looks at a star twice, however many.
    """
    return any(fnmatchcase(name, pattern) for pattern in patterns)


def _refusals(
    policy: "Policy", rule: "BundleRule", claims: Claims, signed: frozenset[Digest], attested: tuple[Attested, ...]
) -> list[Refusal]:
    found = []
    if not rule.quorum.met(signed):
        got = policy.told(rule.quorum.signers & signed)
        want = f"{rule.quorum.threshold} of {policy.told(rule.quorum.signers)}"
        found.append(Refusal(message="not signed as the policy asks for this bundle", got=got, want=want))
    if claims.sequence < rule.lowest_sequence:
        found.append(
            Refusal(
                message="an older bundle than the policy takes",
                got=f"sequence {claims.sequence}",
                want=f">= {rule.lowest_sequence}",
                override=True,
            )
        )
    if rule.expiry == "require" and claims.expires is None:
        found.append(Refusal(message="the policy asks for bundles that expire, and this one does not"))
    for wanted in rule.attestations:
        signers = [statement.signers for statement in attested if statement.type == wanted.type]
        if not any(wanted.quorum.met(keys) for keys in signers):
            got = "none" if not signers else policy.told(frozenset().union(*signers))
            want = f"{wanted.quorum.threshold} of {policy.told(wanted.quorum.signers)}"
            found.append(Refusal(message=f"no attestation of type {wanted.type} as asked", got=got, want=want))
    return found


def expired(expires: int, now: int) -> Refusal:
    """A bundle that has expired."""
    hint = "get a newer release, or set the clock if it is wrong"
    return Refusal(message=EXPIRED, got=f"at {expires}", want=f"> {now}", hint=hint, override=True)
