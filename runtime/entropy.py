"""Randomness, as a value that is passed in: keys, serial numbers, names and secrets of a node."""

import secrets
from typing import Protocol

from cryptography.hazmat.primitives.asymmetric import ec, rsa


class Entropy(Protocol):
    """Where keys and random bytes come from."""

    def octets(self, count: int) -> bytes:
        """`count` random bytes."""
        ...

    def signing_key(self) -> ec.EllipticCurvePrivateKey:
        """A fresh P-256 key, of an authority or a certificate."""
        ...

    def token_key(self) -> rsa.RSAPrivateKey:
        """A fresh RSA-2048 key, which signs service account tokens."""
        ...


class SystemEntropy:
    """The operating system's."""

    def octets(self, count: int) -> bytes:
        """See Entropy."""
        return secrets.token_bytes(count)

    def signing_key(self) -> ec.EllipticCurvePrivateKey:
        """See Entropy."""
        return ec.generate_private_key(ec.SECP256R1())

    def token_key(self) -> rsa.RSAPrivateKey:
        """See Entropy."""
        return rsa.generate_private_key(public_exponent=65537, key_size=2048)
