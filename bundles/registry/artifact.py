"""A bundle as documents of a registry. Pure.

Under the tag lies an index: first the bundle's own manifest (bundle.json and the small files, each a layer with its
name), then every image's manifest as it is in the archives. So images are images: their layers are shared with the last
release and with each other, and every tool can pull one by its digest. Archives are not pushed: bundle.json and the
images' documents say where each byte of them lies (sealed.layout), so a pull writes them again, byte for byte.
"""

import re
from collections.abc import Iterable, Sequence
from typing import Final

from bundles import index, jsontext, oci
from bundles.digest import Digest
from bundles.errors import FormatError
from bundles.index import INDEX_NAME, BundleIndex
from bundles.registry.documents import EMPTY_CONFIG, TITLE, Document, RemoteDescriptor, RemoteIndex, RemoteManifest
from bundles.signing import envelope, names

BUNDLE: Final = "application/vnd.sealift.bundle.v1+json"
BUNDLES: Final = "application/vnd.sealift.bundles.v1+json"  # an index of bundles for several platforms
FILES: Final = "application/vnd.sealift.bundle.files.v1"  # what a node serves: one layer for each file, archives too
SIGNATURE: Final = "application/vnd.sealift.signature.v1+json"
MAX_PATH: Final = 512  # characters
PART: Final = ".part"  # at the end of a name: a file that is not whole yet
_PART: Final = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._+@=-]{0,199}")
_SPDX: Final = "application/spdx+json"
_CYCLONEDX: Final = "application/vnd.cyclonedx+json"
_IN_TOTO: Final = "application/vnd.in-toto+json"
_KINDS: Final = {
    "sbom.spdx.json": _SPDX, "sbom.cdx.json": _CYCLONEDX, "provenance.json": _IN_TOTO,
    INDEX_NAME: "application/vnd.sealift.bundle.index.v1+json",
}  # fmt: skip
_TAG_CHARACTER: Final = re.compile(r"[^A-Za-z0-9._-]")


def media_type(path: str) -> str:
    """The media type of a bundle's file, by its name."""
    if names.is_signature(path):
        return envelope.MEDIA_TYPE if names.is_envelope(path) else "text/plain"
    if path in _KINDS:
        return _KINDS[path]
    return "text/plain" if path.endswith(".txt") else "application/octet-stream"


def file_descriptor(path: str, digest: Digest, size: int) -> RemoteDescriptor:
    """A file of the bundle as a layer that carries its name, as oras and others read it."""
    return RemoteDescriptor(media_type=media_type(path), digest=digest, size=size, annotations={TITLE: path})


def bundle_manifest(files: Iterable[RemoteDescriptor], sparse: Iterable[RemoteDescriptor]) -> Document:
    """The bundle's own manifest; `sparse`: image indexes whose other platforms nobody has, kept as they are."""
    manifest = RemoteManifest(
        schema_version=2, media_type=oci.MANIFEST, artifact_type=BUNDLE, config=EMPTY_CONFIG, layers=[*files, *sparse],
    )  # fmt: skip
    return _document(manifest, oci.MANIFEST)


def bundle_index(bundle: Document, images: Sequence[RemoteDescriptor], document: BundleIndex) -> Document:
    """What lies under the tag."""
    said = {
        "org.opencontainers.image.title": document.name,
        "org.opencontainers.image.version": document.version,
        "sealift.flavour": document.flavour,
        "sealift.platform": document.platform,
    }
    listed = [bundle.descriptor(artifact_type=BUNDLE), *images]
    made = RemoteIndex(schema_version=2, media_type=oci.INDEX, artifact_type=BUNDLE, manifests=listed, annotations=said)
    return _document(made, oci.INDEX)


def image_descriptor(reference: str, kind: str, digest: Digest, size: int) -> RemoteDescriptor:
    """An image of the bundle in the index, with its name."""
    return RemoteDescriptor(media_type=kind, digest=digest, size=size, annotations={oci.ANNOTATION_REF_NAME: reference})


def default_tag(document: BundleIndex) -> str:
    """The tag of a bundle that nobody gave one: version, flavour and platform, what no tag can hold made `_`."""
    folder = index.folder_name(name="x", version=document.version, flavour=document.flavour, platform=document.platform)
    return _TAG_CHARACTER.sub("_", folder.removeprefix("x-"))[:128]


def own_manifest(listed: RemoteIndex, *, where: object) -> RemoteDescriptor:
    """The bundle's own manifest in the index; raises FormatError when it is no bundle's."""
    found = [one for one in listed.manifests if one.artifact_type == BUNDLE]
    if len(found) != 1:
        hint = "an image is pulled with other tools; `sealift pull` wants what `sealift push` put there"
        raise FormatError("no bundle", where=where, got=f"{len(found)} of {BUNDLE}", want=1, hint=hint)
    return found[0]


def index_layer(manifest: RemoteManifest, *, where: object) -> RemoteDescriptor:
    """bundle.json among the layers; raises FormatError when it is no bundle's manifest, or of an unbearable size."""
    found = [one for one in manifest.layers if one.annotations.get(TITLE) == INDEX_NAME]
    if manifest.artifact_type not in (BUNDLE, FILES) or len(found) != 1:
        raise FormatError("no bundle", where=where, got=ascii(manifest.artifact_type[:100]), want=BUNDLE)
    if found[0].size > index.MAX_INDEX:
        raise FormatError("bundle index too large", where=where, got=found[0].size, want=f"<= {index.MAX_INDEX}")
    return found[0]


def checked_path(path: str, *, where: object) -> str:
    """A name out of a registry that becomes a file's below a folder; raises FormatError for one that leaves it."""
    parts = path.split("/")
    if len(path) > MAX_PATH or len(parts) > 8 or not all(_PART.fullmatch(part) for part in parts):
        raise FormatError("not a path of a bundle's file", where=where, got=ascii(path[:200]))
    return path


def signature_layers(manifest: RemoteManifest) -> tuple[RemoteDescriptor, ...]:
    """Signatures that are files like others, as nodes serve them."""
    return tuple(one for one in manifest.layers if names.is_signature(one.annotations.get(TITLE, "")))


def check_paths(document: BundleIndex, *, where: object) -> None:
    """Before a byte is written by these names: raises FormatError for a path that leaves the bundle or hides in it.

    A registry can hold any bundle.json; its paths are a stranger's until a signature is checked.
    """
    sizes = {one.path: one.size for one in document.archives} | {one.path: one.size for one in document.files}
    count = len(document.archives) + len(document.files)
    paths = list(sizes)
    paths += [INDEX_NAME, index.sums_name(document.platform)]
    folders = {path.rpartition("/")[0] for path in paths} | {""}
    folders |= {"/".join(path.split("/")[:at]) for path in paths for at in range(1, path.count("/"))}
    for path in paths:
        checked_path(path, where=where)
        if path in folders or names.is_signature(path) or path + PART in paths:
            raise FormatError("a name that something else has", where=where, got=ascii(path[:200]))
    if len(sizes) != count or len(set(paths)) != count + 2:
        raise FormatError("one path twice", where=where)
    if any(size < 0 for size in sizes.values()):
        raise FormatError("a negative size", where=where)


def _document(value: RemoteManifest | RemoteIndex, kind: str) -> Document:
    data = jsontext.encode_canonical(value)
    return Document(data=data, digest=Digest.of(data), media_type=kind)
