"""PEM (RFC 7468), strictly: nothing but blocks, each of one spelling. Pure."""

import re
from dataclasses import dataclass
from typing import Final

from bundles.errors import FormatError, LimitError
from bundles.signing.base64text import decode_base64, encode_base64

MAX_PEM: Final = 64 << 10  # bytes; an RSA-8192 key, which we refuse by its kind, is below 8 KiB
_BLOCK = re.compile(r"-----BEGIN ([A-Z0-9 ]{1,40})-----\r?\n([A-Za-z0-9+/=\r\n]+)-----END \1-----(?:\r?\n|\Z)")
_LINE: Final = 64


@dataclass(frozen=True, slots=True)
class Block:
    """One block: its label ("PUBLIC KEY") and the decoded bytes."""

    label: str
    data: bytes


def read_blocks(data: bytes, *, where: object) -> tuple[Block, ...]:
    """All blocks of a file. Raises FormatError for anything between or around them, headers in them, or no block."""
    if len(data) > MAX_PEM:
        raise LimitError("key file too large", where=where, got=f"{len(data)} bytes", want=f"<= {MAX_PEM}")
    try:
        text = data.decode("ascii").strip()
    except UnicodeDecodeError as exc:
        raise FormatError("not a PEM file", where=where, got=f"byte {exc.start} is not ASCII") from exc
    blocks: list[Block] = []
    at = 0
    while at < len(text):
        found = _BLOCK.match(text, at)
        if found is None:
            hint = "convert the key with `openssl pkcs8 -topk8`" if "\nProc-Type:" in text else ""
            raise FormatError("not a PEM file", where=where, want="-----BEGIN ...----- blocks alone", hint=hint)
        body = "".join(found[2].split())
        blocks.append(Block(found[1], decode_base64(body, where=f"{where}: {found[1]}")))
        at = found.end()
    if not blocks:
        raise FormatError("an empty key file", where=where)
    return tuple(blocks)


def write_block(label: str, data: bytes) -> bytes:
    """One block as Go and OpenSSL write it: lines of 64 characters, a newline at the end."""
    body = encode_base64(data)
    lines = [body[at : at + _LINE] for at in range(0, len(body), _LINE)]
    return "\n".join([f"-----BEGIN {label}-----", *lines, f"-----END {label}-----", ""]).encode()
