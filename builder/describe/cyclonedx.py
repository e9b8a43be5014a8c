"""A bill as CycloneDX 1.6 JSON (ECMA-424). Pure.

`dependencies` say what holds or needs what: bundle -> images -> programs and packages -> modules. What only worked
on a program is a component of scope `excluded`, which nothing depends on.
"""

import re
from collections.abc import Iterable
from typing import Any, Final

from builder.describe.model import Bill, Edge, Kind, Part, Relation
from builder.describe.names import moment, serial
from bundles import jsontext
from bundles.digest import Digest

_TYPE: Final = {
    Kind.BUNDLE: "platform",
    Kind.IMAGE: "container",
    Kind.PROGRAM: "application",
    Kind.FILE: "file",
    Kind.MODULE: "library",
    Kind.PACKAGE: "library",
    Kind.SOURCE: "library",
    Kind.CHART: "application",
    Kind.TOOL: "application",
}
_ONE_ID = re.compile(r"(?!LicenseRef-)[A-Za-z0-9.-]+")


def document(bill: Bill) -> bytes:
    """Bill -> canonical JSON; its serial number is derived from all the rest of it."""
    first, *rest = bill.parts
    plain: dict[str, Any] = {
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "version": 1,
        "metadata": {
            "timestamp": moment(bill.created),
            "tools": {"components": [{"type": "application", "name": bill.tool[0], "version": bill.tool[1]}]},
            "component": _component(first),
        },
        "components": [_component(part) for part in rest],
        "dependencies": list(_dependencies(bill)),
    }
    plain["serialNumber"] = serial(bill.name, Digest.of(jsontext.encode_canonical(plain)))
    return jsontext.encode_canonical(plain)


def _component(part: Part) -> dict[str, Any]:
    plain: dict[str, Any] = {"bom-ref": part.key, "type": _TYPE[part.kind], "name": part.name}
    if part.version:
        plain["version"] = part.version
    if part.purl:
        plain["purl"] = part.purl
    if part.kind is Kind.TOOL:
        plain["scope"] = "excluded"
    if part.licence:
        one = _ONE_ID.fullmatch(part.licence) is not None
        plain["licenses"] = [{"license": {"id": part.licence}} if one else {"expression": part.licence}]
    if part.sha256 is not None:
        plain["hashes"] = [{"alg": "SHA-256", "content": part.sha256.hex}]
    if part.notes:
        plain["properties"] = [{"name": f"sealift:{name}", "value": value} for name, value in part.notes]
    return plain


def _dependencies(bill: Bill) -> Iterable[dict[str, Any]]:
    """Every component once, also those that need nothing: an absent one would be one that nobody knows about."""
    needs: dict[str, set[str]] = {part.key: set() for part in bill.parts}
    for subject, target in (_pair(edge) for edge in bill.edges if edge.relation is not Relation.BUILD_TOOL_OF):
        needs[subject].add(target)
    for key, targets in needs.items():
        yield {"ref": key, "dependsOn": sorted(targets)} if targets else {"ref": key}


def _pair(edge: Edge) -> tuple[str, str]:
    return edge.subject, edge.target
