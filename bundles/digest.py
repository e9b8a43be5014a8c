"""Digests: parsed once, never a bare string inside.

Only sha256 exists in this format (OCI image spec, descriptor.md, "Registered algorithms"): one algorithm means no
downgrade and no question which of two a reader believed.
"""

import functools
import hashlib
import re

from bundles.errors import FormatError

_DIGEST = re.compile(r"sha256:([0-9a-f]{64})")


@functools.total_ordering
class Digest:
    """A sha256 digest. `str()` gives `sha256:<64 lower-case hex>`, `.hex` the hex alone."""

    __slots__ = ("hex",)
    hex: str

    def __init__(self, hex_: str) -> None:
        """Takes 64 lower-case hex digits; raises FormatError for anything else."""
        if not _DIGEST.fullmatch(f"sha256:{hex_}"):
            raise FormatError("not a sha256 in lower-case hex", got=repr(hex_[:80]), want="64 hex digits")
        object.__setattr__(self, "hex", hex_)

    def __setattr__(self, name: str, value: object) -> None:
        """Digests are values."""
        raise AttributeError(f"Digest is immutable, cannot set {name}")

    @classmethod
    def parse(cls, text: str) -> "Digest":
        """`sha256:<hex>` -> Digest; raises FormatError for other algorithms, upper case, wrong length."""
        if not (match := _DIGEST.fullmatch(text)):
            raise FormatError("not a digest", got=repr(text[:80]), want="sha256:<64 lower-case hex digits>")
        return cls(match[1])

    @classmethod
    def of(cls, data: bytes | bytearray | memoryview) -> "Digest":
        """The digest of bytes in memory."""
        return cls(hashlib.sha256(data).hexdigest())

    def __str__(self) -> str:
        """`sha256:<hex>`."""
        return f"sha256:{self.hex}"

    def __repr__(self) -> str:
        """For debugging."""
        return f"Digest({self.hex!r})"

    def __eq__(self, other: object) -> bool:
        """Equal hex."""
        return isinstance(other, Digest) and self.hex == other.hex

    def __lt__(self, other: "Digest") -> bool:
        """Order of the hex digits."""
        return self.hex < other.hex

    def __hash__(self) -> int:
        """By value."""
        return hash(self.hex)
