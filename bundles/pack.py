"""One file of a bundle, for transport: a tar of its folder that every reader takes without unpacking.

Never named .tar: RKE2 counts any .tar in agent/images. Deterministic: the same folder gives the same bytes.
"""

from pathlib import Path
from typing import Final

from bundles import index, ustar
from bundles.errors import FormatError, UsageError
from bundles.files import HashingWriter, atomic_writer, remove_abandoned
from bundles.source import BundleSource, FolderSource, open_source, packed_header, packed_order
from bundles.verify import check_names

SUFFIX: Final = ".sealift"


def pack(bundle: Path, target: Path) -> None:
    """Writes `target` from the folder `bundle`: bundle.json, signatures, then all listed files by name.

    Headers as `bundles.source` reads them back, times those of the index. The file appears whole or not at all.
    Raises UsageError for another suffix; MissingError and FormatError when the folder does not hold exactly the files
    that its index lists or one is 8 GiB or more. Content is not checked: that is `verify_bundle`'s.
    """
    if target.suffix != SUFFIX:
        hint = f"call it {target.name}{SUFFIX}: RKE2 would take a .tar for images"
        raise UsageError("not a name for a packed bundle", where=target, want=f"*{SUFFIX}", hint=hint)
    with open_source(bundle) as source:
        if not isinstance(source, FolderSource):
            raise FormatError("not a bundle's folder", where=bundle)
        data, _ = source.envelope()
        document = index.decode(data, where=f"{bundle}: {index.INDEX_NAME}")
        names = source.files()
        check_names(document, names, where=source.where)
        remove_abandoned(target.parent, target.name)
        with atomic_writer(target) as writer:
            for name in packed_order(names):
                _add(source, name, document.created, writer)
            writer.write(bytes(2 * ustar.BLOCK))


def _add(source: BundleSource, name: str, mtime: int, writer: HashingWriter) -> None:
    with source.open(name) as region:
        header = packed_header(name, region.size, mtime)
        writer.write(header)
        for chunk in region.chunks(0, region.size):
            writer.write(chunk)
        writer.write(bytes(ustar.padding(region.size)))
