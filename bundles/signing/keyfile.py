"""Private key files: cosign's own encrypted form, and plain PEM keys as OpenSSL writes them.

cosign's form: PEM over JSON, scrypt (RFC 7914) over the passphrase, NaCl's secretbox over the key in PKCS#8. The label
is `ENCRYPTED SIGSTORE PRIVATE KEY`; cosign before 2.0 wrote `ENCRYPTED COSIGN PRIVATE KEY`.
"""

import hashlib
from collections.abc import Callable
from typing import Final

import msgspec
from cryptography.hazmat.primitives import serialization

from bundles import jsontext
from bundles.errors import FormatError
from bundles.signing import secretbox
from bundles.signing.base64text import decode_base64, encode_base64
from bundles.signing.keys import KNOWN, UNREADABLE, PrivateKey, private_key
from bundles.signing.pem import Block, read_blocks, write_block

LABEL: Final = "ENCRYPTED SIGSTORE PRIVATE KEY"
_LABELS: Final = (LABEL, "ENCRYPTED COSIGN PRIVATE KEY")
_PLAIN: Final = ("PRIVATE KEY", "EC PRIVATE KEY")
_PKCS8_ENCRYPTED: Final = "ENCRYPTED PRIVATE KEY"
SALT: Final = 32  # bytes, as cosign
# What cosign's library writes and has written. A file's own N would decide how much memory its reader takes.
_COSTS: Final = (1 << 15, 1 << 16, 1 << 17)
_COST: Final = 1 << 16  # 64 MiB
_R: Final = 8
_P: Final = 1

Random = Callable[[int], bytes]
Passphrase = Callable[[], bytes]


class _Scrypt(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    N: int
    r: int
    p: int


class _Kdf(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    name: str
    params: _Scrypt
    salt: str


class _Cipher(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    name: str
    nonce: str


class _Encrypted(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    kdf: _Kdf
    cipher: _Cipher
    ciphertext: str


def write_private_key(key: PrivateKey, passphrase: bytes, *, random: Random) -> bytes:
    """The key file that cosign reads; `random` gives so many bytes. An empty passphrase is cosign's "no password"."""
    salt, nonce = random(SALT), random(secretbox.NONCE)
    box = secretbox.seal(key.pkcs8(), _derive(passphrase, salt, _COST), nonce)
    document = _Encrypted(
        kdf=_Kdf(name="scrypt", params=_Scrypt(N=_COST, r=_R, p=_P), salt=encode_base64(salt)),
        cipher=_Cipher(name="nacl/secretbox", nonce=encode_base64(nonce)),
        ciphertext=encode_base64(box),
    )
    return write_block(LABEL, jsontext.encode_canonical(document).rstrip(b"\n"))


def read_private_key(data: bytes, passphrase: Passphrase, *, where: object) -> PrivateKey:
    """A key file -> PrivateKey; `passphrase` is asked for only when the file is encrypted.

    Raises FormatError for a wrong passphrase; FormatError for another kind of file, key or curve.
    """
    # `openssl ecparam -genkey` puts the curve's name before the key; the key says it as well.
    blocks = [block for block in read_blocks(data, where=where) if block.label != "EC PARAMETERS"]
    labels = [block.label for block in blocks]
    if len(blocks) != 1 or labels[0] not in (*_LABELS, *_PLAIN, _PKCS8_ENCRYPTED):
        hint = "this is the public half: give the .key file" if "PUBLIC KEY" in labels else ""
        want = f"{LABEL}, PRIVATE KEY or EC PRIVATE KEY"
        raise FormatError("not one private key that is taken", where=where, got=", ".join(labels), want=want, hint=hint)
    block = blocks[0]
    if block.label in _LABELS:
        return _load(Block("PRIVATE KEY", _decrypt(block.data, passphrase, where)), None, where)
    return _load(block, passphrase() if block.label == _PKCS8_ENCRYPTED else None, where)


def _load(block: Block, password: bytes | None, where: object) -> PrivateKey:
    try:
        key = serialization.load_der_private_key(block.data, password)
    except UNREADABLE as exc:
        if password is not None:
            raise FormatError("wrong passphrase, or a damaged key file", where=where) from exc
        raise FormatError("not a private key that can be read", where=where, want=KNOWN) from exc
    return private_key(key, where=where)


def _decrypt(data: bytes, passphrase: Passphrase, where: object) -> bytes:
    document = jsontext.decode(data, _Encrypted, where=where)
    params = document.kdf.params
    if (document.kdf.name, document.cipher.name) != ("scrypt", "nacl/secretbox"):
        got = f"{document.kdf.name}, {document.cipher.name}"[:200]
        raise FormatError("a key file of an unknown cipher", where=where, got=got, want="scrypt, nacl/secretbox")
    if params.N not in _COSTS or (params.r, params.p) != (_R, _P):
        got = f"N={params.N} r={params.r} p={params.p}"
        raise FormatError("a key file with unusual costs", where=where, got=got, want=f"N in {_COSTS}, r={_R}, p={_P}")
    salt = decode_base64(document.kdf.salt, where=where)
    nonce = decode_base64(document.cipher.nonce, where=where)
    if len(salt) != SALT or len(nonce) != secretbox.NONCE:
        raise FormatError("a damaged key file", where=where, got=f"salt {len(salt)}, nonce {len(nonce)} bytes")
    box = decode_base64(document.ciphertext, where=where)
    try:
        return secretbox.unseal(box, _derive(passphrase(), salt, params.N), nonce)
    except FormatError as exc:
        raise FormatError(exc.message, where=where) from exc


def _derive(passphrase: bytes, salt: bytes, cost: int) -> bytes:
    memory = 128 * _R * (cost + _P + 2)
    return hashlib.scrypt(passphrase, salt=salt, n=cost, r=_R, p=_P, maxmem=memory, dklen=secretbox.KEY)
