"""The checksum file: what `sha256sum -c` needs to check a copy without Sealift."""

from bundles import index
from bundles.digest import Digest
from bundles.index import BundleIndex


def sums_text(document: BundleIndex, index_digest: Digest) -> str:
    """The file's text: all listed files and bundle.json (`index_digest`), by name, two blanks as sha256sum writes."""
    rows = {index.INDEX_NAME: index_digest}
    rows |= {archive.path: archive.sha256 for archive in document.archives}
    rows |= {file.path: file.sha256 for file in document.files}
    return "".join(f"{digest.hex}  {path}\n" for path, digest in sorted(rows.items()))
