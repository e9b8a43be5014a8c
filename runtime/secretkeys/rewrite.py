"""Every Secret of a cluster written once more as it is: the apiserver encrypts it with the key that writes now."""

import json
from collections.abc import AsyncIterator
from http import HTTPStatus
from typing import Any, Final

from bundles.errors import SealiftError
from runtime.daemon.api import Identity, ask

_PAGE: Final = 200  # Secrets of one answer
_JSON: Final = {"Content-Type": "application/json"}


async def rewrite(api_url: str, admin: Identity) -> int:
    """Returns how many were written. Raises SealiftError for one that cannot be."""
    count = 0
    async for secret in _secrets(api_url, admin):
        place = f"/api/v1/namespaces/{secret['metadata']['namespace']}/secrets/{secret['metadata']['name']}"
        answer = await ask(f"{api_url}{place}", admin, method="PUT", body=json.dumps(secret).encode(), headers=_JSON)
        # Changed or deleted in between: whoever changed it has written it with the new key.
        if answer.status not in (HTTPStatus.OK, HTTPStatus.CONFLICT, HTTPStatus.NOT_FOUND):
            raise SealiftError("a Secret cannot be written", where=place, got=answer.status)
        count += 1
    return count


async def _secrets(api_url: str, admin: Identity) -> AsyncIterator[dict[str, Any]]:
    token = ""
    while True:
        url = f"{api_url}/api/v1/secrets?limit={_PAGE}" + (f"&continue={token}" if token else "")
        answer = await ask(url, admin, seconds=30.0)
        if answer.status != HTTPStatus.OK:
            raise SealiftError("Secrets cannot be listed", got=answer.status)
        document = answer.document()
        for secret in document["items"]:
            yield {"apiVersion": "v1", "kind": "Secret", **secret}
        token = document["metadata"].get("continue", "")
        if not token:
            return
