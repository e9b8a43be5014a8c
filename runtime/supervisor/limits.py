"""How many connections and requests there may be at once, in all and of one address. Pure counting.

The other side is a network that nobody vouches for: whatever it does, real nodes get their turn. Nobody's share is the
whole: an address never holds more than a part of the connections, and answers that cost work queue up apart.
"""

from collections import Counter
from dataclasses import dataclass, field


@dataclass(frozen=True, kw_only=True, slots=True)
class Limits:
    """Bounds: connections, seconds, bytes.

    Args:
        connections: open at once, in all.
        per_address: of one address; servers and agents behind one address share it.
        handshake: seconds until TLS stands.
        header: seconds from the connection to the end of the request's header.
        body: seconds for the body.
        answer: seconds for the answer to be taken.
        header_bytes: of a line or field of the header.
        body_bytes: of the body.
        in_flight: requests worked on at once.
        streams: files on their way at once: the registry's answers, which take as long as they take.
        streams_per_address: of one address.
        stall: seconds in which whoever takes a file has to take its next piece (256 KiB).
        hashing: passwords hashed at once: each takes 0.1 s and 32 MB.
    """

    connections: int = 512
    per_address: int = 64
    handshake: float = 5.0
    header: float = 10.0
    body: float = 10.0
    answer: float = 30.0
    header_bytes: int = 16 << 10
    body_bytes: int = 1 << 20
    in_flight: int = 32
    streams: int = 24
    streams_per_address: int = 8
    stall: float = 20.0
    hashing: int = 1


@dataclass(slots=True)
class Doorman:
    """Counts connections; refuses those beyond the limits."""

    limits: Limits
    total: int = 0
    by_address: Counter[str] = field(default_factory=Counter)

    def enter(self, address: str) -> bool:
        """Whether one more of this address may come in; if so, it is counted."""
        if self.total >= self.limits.connections or self.by_address[address] >= self.limits.per_address:
            if not self.by_address[address]:
                del self.by_address[address]
            return False
        self.total += 1
        self.by_address[address] += 1
        return True

    def leave(self, address: str) -> None:
        """One of this address has gone."""
        self.total -= 1
        self.by_address[address] -= 1
        if not self.by_address[address]:
            del self.by_address[address]
