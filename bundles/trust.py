"""Whom a reader trusts: decided from the command line's flags, and before anything of a bundle is parsed.

Three answers exist: a public key, a policy (which keys, how many, for which names), or, said in so many words, none.
There is no default: a reader that trusts by default is a reader that everybody runs by default.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final, Literal

from bundles.digest import Digest
from bundles.errors import FormatError, TrustError, UsageError
from bundles.files import os_errors
from bundles.signing.pem import MAX_PEM
from bundles.signing.signed import Signature, holding

if TYPE_CHECKING:
    from bundles.signing.keys import PublicKey

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

    `keys`: one of them has to have signed.
    """

    kind: Literal["key", "policy", "insecure"]
    path: Path | None = None
    keys: "tuple[PublicKey, ...]" = ()

    @property
    def insecure(self) -> bool:
        """True when no signature is asked for."""
        return self.kind == "insecure"

    def check(self, index_bytes: bytes, signatures: Mapping[str, bytes], *, where: object) -> Decision:
        """Decides on the index's unparsed bytes and the signature files beside it (name -> bounded content).

        Raises TrustError unless a signature of a trusted key holds or none is asked for. Policies are not known to
        this version, so a bundle is refused when asked for one: never a check that is quietly left out.
        """
        decision = Decision(index=Digest.of(index_bytes))
        if self.insecure:
            return decision
        if not signatures:
            hint = "get the signed bundle from its publisher, or accept it unsigned with --insecure-no-signature"
            want = "bundle.json.sigstore.json or bundle.json.sig"
            raise TrustError("the bundle is not signed", where=where, want=want, hint=hint)
        if self.kind == "policy":
            raise TrustError("this version cannot check policies yet", where=where, hint="use --key")
        found = holding(index_bytes, signatures, self.keys, where=where)
        if not found:
            want = " or ".join(f"key {key.id}" for key in self.keys)
            hint = "the bundle is of another publisher, or its key was changed: ask for the right public key"
            raise TrustError(
                "not signed with the trusted key", where=where, got=", ".join(sorted(signatures)), want=want, hint=hint
            )
        return Decision(index=decision.index, signatures=found)


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
