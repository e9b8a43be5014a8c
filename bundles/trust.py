"""Whom a reader trusts: decided from the command line's flags, and before anything of a bundle is parsed.

Three answers exist: a public key, a policy (which keys, how many, for which names), or, said in so many words, none.
There is no default: a reader that trusts by default is a reader that everybody runs by default.
"""

from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from bundles.errors import TrustError, UsageError
from bundles.index import SIGNATURE_NAMES

_FLAGS = "--key PUB, --policy FILE or --insecure-no-signature"
# What signs the index; a signed provenance says how it was built, not that it may be admitted.
_INDEX_SIGNATURES = tuple(name for name in SIGNATURE_NAMES if name.startswith("bundle.json."))


@dataclass(frozen=True, kw_only=True, slots=True)
class Trust:
    """What makes a bundle acceptable: `path` is the public key's or the policy's file, None for `insecure`."""

    kind: Literal["key", "policy", "insecure"]
    path: Path | None = None

    @property
    def insecure(self) -> bool:
        """True when no signature is asked for."""
        return self.kind == "insecure"

    def check(self, index_bytes: bytes, names: Collection[str], *, where: object) -> None:
        """Decides on the index's unparsed bytes and the names of the files beside it.

        Raises TrustError unless the signature holds or none is asked for. This version knows no signature format yet
        and so refuses every bundle when asked for one: never a check that is quietly left out.
        """
        if self.insecure:
            return
        signatures = [name for name in _INDEX_SIGNATURES if name in names]
        if not signatures:
            hint = "get the signed bundle from its publisher, or accept it unsigned with --insecure-no-signature"
            raise TrustError("the bundle is not signed", where=where, want=" or ".join(_INDEX_SIGNATURES), hint=hint)
        hint = "a later version of sealift checks it; cosign can check it today"
        raise TrustError("this version cannot check signatures yet", where=where, got=", ".join(signatures), hint=hint)


def require(*, key: Path | None = None, policy: Path | None = None, insecure: bool = False) -> Trust:
    """The three flags -> Trust.

    Raises TrustError (exit code 3) when none is given, UsageError for more than one.
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
    return given[0]
