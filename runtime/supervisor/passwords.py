"""Whether a node is the machine that first came under its name (k3s pkg/nodepassword).

The hash lies in the Secret NODE.node-password.rke2 of kube-system, immutable, so that every server knows it. The first
to come under a name sets it. A machine that lost its password is let in once an administrator deletes the Secret.
"""

import asyncio
import base64
import hmac
import json
from collections.abc import Callable
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, Final, Protocol

from bundles.errors import FormatError, SealiftError
from runtime.daemon.api import Answer, Identity, ask
from runtime.supervisor import hashes
from runtime.supervisor.messages import Response, refusal

_MAX_PASSWORD: Final = 256  # characters; ours have 32
_TYPE: Final = "rke2.cattle.io/node-password"
_NAMESPACE: Final = "/api/v1/namespaces/kube-system/secrets"


class PasswordStore(Protocol):
    """Where hashes are kept."""

    async def get(self, node: str) -> str | None:
        """The hash of a node's password, None when it has none. Raises SealiftError when nobody knows."""

    async def create(self, node: str, stored: str) -> bool:
        """Keeps a hash; False when another was faster. Raises SealiftError when it cannot be kept."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Secrets:
    """Hashes in the cluster's own Secrets, through the apiserver of this server."""

    url: str
    identity: Identity

    async def get(self, node: str) -> str | None:
        """See PasswordStore."""
        answer = await ask(f"{self.url}{_NAMESPACE}/{_name(node)}", self.identity)
        if answer.status == HTTPStatus.NOT_FOUND:
            return None
        if answer.status != HTTPStatus.OK:
            raise _unexpected(answer, node)
        data = answer.document().get("data", {})
        try:
            return base64.b64decode(data["hash"], validate=True).decode("ascii")
        except (KeyError, ValueError, TypeError) as exc:
            hint = f"delete the Secret {_name(node)} of kube-system"
            raise FormatError("a Secret without a password's hash", where=_name(node), hint=hint) from exc

    async def create(self, node: str, stored: str) -> bool:
        """See PasswordStore."""
        body = json.dumps(_secret(node, stored)).encode()
        headers = {"Content-Type": "application/json"}
        answer = await ask(f"{self.url}{_NAMESPACE}", self.identity, method="POST", body=body, headers=headers)
        if answer.status not in (HTTPStatus.CREATED, HTTPStatus.CONFLICT):
            raise _unexpected(answer, node)
        return answer.status == HTTPStatus.CREATED

    async def delete(self, node: str) -> bool:
        """Gives a name free; False when it was. Raises SealiftError when nobody knows."""
        answer = await ask(f"{self.url}{_NAMESPACE}/{_name(node)}", self.identity, method="DELETE")
        if answer.status not in (HTTPStatus.OK, HTTPStatus.NOT_FOUND):
            raise _unexpected(answer, node)
        return answer.status == HTTPStatus.OK


@dataclass(frozen=True, kw_only=True, slots=True)
class NodePasswords:
    """Checks passwords, a bounded number at a time; `octets` gives random bytes.

    `itself` gives the password of this very machine for its own name: nobody gets that one in the time before the
    cluster knows whose it is.
    """

    store: PasswordStore
    octets: Callable[[int], bytes]
    gate: asyncio.Semaphore
    itself: Callable[[str], str | None] = lambda node: None

    async def check(self, node: str, password: str) -> Response | None:
        """None when the node may have certificates; else the refusal."""
        if not password or len(password) > _MAX_PASSWORD:
            return refusal(HTTPStatus.FORBIDDEN, "a node without a password")
        if (own := self.itself(node)) is not None:
            same = hmac.compare_digest(own.encode(), password.encode("utf-8", "replace"))
            return None if same else refusal(HTTPStatus.FORBIDDEN, f"node password rejected: {node} is this server")
        try:
            stored = await self.store.get(node)
            if stored is None:
                async with self.gate:
                    fresh = await asyncio.to_thread(hashes.make, password, self.octets(hashes.SALT_OCTETS))
                if await self.store.create(node, fresh):
                    return None
                stored = await self.store.get(node)  # another server, or this one, was faster under this name
            known = stored is not None and await self._known(stored, password)
        except FormatError as exc:
            return refusal(HTTPStatus.FORBIDDEN, f"{exc.message}: {exc.hint}" if exc.hint else exc.message)
        except SealiftError:
            return refusal(HTTPStatus.SERVICE_UNAVAILABLE, "the cluster does not answer yet")
        if known:
            return None
        hint = f"another machine is called {node}; or delete the Secret {_name(node)} of kube-system"
        return refusal(HTTPStatus.FORBIDDEN, f"node password rejected: {hint}")

    async def _known(self, stored: str, password: str) -> bool:
        async with self.gate:
            return await asyncio.to_thread(hashes.matches, stored, password)


def _name(node: str) -> str:
    return f"{node}.node-password.rke2"


def _secret(node: str, stored: str) -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": _name(node), "namespace": "kube-system"},
        "type": _TYPE,
        "immutable": True,
        "data": {"hash": base64.b64encode(stored.encode()).decode()},
    }


def _unexpected(answer: Answer, node: str) -> SealiftError:
    return SealiftError("the apiserver did not answer as expected", where=_name(node), got=answer.status)
