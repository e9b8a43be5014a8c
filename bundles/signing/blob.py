"""The classic signature file: base64 of the signature, one line, for cosign 2 and `openssl dgst`. Pure."""

from typing import Final

from bundles.errors import FormatError, LimitError
from bundles.signing.base64text import decode_base64, encode_base64

MAX_SIG: Final = 1 << 10  # bytes; ECDSA P-256 needs 96


def write_sig(signature: bytes) -> bytes:
    """The file's bytes, with a newline, as cosign prints it."""
    return encode_base64(signature).encode() + b"\n"


def read_sig(data: bytes, *, where: object) -> bytes:
    """The signature; the newline at the end may be missing, as in the files that cosign writes itself."""
    if len(data) > MAX_SIG:
        raise LimitError("signature file too large", where=where, got=f"{len(data)} bytes", want=f"<= {MAX_SIG}")
    try:
        text = data.decode("ascii")
    except UnicodeDecodeError as exc:
        raise FormatError("not base64", where=where) from exc
    signature = decode_base64(text.removesuffix("\n"), where=where)
    if not signature:
        raise FormatError("an empty signature", where=where)
    return signature
