"""Bootstrap tokens in the cluster's own Secrets, through the apiserver of this server."""

import json
from dataclasses import dataclass
from datetime import datetime
from http import HTTPStatus
from typing import Final

from bundles.errors import FormatError, MissingError, SealiftError, UsageError
from runtime.daemon.api import Answer, Identity, ask
from runtime.supervisor.bootstraps import NAMESPACE, TYPE, BootstrapToken, as_secret, read_secret, secret_name

_PLACE: Final = f"/api/v1/namespaces/{NAMESPACE}/secrets"
_JSON: Final = {"Content-Type": "application/json"}


@dataclass(frozen=True, kw_only=True, slots=True)
class BootstrapTokens:
    """The tokens behind the apiserver at `url`. All calls raise SealiftError when it does not answer as it should."""

    url: str
    identity: Identity

    async def get(self, identity: str) -> BootstrapToken | None:
        """One by its id; None when there is none, or when it is for something else."""
        answer = await ask(f"{self.url}{_PLACE}/{secret_name(identity)}", self.identity)
        if answer.status == HTTPStatus.NOT_FOUND:
            return None
        _check(answer, HTTPStatus.OK)
        return read_secret(answer.document(), where=secret_name(identity))

    async def create(self, token: BootstrapToken) -> None:
        """Keeps a new one. Raises UsageError when there is one with its id."""
        body = json.dumps(as_secret(token)).encode()
        answer = await ask(f"{self.url}{_PLACE}", self.identity, method="POST", body=body, headers=_JSON)
        if answer.status == HTTPStatus.CONFLICT:
            raise UsageError("there is a token with this id", got=token.id, hint="take another one, or delete it")
        _check(answer, HTTPStatus.CREATED)

    async def listed(self) -> tuple[BootstrapToken, ...]:
        """All, the first to end first, those that never end last; Secrets that are none are passed over."""
        answer = await ask(f"{self.url}{_PLACE}?fieldSelector=type%3D{TYPE.replace('/', '%2F')}", self.identity)
        _check(answer, HTTPStatus.OK)
        found = []
        for document in answer.document().get("items", []):
            try:
                token = read_secret(document, where="Secret")
            except FormatError:
                continue
            found += [token] if token is not None else []
        return tuple(sorted(found, key=lambda token: (token.expires is None, token.expires or datetime.max, token.id)))

    async def delete(self, identity: str) -> None:
        """Whoever has it cannot join any more; who joined stays. Raises MissingError."""
        answer = await ask(f"{self.url}{_PLACE}/{secret_name(identity)}", self.identity, method="DELETE")
        if answer.status == HTTPStatus.NOT_FOUND:
            raise MissingError("no such token", got=identity, hint="sealift-node token list")
        _check(answer, HTTPStatus.OK)


def _check(answer: Answer, want: HTTPStatus) -> None:
    if answer.status != want:
        raise SealiftError("the apiserver did not answer as expected", where=_PLACE, got=answer.status, want=int(want))
