"""Hashes of node passwords, as k3s pkg/authenticator/hash writes them: `$1:SALT:15:8:1:HASH`. Pure but for the work.

scrypt with 2^15 rounds takes about 0.1 s and 32 MB, on purpose; parameters of stored hashes are bounded, because
whoever may write the Secret could otherwise name gigabytes.
"""

import base64
import hashlib
import hmac
import re
from typing import Final

from bundles.errors import FormatError

_ROUNDS: Final = 15
_BLOCK: Final = 8
_LANES: Final = 1
_LENGTH: Final = 64  # bytes
SALT_OCTETS: Final = 8
_MEMORY: Final = 64 << 20  # bytes
_FORM: Final = re.compile(r"\$1:([0-9a-f]{2,128}):(\d{1,2}):(\d{1,2}):(\d{1,2}):([A-Za-z0-9+/]{16,172})")


def make(password: str, salt: bytes) -> str:
    """A password and 8 random bytes -> its hash."""
    found = _scrypt(password, salt, _ROUNDS, _BLOCK, _LANES, _LENGTH)
    text = base64.b64encode(found).decode().rstrip("=")
    return f"$1:{salt.hex()}:{_ROUNDS}:{_BLOCK}:{_LANES}:{text}"


def matches(stored: str, password: str) -> bool:
    """Whether the password is the one that was hashed. Raises FormatError for a hash that is none."""
    found = _FORM.fullmatch(stored)
    if found is None:
        raise FormatError("not a password's hash", want="$1:SALT:15:8:1:HASH")
    salt, rounds, block, lanes, text = found.groups()
    if int(rounds) > _ROUNDS or not 1 <= int(block) <= _BLOCK or not 1 <= int(lanes) <= _LANES or int(rounds) < 1:
        raise FormatError("a hash with other costs", got=f"{rounds}:{block}:{lanes}", want=f"at most {_ROUNDS}:8:1")
    want = base64.b64decode(text + "=" * (-len(text) % 4))
    got = _scrypt(password, bytes.fromhex(salt), int(rounds), int(block), int(lanes), len(want))
    return hmac.compare_digest(got, want)


def _scrypt(password: str, salt: bytes, rounds: int, block: int, lanes: int, length: int) -> bytes:
    return hashlib.scrypt(password.encode(), salt=salt, n=1 << rounds, r=block, p=lanes, maxmem=_MEMORY, dklen=length)
