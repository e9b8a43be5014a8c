"""Tokens that end: `ID.SECRET`, kept as Secrets of the cluster, for machines that join as agents. Pure.

Kubernetes' bootstrap tokens (docs "Authenticating with Bootstrap Tokens"), in the group that k3s gives its own
(pkg/cli/token). kube-controller-manager's token cleaner deletes those that have ended.
"""

import base64
import binascii
import hashlib
import hmac
import re
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import Enum
from typing import Any, Final

from bundles.errors import FormatError

GROUP: Final = "system:bootstrappers:rke2:default-node-token"
TYPE: Final = "bootstrap.kubernetes.io/token"
NAMESPACE: Final = "kube-system"
_PREFIX: Final = "bootstrap-token-"
_FORM: Final = re.compile(r"([a-z0-9]{6})\.([a-z0-9]{16})")
_ALPHABET: Final = "abcdefghijklmnopqrstuvwxyz0123456789"
_ID, _SECRET = 6, 16  # characters
OCTETS: Final = 2 * (_ID + _SECRET)  # of randomness for one token


@dataclass(frozen=True, kw_only=True, slots=True)
class BootstrapToken:
    """A token: `expires` in UTC, None: never; the secret is kept out of `repr`."""

    id: str
    secret: str = field(repr=False)
    expires: datetime | None
    description: str = ""

    @property
    def text(self) -> str:
        """`ID.SECRET`."""
        return f"{self.id}.{self.secret}"


class Verdict(Enum):
    """What a token that somebody showed is worth."""

    GOOD = "good"
    WRONG = "wrong"
    EXPIRED = "expired"


def split(text: str) -> tuple[str, str] | None:
    """`ID.SECRET` -> both; None for anything else."""
    found = _FORM.fullmatch(text)
    return (found[1], found[2]) if found else None


def make(octets: bytes) -> str:
    """OCTETS random bytes -> a fresh `ID.SECRET`; two a character, so that hardly one is likelier than others."""
    pairs = zip(octets[::2], octets[1::2], strict=True)
    text = "".join(_ALPHABET[(256 * high + low) % len(_ALPHABET)] for high, low in pairs)
    return f"{text[:_ID]}.{text[_ID : _ID + _SECRET]}"


def judge(token: BootstrapToken | None, secret: str, now: datetime) -> Verdict:
    """Compares in constant time; only who knows the secret learns that it has ended."""
    known = token.secret if token is not None else ""
    given_hash, known_hash = (hashlib.sha256(word.encode()).digest() for word in (secret, known))
    if not hmac.compare_digest(given_hash, known_hash) or token is None:
        return Verdict.WRONG
    return Verdict.EXPIRED if token.expires is not None and token.expires <= now else Verdict.GOOD


def secret_name(identity: str) -> str:
    """The Secret's name."""
    return f"{_PREFIX}{identity}"


def as_secret(token: BootstrapToken) -> dict[str, Any]:
    """The Secret as the apiserver takes it."""
    data = {
        "token-id": token.id,
        "token-secret": token.secret,
        "usage-bootstrap-authentication": "true",
        "auth-extra-groups": GROUP,
    }
    if token.expires is not None:
        data["expiration"] = token.expires.astimezone(UTC).replace(microsecond=0).isoformat().replace("+00:00", "Z")
    if token.description:
        data["description"] = token.description
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": secret_name(token.id), "namespace": NAMESPACE},
        "type": TYPE,
        "data": {name: base64.b64encode(value.encode()).decode() for name, value in data.items()},
    }


def read_secret(document: Any, *, where: object) -> BootstrapToken | None:
    """A Secret -> its token; None for one that is for something else. Raises FormatError for one that is none."""
    try:
        data = {name: base64.b64decode(value, validate=True).decode() for name, value in document["data"].items()}
        identity, secret = data["token-id"], data["token-secret"]
        ends = data.get("expiration", "")
        expires = datetime.fromisoformat(ends.replace("Z", "+00:00")) if ends else None
    except (KeyError, TypeError, ValueError, AttributeError, binascii.Error) as exc:
        raise FormatError("not a bootstrap token", where=where) from exc
    if split(f"{identity}.{secret}") is None or (expires is not None and expires.tzinfo is None):
        raise FormatError("not a bootstrap token", where=where)
    if data.get("usage-bootstrap-authentication") != "true" or GROUP not in data.get("auth-extra-groups", "").split(
        ","
    ):
        return None
    return BootstrapToken(id=identity, secret=secret, expires=expires, description=data.get("description", ""))
