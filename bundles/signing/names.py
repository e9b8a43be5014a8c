"""Names of signature files in a bundle (bundle-format 5). Pure.

The first signer's files are `bundle.json.sigstore.json` and `bundle.json.sig`; a further signer's carry the first 16
hex digits of the key's id: `bundle.json.0123456789abcdef.sigstore.json`. Attestations likewise:
`provenance.sigstore.json`, `provenance.0123456789abcdef.sigstore.json`. Each is one signature that stock cosign
verifies as it is; no reader has to merge or split files, and a countersignature is one file more.
"""

import re
from typing import Final

MAX_SIGNATURES: Final = 64  # files of one bundle: 32 signers
_ENVELOPE: Final = "sigstore.json"
_CLASSIC: Final = "sig"
# Document that may be attested -> stem of the attestation.
ATTESTED: Final = {"provenance.json": "provenance", "sbom.spdx.json": "sbom.spdx", "sbom.cdx.json": "sbom.cdx"}
_SIGNED: Final = "bundle.json"
_INDEX = re.compile(rf"{re.escape(_SIGNED)}(?:\.([0-9a-f]{{16}}))?\.(sigstore\.json|sig)")
_STATEMENT = re.compile(rf"({'|'.join(map(re.escape, ATTESTED.values()))})(?:\.([0-9a-f]{{16}}))?\.sigstore\.json")


def is_index_signature(path: str) -> bool:
    """Whether it is the name of a signature over bundle.json."""
    return _INDEX.fullmatch(path) is not None


def is_attestation(path: str) -> bool:
    """Whether it is the name of a signed statement about the bundle."""
    return _STATEMENT.fullmatch(path) is not None


def is_signature(path: str) -> bool:
    """Whether it is a file that signing adds to a bundle and no index lists."""
    return is_index_signature(path) or is_attestation(path)


def is_envelope(path: str) -> bool:
    """Of a signature's name: whether it is a sigstore bundle; else it is a classic `.sig`."""
    return path.endswith(_ENVELOPE)


def signer_of(path: str) -> str | None:
    """The 16 hex digits in a signature's name; None for the first signer's files and for other names."""
    found = _INDEX.fullmatch(path)
    if found is not None:
        return found[1]
    found = _STATEMENT.fullmatch(path)
    return found[2] if found is not None else None


def index_signatures(short: str | None) -> tuple[str, str]:
    """The names of a signer's sigstore bundle and `.sig`; None: the first signer's."""
    stem = _SIGNED if short is None else f"{_SIGNED}.{short}"
    return f"{stem}.{_ENVELOPE}", f"{stem}.{_CLASSIC}"


def attestation(stem: str, short: str | None) -> str:
    """The name of a signed statement: `stem` is a value of ATTESTED."""
    return f"{stem}.{_ENVELOPE}" if short is None else f"{stem}.{short}.{_ENVELOPE}"
