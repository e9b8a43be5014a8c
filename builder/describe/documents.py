"""The three documents of a bundle, as bytes by their names. Pure: the table of contents of this package."""

from collections.abc import Iterable, Mapping

from builder.describe import cyclonedx, provenance, spdx
from builder.describe.bill import make_bill
from builder.describe.names import CYCLONEDX_FILE, PROVENANCE_FILE, SPDX_FILE
from builder.describe.receipts import BuildFacts
from bundles.digest import Digest
from bundles.reference import Reference


def describe(
    facts: BuildFacts, name: str, images: Iterable[tuple[Reference, Digest]], files: Mapping[str, Digest]
) -> dict[str, bytes]:
    """Documents by file name.

    Args:
        facts: of the build.
        name: of the bundle's folder.
        images: reference and digest of the manifest of each.
        files: what the bundle holds beside these documents: path (or name of a chart's archive) -> digest.
    """
    named = list(images)
    bill = make_bill(facts, name, named)
    sboms = {SPDX_FILE: spdx.document(bill), CYCLONEDX_FILE: cyclonedx.document(bill)}
    every = {**files, **{path: Digest.of(data) for path, data in sboms.items()}}
    every |= {reference.name: digest for reference, digest in named}
    return {**sboms, PROVENANCE_FILE: provenance.document(facts, bill, provenance.subjects(every.items()))}
