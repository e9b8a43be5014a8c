"""What a bundle says it is, read before gigabytes are copied: who signed it first, then its index, nothing else."""

from dataclasses import dataclass
from pathlib import Path

from bundles import index
from bundles.digest import Digest
from bundles.errors import FormatError
from bundles.index import INDEX_NAME, BundleIndex
from bundles.source import open_source
from bundles.trust import Decision, Trust


@dataclass(frozen=True, kw_only=True, slots=True)
class Offer:
    """A bundle somewhere: its index, the digest of bundle.json, and the folder's name it will be kept under.

    A claim so far: only `verify_bundle` says whether the rest is as the index tells.
    """

    source: Path
    decision: Decision
    index: BundleIndex
    digest: Digest
    name: str

    @property
    def size(self) -> int:
        """Bytes of all listed files."""
        return sum(a.size for a in self.index.archives) + sum(f.size for f in self.index.files)


def read_offer(path: Path, trust: Trust) -> Offer:
    """A bundle's folder or `.sealift` file -> Offer. Raises TrustError before the index is parsed; FormatError."""
    with open_source(path) as source:
        data, signatures = source.envelope()
    decision = trust.check(data, signatures, where=path)
    document = index.decode(data, where=f"{path}: {INDEX_NAME}")
    name = index.folder_name(
        name=document.name, version=document.version, flavour=document.flavour, platform=document.platform
    )
    if "/" in name or name.startswith("."):
        raise FormatError("not a bundle's name", where=path, got=repr(name[:200]))
    return Offer(source=path, decision=decision, index=document, digest=Digest.of(data), name=name)
