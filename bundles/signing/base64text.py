"""Base64 (RFC 4648 section 4) in its one canonical spelling. Pure.

Python's decoder alone drops stray characters and accepts any trailing bits: two texts would be one signature.
"""

import base64
import binascii

from bundles.errors import FormatError


def encode_base64(data: bytes) -> str:
    """Bytes -> standard alphabet, padded, one line."""
    return base64.b64encode(data).decode()


def decode_base64(text: str, *, where: object) -> bytes:
    """The bytes; raises FormatError for any spelling but the one that `encode_base64` gives."""
    try:
        data = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as exc:
        raise FormatError(f"not base64: {exc}", where=where) from exc
    if encode_base64(data) != text:
        raise FormatError("not canonical base64", where=where)
    return data
