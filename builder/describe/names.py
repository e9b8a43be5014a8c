"""URIs of ours, and ids made from content: the same bill has the same names everywhere. Pure."""

import datetime
import uuid
from typing import Final

from bundles.digest import Digest

# URIs are names here: nothing has to be served under them. What they mean: docs/sbom.md.
HOME: Final = "https://sealift.build"
SPDX_FILE: Final = "sbom.spdx.json"
CYCLONEDX_FILE: Final = "sbom.cdx.json"
PROVENANCE_FILE: Final = "provenance.json"


def moment(epoch: int) -> str:
    """Seconds since the epoch -> `2026-11-21T08:00:00Z`."""
    return datetime.datetime.fromtimestamp(epoch, datetime.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def namespace(name: str, content: Digest) -> str:
    """The SPDX namespace of a document of that name and content (SPDX 2.3, 6.5)."""
    return f"{HOME}/spdx/{name}/{content.hex}"


def serial(name: str, content: Digest) -> str:
    """The CycloneDX serial number: a UUID of version 5 (RFC 9562) of the same."""
    return f"urn:uuid:{uuid.uuid5(uuid.NAMESPACE_URL, f'{HOME}/cyclonedx/{name}/{content.hex}')}"
