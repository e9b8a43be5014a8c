"""Two sealed archives that should be the same: images, layers, and what is in them."""

from collections.abc import Iterator

from bundles import jsontext
from bundles.compare.documents import differing
from bundles.compare.layer import StoredLayer, layer_differences
from bundles.compare.model import MOST, Difference, first_difference
from bundles.digest import Digest
from bundles.errors import FormatError
from bundles.region import Region
from bundles.sealed.read import OpenedImage, SealedArchive, read_sealed


def archive_differences(path: str, ours: Region, theirs: Region) -> Iterator[Difference]:
    """What differs, the outermost first: the file's first bytes, then images, layers, paths in the layers."""
    yield Difference(where=path, what=first_difference(ours.chunks(0, ours.size), theirs.chunks(0, theirs.size)))
    try:
        one, two = read_sealed(ours), read_sealed(theirs)
    except FormatError as exc:
        yield Difference(where=path, what=f"{exc.message} ({exc.where})")
        return
    mine = {image.reference.name: image for image in one.images}
    other = {image.reference.name: image for image in two.images}
    told: set[Digest] = set()
    for name in dict.fromkeys((*mine, *other)):
        where = f"{path}: image {name}"
        if name not in mine or name not in other:
            yield Difference(where=where, what=f"only {'ours' if name in mine else 'theirs'} has it")
        else:
            yield from _image(where, (one, mine[name]), (two, other[name]), told)


_Found = tuple[SealedArchive, OpenedImage]


def _image(where: str, ours: _Found, theirs: _Found, told: set[Digest]) -> Iterator[Difference]:
    (one, mine), (two, other) = ours, theirs
    if mine.digest == other.digest:
        return
    if len(mine.layers) != len(other.layers):
        yield Difference(where=where, what=f"ours has {len(mine.layers)} layers, theirs {len(other.layers)}")
    same = True
    for number, (a, b) in enumerate(zip(mine.layers, other.layers, strict=False), 1):
        if a.digest == b.digest:
            continue
        same = False
        if a.digest in told:
            continue
        told.add(a.digest)
        layer = f"{where}: layer {number}"
        yield Difference(where=layer, what=f"ours {a.digest}, theirs {b.digest}")
        parts = layer_differences(StoredLayer(region=one.region, layer=a), StoredLayer(region=two.region, layer=b))
        for path, what in parts:
            yield Difference(where=f"{layer}: {path}" if path else layer, what=what)
    if same:  # else the configuration differs by its diff ids, which is no news
        yield from _configurations(where, ours, theirs)


def _configurations(where: str, ours: _Found, theirs: _Found) -> Iterator[Difference]:
    """What a manifest or a configuration says otherwise."""
    for what in ("config", "digest"):
        documents = []
        for archive, image in (ours, theirs):
            wanted: Digest = getattr(image, what)
            content = next((entry.content for digest, entry in archive.layout.blobs() if digest == wanted), None)
            documents.append(jsontext.decode_plain(content or b"null", where=where))
        for number, (field, words) in enumerate(differing(*documents)):
            if number < MOST:
                label = "configuration" if what == "config" else "manifest"
                yield Difference(where=f"{where}: {label} {field}", what=words)
