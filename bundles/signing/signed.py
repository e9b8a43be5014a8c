"""Which of the keys that we know have signed some bytes: all signature files beside them -> those that hold. Pure.

A signature of an unknown key proves nothing and spoils nothing: bundles are countersigned by keys that a site does not
know. But a file that says it is of a known key must hold, in all its fields, or the whole is refused: whoever damages
one signature of two is not let through on the other.
"""

import contextlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from bundles.digest import Digest
from bundles.errors import FormatError, LimitError, TrustError
from bundles.signing import blob, envelope, names
from bundles.signing.base64text import decode_base64

if TYPE_CHECKING:
    from bundles.signing.keys import Algorithm, PublicKey  # loads the cryptography library


@dataclass(frozen=True, kw_only=True, slots=True)
class Signature:
    """A signature that holds: whose (`key` is the key's id), in which file.

    `high_s`: the larger of ECDSA's two valid forms, which most libraries write half of the time, and ours never.
    """

    key: Digest
    algorithm: "Algorithm"
    file: str
    high_s: bool = False


def holding(
    message: bytes, files: Mapping[str, bytes], keys: Iterable["PublicKey"], *, where: object
) -> tuple[Signature, ...]:
    """The signatures over `message` in `files` (name -> content) that are of `keys`, in the order of the names.

    Raises TrustError for a file that is no signature, that names one of the keys and does not hold, or whose name and
    content disagree.
    """
    if len(files) > names.MAX_SIGNATURES:
        raise TrustError("too many signatures", where=where, got=len(files), want=f"<= {names.MAX_SIGNATURES}")
    known = {key.hint: key for key in keys}
    check = _Check(message, Digest.of(message), known, {key.short: key for key in known.values()}, where)
    try:
        signed = {
            name: envelope.read_message(data, where=f"{where}: {name}")
            for name, data in files.items()
            if names.is_envelope(name)
        }
        found = [check.envelope(name, signed[name]) for name in sorted(signed)]
        for name in sorted(files.keys() - signed.keys()):
            beside = signed.get(name.removesuffix("sig") + "sigstore.json")
            data = blob.read_sig(files[name], where=f"{where}: {name}")
            found.append(check.classic(name, data, beside.hint if beside else None))
    except (FormatError, LimitError) as exc:
        raise TrustError(exc.message, where=exc.where, got=exc.got, want=exc.want, hint=exc.hint) from exc
    return tuple(one for one in found if one is not None)


def claimants(files: Mapping[str, bytes], *, where: object) -> frozenset[Digest]:
    """The ids of the keys that signature files say they are of: nothing is proved by it, but it tells why."""
    found = set()
    for name, data in files.items():
        if names.is_envelope(name):
            with contextlib.suppress(FormatError, LimitError, TrustError):
                found.add(Digest(decode_base64(envelope.read_message(data, where=where).hint, where=where).hex()))
    return frozenset(found)


@dataclass(frozen=True, slots=True)
class _Check:
    message: bytes
    digest: Digest
    by_hint: Mapping[str, "PublicKey"]
    by_short: Mapping[str, "PublicKey"]
    where: object

    def envelope(self, name: str, signed: envelope.SignedMessage) -> Signature | None:
        short = names.signer_of(name)
        if short is not None and decode_base64(signed.hint, where=f"{self.where}: {name}").hex()[: len(short)] != short:
            raise FormatError(
                "a signature under another key's name", where=f"{self.where}: {name}", got=signed.hint[:80]
            )
        key = self.by_hint.get(signed.hint)
        if key is None:
            return None
        if signed.claimed not in (None, self.digest):
            raise FormatError(
                "a signature of something else", where=f"{self.where}: {name}", got=signed.claimed, want=self.digest
            )
        return self._verified(name, key, signed.signature)

    def classic(self, name: str, signature: bytes, hint: str | None) -> Signature | None:
        """`hint`: whose the sigstore bundle of the same signer says it is; a `.sig` alone names nobody."""
        short = names.signer_of(name)
        if hint is not None or short is not None:
            key = self.by_hint.get(hint) if hint is not None else self.by_short.get(short or "")
            return self._verified(name, key, signature) if key is not None else None
        for key in self.by_hint.values():
            try:
                return self._verified(name, key, signature)
            except TrustError:
                continue
        return None

    def _verified(self, name: str, key: "PublicKey", signature: bytes) -> Signature:
        high_s = key.verify(signature, self.message, where=f"{self.where}: {name}")
        return Signature(key=key.id, algorithm=key.algorithm, file=name, high_s=high_s)
