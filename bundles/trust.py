"""Whom a reader trusts: decided from the command line's flags, and before anything of a bundle is parsed.

Three answers exist: a public key, a policy (which keys, how many, for which names), or, said in so many words, none.
There is no default: a reader that trusts by default is a reader that everybody runs by default.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final, Literal

from bundles.digest import Digest
from bundles.errors import FormatError, TrustError, UsageError
from bundles.files import os_errors
from bundles.index import BundleIndex, folder_name
from bundles.policy.judge import NOTHING_AGAINST, Claims, Refusal, Verdict, admits_signers, expired, judge
from bundles.signing.pem import MAX_PEM
from bundles.signing.signed import Signature, claimants, holding

if TYPE_CHECKING:
    from bundles.policy.model import Policy
    from bundles.signing.keys import PublicKey
    from bundles.source import BundleSource

_FLAGS: Final = "--key PUB, --policy FILE or --insecure-no-signature"


@dataclass(frozen=True, kw_only=True, slots=True)
class Decision:
    """That a bundle may be read on, and why: the signatures that hold, of keys that are trusted; none for `insecure`.

    `index` is the digest of the bytes that were signed: what is read later has to have it.
    """

    index: Digest
    signatures: tuple[Signature, ...] = ()

    @property
    def signers(self) -> frozenset[Digest]:
        """The ids of the keys that signed: each counts once, however many files it has."""
        return frozenset(one.key for one in self.signatures)


@dataclass(frozen=True, kw_only=True, slots=True)
class Trust:
    """What makes a bundle acceptable: `path` is the public key's or the policy's file, None for `insecure`.

    `keys`: one of them has to have signed; of a `policy`, those that it knows, and it says how many.
    """

    kind: Literal["key", "policy", "insecure", "server"]
    path: Path | None = None
    keys: "tuple[PublicKey, ...]" = ()
    policy: "Policy | None" = None

    @property
    def insecure(self) -> bool:
        """True when no signature is asked for: somebody said so, or the cluster's own server gave the bundle."""
        return self.kind in ("insecure", "server")

    def check(self, index_bytes: bytes, signatures: Mapping[str, bytes], *, where: object) -> Decision:
        """Decides on the index's unparsed bytes and the signature files beside it (name -> bounded content).

        Raises TrustError unless a signature of a trusted key holds, as many as some rule of the policy wants, or none
        is asked for.
        """
        decision = Decision(index=Digest.of(index_bytes))
        if self.insecure:
            return decision
        if not signatures:
            hint = "get the signed bundle from its publisher, or accept it unsigned with --insecure-no-signature"
            want = "bundle.json.sigstore.json or bundle.json.sig"
            raise TrustError("the bundle is not signed", where=where, want=want, hint=hint)
        found = holding(index_bytes, signatures, self.keys, where=where)
        if self.policy is not None:
            decision = Decision(index=decision.index, signatures=found)
            said = claimants(signatures, where=where)
            if (refusal := admits_signers(self.policy, decision.signers, said)) is not None:
                raise refused([refusal], where=where)
            return decision
        if not found:
            want = " or ".join(f"key {key.id}" for key in self.keys)
            hint = "the bundle is of another publisher, or its key was changed: ask for the right public key"
            raise TrustError(
                "not signed with the trusted key", where=where, got=", ".join(sorted(signatures)), want=want, hint=hint
            )
        return Decision(index=decision.index, signatures=found)

    def examine(self, document: BundleIndex, decision: Decision, source: "BundleSource", *, now: int | None) -> Verdict:
        """Decides on what a signed index claims; `now` in epoch seconds, None: no clock is looked at.

        Raises TrustError for attestations that do not hold. The refusals of the verdict are the caller's to raise: a
        node has rules of its own, and an administrator who insists.
        """
        said = claims(document)
        if self.policy is not None:
            from bundles.policy.evidence import attested

            statements = attested(source, self.policy, decision.index)
            return judge(self.policy, said, decision.signers, statements, now=now)
        if now is None or said.expires is None or now < said.expires:
            return NOTHING_AGAINST
        return Verdict(refusals=(expired(said.expires, now),), warnings=())


def claims(document: BundleIndex) -> Claims:
    """What an index says of its bundle, as policies see it."""
    name = folder_name(
        name=document.name, version=document.version, flavour=document.flavour, platform=document.platform
    )
    return Claims(name=name, sequence=document.sequence, created=document.created, expires=document.expires)


def refused(refusals: Sequence[Refusal], *, where: object) -> TrustError:
    """All that stands against a bundle as one error: the first in full, the others in its words."""
    first, *others = refusals
    message = "; ".join([first.message, *(f"{one.message} ({one.got})" if one.got else one.message for one in others)])
    return TrustError(message, where=where, got=first.got, want=first.want, hint=first.hint)


def load_policy(path: Path) -> "Policy":
    """A policy's file -> Policy. Raises UsageError when there is none; FormatError, ProblemsError for what is none."""
    from bundles.policy.model import MAX_POLICY, parse

    if not path.exists():
        raise UsageError("no such policy", where=path)
    with os_errors(path), path.open("rb") as file:
        return parse(file.read(MAX_POLICY + 1), where=path)


def by_policy(policy: "Policy", path: Path) -> Trust:
    """Trust what `policy` trusts."""
    return Trust(kind="policy", path=path, keys=tuple(policy.keys.values()), policy=policy)


def require(*, key: Path | None = None, policy: Path | None = None, insecure: bool = False) -> Trust:
    """The three flags -> Trust.

    Raises TrustError (exit code 3) when none is given or the key is of a kind that is not taken, UsageError for more
    than one and for a key file that is not there.
    """
    given: list[Trust] = []
    if key is not None:
        given.append(Trust(kind="key", path=key))
    if policy is not None:
        given.append(Trust(kind="policy", path=policy))
    if insecure:
        given.append(Trust(kind="insecure"))
    if not given:
        raise TrustError("nothing says whom to trust", want=_FLAGS, hint="say how to decide about this bundle")
    if len(given) > 1:
        raise UsageError(
            "more than one trust flag", got=", ".join(trust.kind for trust in given), want=f"one of {_FLAGS}"
        )
    if policy is not None:
        return by_policy(load_policy(policy), policy)
    return Trust(kind="key", path=key, keys=(load_public_key(key),)) if key is not None else given[0]


def load_public_key(path: Path) -> "PublicKey":
    """A public key's file -> PublicKey. Raises UsageError when there is none, TrustError when it is not taken."""
    from bundles.signing.keys import read_public_key  # with the cryptography library: not for every command

    if not path.exists():
        raise UsageError("no such public key", where=path)
    with os_errors(path), path.open("rb") as file:
        data = file.read(MAX_PEM + 1)
    try:
        return read_public_key(data, where=path)
    except FormatError as exc:
        raise TrustError(exc.message, where=exc.where, got=exc.got, want=exc.want, hint=exc.hint) from exc
