"""What a bundle says it is, read before gigabytes are copied: who signed it first, then its index, nothing else."""

from dataclasses import dataclass
from pathlib import Path

from bundles import index
from bundles.digest import Digest
from bundles.errors import FormatError, LimitError
from bundles.files import os_errors
from bundles.index import INDEX_NAME, MAX_INDEX, SIGNATURE_NAMES, BundleIndex
from bundles.region import Region, open_region
from bundles.trust import Trust
from bundles.ustar import BLOCK, parse


@dataclass(frozen=True, kw_only=True, slots=True)
class Offer:
    """A bundle somewhere: its index, the digest of bundle.json, and the folder's name it will be kept under.

    A claim so far: only `verify_bundle` says whether the rest is as the index tells.
    """

    source: Path
    index: BundleIndex
    digest: Digest
    name: str

    @property
    def size(self) -> int:
        """Bytes of all listed files."""
        return sum(a.size for a in self.index.archives) + sum(f.size for f in self.index.files)


def read_offer(source: Path, trust: Trust) -> Offer:
    """A bundle's folder or `.sealift` file -> Offer. Raises TrustError before the index is parsed; FormatError."""
    data, names = _from_folder(source) if source.is_dir() else _from_file(source)
    trust.check(data, names, where=source)
    document = index.decode(data, where=f"{source}: {INDEX_NAME}")
    name = index.folder_name(
        name=document.name, version=document.version, flavour=document.flavour, platform=document.platform
    )
    if "/" in name or name.startswith("."):
        raise FormatError("not a bundle's name", where=source, got=repr(name[:200]))
    return Offer(source=source, index=document, digest=Digest.of(data), name=name)


def _from_folder(source: Path) -> tuple[bytes, list[str]]:
    with open_region(source / INDEX_NAME, follow=False) as region:
        data = _whole(region)
    with os_errors(source):
        return data, [entry.name for entry in source.iterdir()]


def _from_file(source: Path) -> tuple[bytes, list[str]]:
    """bundle.json and the signatures are the first members (bundle-format 1)."""
    names: list[str] = []
    with open_region(source) as region:
        first = parse(region.read(0, BLOCK))
        if first.name != INDEX_NAME:
            raise FormatError("not a packed bundle", where=source, got=repr(first.name[:200]), want=INDEX_NAME)
        data = _whole(region.part(BLOCK, first.size, f"{source}: {INDEX_NAME}"))
        offset = BLOCK + first.size + -first.size % BLOCK
        while offset + BLOCK <= region.size and len(names) < len(SIGNATURE_NAMES):
            block = region.read(offset, BLOCK)
            if not block.strip(b"\0") or (header := parse(block)).name not in SIGNATURE_NAMES:
                break
            names.append(header.name)
            offset += BLOCK + header.size + -header.size % BLOCK
    return data, names


def _whole(region: Region) -> bytes:
    if region.size > MAX_INDEX:
        raise LimitError("bundle index too large", where=region.where, got=f"{region.size} bytes", want=MAX_INDEX)
    return region.read(0, region.size)
