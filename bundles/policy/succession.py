"""Which policy may replace which: keys are rotated and revoked across the gap without trusting the carrier. Pure.

The rule is that of The Update Framework's root metadata (spec section 5.3): a successor is signed by the quorum that
the policy in force names, so that nobody else can install one, and by the quorum that it names itself, so that nobody
installs keys which nobody holds. Numbers only grow; a number that was used is never used for another document.
"""

from typing import TYPE_CHECKING

from bundles.digest import Digest
from bundles.policy.judge import Refusal, valid_signers

if TYPE_CHECKING:
    from bundles.policy.model import Policy  # loads the cryptography library


def may_follow(old: "Policy | None", new: "Policy", signed: frozenset[Digest], *, now: int) -> tuple[Refusal, ...]:
    """Why `new` must not be installed over `old` (None: nothing is installed yet); empty when it may.

    `signed`: ids of all keys whose signature over the new document holds. `now`: epoch seconds.
    """
    found = []
    if not new.update.met(valid_signers(new, signed)):
        found.append(_unsigned(new, signed, "its own update keys"))
    if new.expires is not None and now >= new.expires:
        found.append(Refusal(message="the policy has expired", got=f"at {new.expires}", want=f"> {now}"))
    if old is not None:
        found += _as_successor(old, new, signed)
    return tuple(found)


def _as_successor(old: "Policy", new: "Policy", signed: frozenset[Digest]) -> list[Refusal]:
    found = []
    if new.name != old.name:
        found.append(Refusal(message="a policy of another name", got=new.name, want=old.name))
    if new.sequence < old.sequence or (new.sequence == old.sequence and new.digest != old.digest):
        hint = "a changed policy needs a higher sequence"
        got, want = f"sequence {new.sequence}", f"> {old.sequence}"
        found.append(Refusal(message="not newer than the policy in force", got=got, want=want, hint=hint))
    # A key that the old policy knows and the new one revokes may still hand over: that is what rotation is.
    if not old.update.met(valid_signers(old, signed)):
        found.append(_unsigned(old, signed, "the update keys of the policy in force"))
    # What was revoked stays so: a successor that forgets it would bring a stolen key back.
    if forgotten := old.revoked - new.revoked:
        found.append(
            Refusal(
                message="a revoked key would come back",
                got=", ".join(sorted(map(str, forgotten))),
                want="it in revoked",
            )
        )
    return found


def _unsigned(policy: "Policy", signed: frozenset[Digest], whose: str) -> Refusal:
    quorum = policy.update
    return Refusal(
        message=f"not signed by {whose}",
        got=policy.told(quorum.signers & signed),
        want=f"{quorum.threshold} of {policy.told(quorum.signers)}",
    )
