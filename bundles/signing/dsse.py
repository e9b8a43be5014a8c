"""Dead Simple Signing Envelope, version 1: a signature over a type and a payload together. Pure.

The pre-authentication encoding (DSSE protocol.md, "Signature Definition") has lengths in it: no other pair of type and
payload has the same bytes, and a signature over bundle.json can never be taken for one over a statement.
"""

from typing import Final

from bundles.errors import TrustError
from bundles.signing import envelope
from bundles.signing.keys import PublicKey, Signer

IN_TOTO: Final = "application/vnd.in-toto+json"


def pae(payload_type: str, payload: bytes) -> bytes:
    """What is signed: `DSSEv1 LEN(type) type LEN(payload) payload`."""
    kind = payload_type.encode()
    return b"DSSEv1 %d %s %d %s" % (len(kind), kind, len(payload), payload)


def sign(signer: Signer, payload: bytes, *, payload_type: str = IN_TOTO) -> bytes:
    """The sigstore bundle of the signed payload."""
    signature = signer.sign(pae(payload_type, payload))
    return envelope.write_statement(signer.public, payload_type, payload, signature)


def verify(data: bytes, key: PublicKey, *, where: object, payload_type: str = IN_TOTO) -> bytes:
    """A sigstore bundle -> its payload, once the signature is known to be `key`'s.

    Raises TrustError for another key, another type or a signature that does not hold, FormatError for another form.
    """
    signed = envelope.read_statement(data, where=where)
    if signed.hint != key.hint:
        raise TrustError("signed with another key", where=where, got=signed.hint[:80], want=key.hint)
    key.verify(signed.signature, pae(signed.payload_type, signed.payload), where=where)
    if signed.payload_type != payload_type:
        raise TrustError("a statement of another type", where=where, got=signed.payload_type[:80], want=payload_type)
    return signed.payload
