"""RKE2_DATA_KEY: the name of a node's data directory for one runtime image, exactly as RKE2 computes it.

RKE2 hashes the reference string as it was typed or baked in (`rancher/rke2-runtime:TAG`), not the normalised name;
another spelling gives another key, a second extraction, and a directory that RKE2 deletes.
"""

import hashlib
import re

from bundles.errors import UsageError
from bundles.reference import Reference

_KEY_HEX_DIGITS = 12
_VERSION_TAG = re.compile(r"v[0-9]")


def data_key(reference: Reference) -> str:
    """Reference (its original spelling counts) -> KEY: `TAG-<12 hex>` or, for a digest reference, the bare hex.

    Raises UsageError for a tag that does not begin with `v` and a digit: RKE2 refuses to start with such a tag.
    """
    original = reference.original.strip()
    if reference.digest is not None:
        return reference.digest.hex
    tag = reference.tag or ""
    if not _VERSION_TAG.match(tag):
        raise UsageError("RKE2 accepts only runtime tags that begin with v and a digit", where=original, got=tag)
    return f"{tag}-{hashlib.sha256(original.encode()).hexdigest()[:_KEY_HEX_DIGITS]}"
