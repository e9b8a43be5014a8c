"""A bill as SPDX 2.3 JSON (ISO/IEC 5962 and its 2.3 revision). Pure.

Programs are packages here, not files: an SPDX file needs a SHA-1, and a package may have a version, a purl and
relationships of its own. Nothing is `filesAnalyzed`; licences are what their owners declare, nobody concluded any.
"""

import re
from collections.abc import Iterable, Mapping
from typing import Any, Final

from builder.describe.model import Bill, Edge, Kind, Part
from builder.describe.names import moment, namespace
from bundles import jsontext
from bundles.digest import Digest

_UNKNOWN: Final = "NOASSERTION"
_PURPOSE: Final = {
    Kind.BUNDLE: "ARCHIVE",
    Kind.IMAGE: "CONTAINER",
    Kind.PROGRAM: "APPLICATION",
    Kind.FILE: "FILE",
    Kind.MODULE: "LIBRARY",
    Kind.PACKAGE: "LIBRARY",
    Kind.SOURCE: "SOURCE",
    Kind.CHART: "INSTALL",
    Kind.TOOL: "APPLICATION",
}


def document(bill: Bill) -> bytes:
    """Bill -> canonical JSON; its namespace is derived from all the rest of it."""
    ids = _ids(bill.parts)
    plain: dict[str, Any] = {
        "spdxVersion": "SPDX-2.3",
        "SPDXID": "SPDXRef-DOCUMENT",
        "dataLicense": "CC0-1.0",
        "name": bill.name,
        "creationInfo": {"created": moment(bill.created), "creators": [f"Tool: {bill.tool[0]}-{bill.tool[1]}"]},
        "packages": [_package(part, ids[part.key]) for part in bill.parts],
        "relationships": [
            _relationship("SPDXRef-DOCUMENT", "DESCRIBES", ids[bill.parts[0].key]),
            *(_edge(edge, ids) for edge in bill.edges),
        ],
    }
    if bill.texts:
        plain["hasExtractedLicensingInfos"] = [
            {"licenseId": reference, "extractedText": text, "name": reference.removeprefix("LicenseRef-")}
            for reference, text in bill.texts.items()
        ]
    plain["documentNamespace"] = namespace(bill.name, Digest.of(jsontext.encode_canonical(plain)))
    return jsontext.encode_canonical(plain)


def _ids(parts: Iterable[Part]) -> dict[str, str]:
    """Readable ids (SPDX allows letters, digits, `.` and `-`); two keys that would share one get a digest."""
    found: dict[str, str] = {}
    taken: set[str] = set()
    for part in parts:
        name = f"SPDXRef-{re.sub(r'[^A-Za-z0-9.]+', '-', part.key).strip('-')}"
        if name in taken:
            name = f"{name}-{Digest.of(part.key.encode()).hex[:12]}"
        taken.add(name)
        found[part.key] = name
    return found


def _package(part: Part, identifier: str) -> dict[str, Any]:
    plain: dict[str, Any] = {
        "SPDXID": identifier,
        "name": part.name,
        "downloadLocation": _UNKNOWN,
        "filesAnalyzed": False,
        "licenseConcluded": _UNKNOWN,
        "licenseDeclared": part.licence or _UNKNOWN,
        "copyrightText": _UNKNOWN,
        "primaryPackagePurpose": _PURPOSE[part.kind],
    }
    if part.version:
        plain["versionInfo"] = part.version
    if part.sha256 is not None:
        plain["checksums"] = [{"algorithm": "SHA256", "checksumValue": part.sha256.hex}]
    if part.notes:
        plain["comment"] = "; ".join(f"{name}={value}" for name, value in part.notes)
    if part.purl:
        plain["externalRefs"] = [
            {"referenceCategory": "PACKAGE-MANAGER", "referenceType": "purl", "referenceLocator": part.purl}
        ]
    return plain


def _edge(edge: Edge, ids: Mapping[str, str]) -> dict[str, str]:
    return _relationship(ids[edge.subject], str(edge.relation), ids[edge.target])


def _relationship(subject: str, relation: str, target: str) -> dict[str, str]:
    return {"spdxElementId": subject, "relationshipType": relation, "relatedSpdxElement": target}
