"""Under which name a signer's files go, beside those of others that may stand there already. Pure."""

from collections.abc import Mapping

from bundles.digest import Digest
from bundles.errors import FormatError, SealiftError, TrustError
from bundles.signing import blob, envelope, names
from bundles.signing.keys import PublicKey


def choose_slot(message: bytes, present: Mapping[str, bytes], key: PublicKey, *, where: object) -> str | None:
    """What `names.index_signatures` takes: None for the first signer's names, else the key's 16 hex digits.

    `present`: the signature files over `message` that are there. A key keeps its place when it signs again. Raises
    SealiftError when somebody else's signature there is of other bytes: who trusts that key would refuse the bundle.
    """
    plain, classic = names.index_signatures(None)
    stale = [name for name in sorted(present) if _of_another(name, present[name], key, Digest.of(message), where)]
    if stale:
        hint = "the bundle was changed after it was signed: remove these files if that was meant"
        raise SealiftError("signatures of something else", where=where, got=", ".join(stale), hint=hint)
    if any(name in present for name in names.index_signatures(key.short)):
        return key.short
    if plain in present:
        return None if _hint(plain, present[plain], where) == key.hint else key.short
    if classic in present:
        return None if _holds(classic, present[classic], message, key, where) else key.short
    return None


def _of_another(name: str, data: bytes, key: PublicKey, digest: Digest, where: object) -> bool:
    if not names.is_envelope(name):
        return False
    signed = envelope.read_message(data, where=f"{where}: {name}")
    return signed.hint != key.hint and signed.claimed not in (None, digest)


def _hint(name: str, data: bytes, where: object) -> str:
    return envelope.read_message(data, where=f"{where}: {name}").hint


def _holds(name: str, data: bytes, message: bytes, key: PublicKey, where: object) -> bool:
    try:
        key.verify(blob.read_sig(data, where=f"{where}: {name}"), message, where=name)
    except (FormatError, TrustError):
        return False
    return True
