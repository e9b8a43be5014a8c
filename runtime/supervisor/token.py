"""What machines join with: `K10<sha256 of the authority>::USER:SECRET`, as k3s pkg/clientaccess/token.go has it. Pure.

The hash pins the cluster's authority: a machine that joins over a hostile network knows whom it talks to before it
says its secret. A bare secret pins nothing, and is accepted because RKE2 does, with a warning. `K10<hash>::ID.SECRET`
is a bootstrap token (see `bootstraps`), which has no user.
"""

import base64
import hashlib
import hmac
import re
from dataclasses import dataclass, field
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from bundles.errors import FormatError, TrustError
from runtime.supervisor.bootstraps import split

PREFIX: Final = "K10"
SERVER_USER: Final = "server"
AGENT_USER: Final = "node"
MAX_TOKEN: Final = 4096  # characters
_FULL: Final = re.compile(r"K10([0-9a-f]{64})?::(?:([^:\s]+):)?(\S+)")


@dataclass(frozen=True, kw_only=True, slots=True)
class JoinToken:
    """A parsed token: `authority` is the hash that it pins, None when none; `secret` is kept out of `repr`.

    A bootstrap token has no `user`.
    """

    authority: str | None
    user: str
    secret: str = field(repr=False)

    @property
    def text(self) -> str:
        """The whole token, as it stands in server/token."""
        user = f"{self.user}:" if self.user else ""
        return f"{PREFIX}{self.authority or ''}::{user}{self.secret}"

    @property
    def authorization(self) -> str:
        """The header of a request: HTTP's Basic scheme, for bootstrap tokens Bearer, as k3s' clients do."""
        if not self.user:
            return f"Bearer {self.secret}"
        return "Basic " + base64.b64encode(f"{self.user}:{self.secret}".encode()).decode()


def parse(text: str, *, default_user: str, where: object = "token") -> JoinToken:
    """The token as typed or read from a file -> its parts; a bare secret gets the user `default_user`.

    Raises FormatError, without repeating the secret.
    """
    text = text.strip()
    hint = "copy the whole line of server/node-token (agents) or server/token (servers) of a server"
    if not text or len(text) > MAX_TOKEN:
        raise FormatError("not a token", where=where, got=f"{len(text)} characters", hint=hint)
    if not text.startswith(PREFIX):
        if re.search(r"\s|::", text):
            raise FormatError("not a token", where=where, got="blanks or colons in a bare secret", hint=hint)
        return JoinToken(authority=None, user="" if split(text) else default_user, secret=text)
    if (found := _FULL.fullmatch(text)) is None:
        want = "K10, 64 hexadecimal digits, two colons, USER:SECRET"
        raise FormatError("not a token", where=where, want=want, hint=hint)
    authority, user, secret = found.groups()
    return JoinToken(authority=authority, user=user or ("" if split(secret) else default_user), secret=secret)


def authority_hash(pem: bytes) -> str:
    """The authority's file -> the hash that tokens pin.

    One certificate: of the file's very bytes. More: of the DER of the chain's root, so that an intermediate may change.
    Raises FormatError for what is no PEM.
    """
    try:
        chain = x509.load_pem_x509_certificates(pem)
    except ValueError as exc:
        raise FormatError("not the authority's certificate", hint="is this the supervisor's port, 9345?") from exc
    data = pem if len(chain) == 1 else chain[-1].public_bytes(Encoding.DER)
    return hashlib.sha256(data).hexdigest()


def check_authority(token: JoinToken, pem: bytes, *, where: object) -> None:
    """Raises TrustError when the server's authority is not the one that the token pins; a bare secret pins none."""
    if token.authority is None:
        return
    found = authority_hash(pem)
    if not hmac.compare_digest(found, token.authority):
        hint = "the token is of another cluster, or somebody stands between this machine and the server"
        raise TrustError(
            "another authority than the token names", where=where, got=found, want=token.authority, hint=hint
        )
