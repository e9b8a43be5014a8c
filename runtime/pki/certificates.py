"""One certificate: made, read, and judged. P-256 keys, SHA-256, PEM as Go's tools write it (SEC 1 and PKCS #1).

RFC 5280 4.2 for the extensions. Nothing here touches files or the clock: `now` and randomness are passed in.
"""

import ipaddress
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final, TypeVar

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from bundles.errors import FormatError
from bundles.signing.keys import UNREADABLE
from runtime.pki.plan import Authority, Leaf

AUTHORITY_LIFE: Final = timedelta(days=3650)
LEAF_LIFE: Final = timedelta(days=365)
RENEW_BEFORE: Final = timedelta(days=120)  # k3s pkg/daemons/config, CertificateRenewDays
# Machines without a network drift: a certificate is valid for those whose clock is behind as well.
BACKDATED: Final = timedelta(hours=1)
_SERIAL_OCTETS: Final = 16  # RFC 5280 4.1.2.2: positive, at most 20 octets

Key = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey
T = TypeVar("T", bound=x509.ExtensionType)


@dataclass(frozen=True, kw_only=True, slots=True)
class Signer:
    """An authority's certificates, its own first, and the key of that one."""

    chain: tuple[x509.Certificate, ...]
    key: Key

    @property
    def certificate(self) -> x509.Certificate:
        """Its own certificate."""
        return self.chain[0]


def make_authority(authority: Authority, key: Key, *, now: datetime, serial: bytes) -> x509.Certificate:
    """A self-signed authority for `key`; `serial` is 16 random bytes."""
    name = _subject(f"{authority.prefix}@{int(now.timestamp())}")
    builder = (
        _builder(name, name, key.public_key(), serial)
        .not_valid_before(now - BACKDATED)
        .not_valid_after(now + AUTHORITY_LIFE)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .add_extension(_usage(authority=True), critical=True)
    )
    return builder.sign(key, hashes.SHA256())


def make_leaf(
    leaf: Leaf,
    public_key: ec.EllipticCurvePublicKey | rsa.RSAPublicKey,
    signer: Signer,
    *,
    now: datetime,
    serial: bytes,
) -> x509.Certificate:
    """A certificate of `leaf` for `public_key`; it never outlives its authority."""
    ends = min(now + LEAF_LIFE, signer.certificate.not_valid_after_utc)
    identifier = _extension(signer.certificate, x509.SubjectKeyIdentifier)
    if identifier is None:
        raise FormatError("an authority without a subject key identifier", where=leaf.authority.path)
    signed_by = x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(identifier)
    builder = (
        _builder(_subject(leaf.common_name, leaf.organization), signer.certificate.subject, public_key, serial)
        .not_valid_before(min(now, ends) - BACKDATED)
        .not_valid_after(ends)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_usage(authority=False), critical=True)
        .add_extension(x509.ExtendedKeyUsage(_usages(leaf)), critical=False)
        .add_extension(signed_by, critical=False)
    )
    if alternatives := [*map(x509.DNSName, leaf.names), *map(_address, leaf.addresses)]:
        builder = builder.add_extension(x509.SubjectAlternativeName(alternatives), critical=False)
    return builder.sign(signer.key, hashes.SHA256())


def reason_to_renew(
    certificate: x509.Certificate, leaf: Leaf, key: Key, issuer: x509.Certificate, now: datetime
) -> str:
    """Why a certificate must be made anew, in words; empty when it is as it must be.

    Names beyond the wanted ones are no reason, as in k3s: a name that is taken out of the configuration goes with the
    next renewal. One that ends with its authority cannot be made to last longer.
    """
    if certificate.public_key() != key.public_key():
        return "its key is another one"
    try:
        certificate.verify_directly_issued_by(issuer)
    except (ValueError, TypeError, InvalidSignature):
        return "its authority has changed"
    if certificate.subject != _subject(leaf.common_name, leaf.organization):
        return "its subject has changed"
    if missing := [name for name in (*leaf.names, *leaf.addresses) if name not in _names(certificate)]:
        return f"it lacks {', '.join(missing)}"
    usage = _extension(certificate, x509.ExtendedKeyUsage)
    if usage is None or set(usage) != set(_usages(leaf)):
        return "its usages have changed"
    if now < certificate.not_valid_before_utc:
        return f"it begins on {certificate.not_valid_before_utc:%Y-%m-%d}"
    ends = certificate.not_valid_after_utc
    return f"it ends on {ends:%Y-%m-%d}" if now >= ends - RENEW_BEFORE and ends < issuer.not_valid_after_utc else ""


def read_chain(data: bytes, where: object) -> tuple[x509.Certificate, ...]:
    """PEM -> its certificates, at least one. Raises FormatError."""
    try:
        chain = tuple(x509.load_pem_x509_certificates(data))
        for certificate in chain:  # the library parses these when they are asked for
            _ = (certificate.public_key(), certificate.subject, certificate.extensions, certificate.not_valid_after_utc)
    except (
        *UNREADABLE,
        x509.DuplicateExtension,
        x509.InvalidVersion,
        x509.UnsupportedGeneralNameType,
    ) as exc:
        raise FormatError(f"not a certificate in PEM: {exc}", where=where) from exc
    return chain


def read_key(data: bytes, where: object) -> Key:
    """PEM without a password -> the first key, EC or RSA. Raises FormatError."""
    try:
        key = serialization.load_pem_private_key(data, None)
    except UNREADABLE as exc:
        raise FormatError("not a private key in PEM", where=where) from exc
    if not isinstance(key, (ec.EllipticCurvePrivateKey, rsa.RSAPrivateKey)):
        raise FormatError("not an EC or RSA key", where=where)
    return key


def certificate_pem(*certificates: x509.Certificate) -> bytes:
    """Certificates, one after the other."""
    return b"".join(certificate.public_bytes(serialization.Encoding.PEM) for certificate in certificates)


def key_pem(key: Key) -> bytes:
    """`EC PRIVATE KEY` or `RSA PRIVATE KEY`, without a password."""
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.TraditionalOpenSSL, serialization.NoEncryption()
    )


def _builder(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePublicKey | rsa.RSAPublicKey, serial: bytes
) -> x509.CertificateBuilder:
    number = int.from_bytes(serial[:_SERIAL_OCTETS], "big") >> 1 | 1
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(number)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)
    )


def _subject(common_name: str, organization: str = "") -> x509.Name:
    names = [x509.NameAttribute(NameOID.ORGANIZATION_NAME, organization)] if organization else []
    return x509.Name([*names, x509.NameAttribute(NameOID.COMMON_NAME, common_name)])


def _usage(*, authority: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=True,
        content_commitment=False,
        key_encipherment=True,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=authority,
        crl_sign=False,
        encipher_only=False,
        decipher_only=False,
    )


def _usages(leaf: Leaf) -> list[x509.ObjectIdentifier]:
    server = [ExtendedKeyUsageOID.SERVER_AUTH] if leaf.server else []
    return server + ([ExtendedKeyUsageOID.CLIENT_AUTH] if leaf.client else [])


def _address(text: str) -> x509.IPAddress:
    return x509.IPAddress(ipaddress.ip_address(text))


def _names(certificate: x509.Certificate) -> set[str]:
    found = _extension(certificate, x509.SubjectAlternativeName)
    if found is None:
        return set()
    return {*found.get_values_for_type(x509.DNSName), *map(str, found.get_values_for_type(x509.IPAddress))}


def _extension(certificate: x509.Certificate, kind: type[T]) -> T | None:
    try:
        return certificate.extensions.get_extension_for_class(kind).value
    except x509.ExtensionNotFound:
        return None
