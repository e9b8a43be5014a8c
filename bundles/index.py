"""bundle.json, the one file of a bundle that is signed (bundle-format 4)."""

import re
from typing import Final

import msgspec

from bundles import jsontext, ustar
from bundles.digest import Digest
from bundles.errors import FormatError
from bundles.platform import Platform

FORMAT: Final = "1.0"
INDEX_NAME: Final = "bundle.json"
MAX_INDEX: Final = jsontext.MAX_DOCUMENT  # bytes
_WORD: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+-]{0,99}")


class Sha256(msgspec.Struct, frozen=True, kw_only=True):
    """A document named by its digest alone."""

    sha256: Digest


class Runtime(msgspec.Struct, frozen=True, kw_only=True):
    """The image a node unpacks first; `key` names its data directory (see datakey)."""

    reference: str
    digest: Digest
    key: str


class Blob(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A blob in an archive: `offset` and `size` in bytes of its body in the tar.

    `frames`: for layers we made, [compressed bytes, content bytes] of each zstd frame in order, seek table left out.
    """

    digest: Digest
    size: int
    offset: int
    frames: list[tuple[int, int]] | None = None


class Archive(msgspec.Struct, frozen=True, kw_only=True):
    """A sealed archive: `path` below the bundle, `sha256` of the whole file, `images` by full reference."""

    path: str
    size: int
    sha256: Digest
    images: list[str]
    blobs: list[Blob]


class Image(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """An image: full reference, digest of the platform's manifest, the archive's path, and who asked for it."""

    reference: str
    digest: Digest
    archive: str
    why: str
    index_digest: Digest | None = None


class Chart(msgspec.Struct, frozen=True, kw_only=True):
    """A chart in the runtime image: `sha256` of its packaged .tgz."""

    name: str
    version: str
    sha256: Digest


class Choice(msgspec.Struct, frozen=True, kw_only=True):
    """What a node may choose with the setting `key` (`cni`, ...): `archives` by path, `charts` by name.

    Nothing of them is needed where another one is chosen.
    """

    key: str
    name: str
    archives: list[str]
    charts: list[str]


class File(msgspec.Struct, frozen=True, kw_only=True):
    """Any other listed file; `path` is relative to the bundle, with `/`."""

    path: str
    size: int
    sha256: Digest


class BundleIndex(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The index; times are seconds since the Unix epoch."""

    format: str
    name: str
    version: str
    flavour: str
    sequence: int
    created: int
    platform: str
    lock: Sha256
    runtime: Runtime
    archives: list[Archive]
    images: list[Image]
    charts: list[Chart]
    files: list[File]
    choices: list[Choice] | None = None
    expires: int | None = None


def encode(index: BundleIndex) -> bytes:
    """Index -> canonical bytes."""
    return jsontext.encode_canonical(index)


def decode(data: bytes, *, where: object = INDEX_NAME) -> BundleIndex:
    """Bytes -> index; unknown minor fields are ignored, an unknown major version is refused before anything else.

    Raises FormatError, also when the bytes are not canonical (two spellings of one index would be two signatures), and
    for a name, version, flavour or platform that cannot be part of a folder's name.
    """
    plain = jsontext.decode_plain(data, where=where, max_size=MAX_INDEX)
    major = str(plain.get("format", "")).partition(".")[0] if isinstance(plain, dict) else ""
    if major != FORMAT.partition(".")[0]:
        hint = "this bundle needs another version of sealift"
        raise FormatError("unknown bundle format", where=where, got=repr(major), want=FORMAT, hint=hint)
    try:
        canonical = jsontext.encode_canonical(plain)
    except TypeError as exc:
        raise FormatError(str(exc), where=where) from exc
    if canonical != data:
        raise FormatError("not canonical JSON", where=where, hint="the file was edited or reformatted")
    document = jsontext.decode(data, BundleIndex, where=where, max_size=MAX_INDEX)
    _check_values(document, where)
    return document


def _check_values(document: BundleIndex, where: object) -> None:
    """What becomes a folder's name, a header's time or a line on a terminal, before anybody uses it."""
    for key in ("name", "version", "flavour"):
        if not _WORD.fullmatch(text := getattr(document, key)):
            raise FormatError(
                f"not a bundle's {key}", where=where, got=ascii(text[:200]), want="letters, digits, . _ + -"
            )
    try:
        Platform.parse(document.platform)
    except FormatError as exc:
        raise FormatError(exc.message, where=where, got=exc.got, want=exc.want) from exc
    if not 0 <= document.created <= ustar.MAX_SIZE or document.sequence < 0:
        got = f"created {document.created}, sequence {document.sequence}"
        raise FormatError("a time or number out of range", where=where, got=got)


def folder_name(*, name: str, version: str, flavour: str, platform: str) -> str:
    """The bundle's folder: `rke2-v1.34.4-rke2r1-classic-linux-amd64`; the modern flavour adds no word."""
    words = [name, version, *([flavour] if flavour != "modern" else []), platform.replace("/", "-")]
    return "-".join(words)


def sums_name(platform: str) -> str:
    """The name of the checksum file: `sha256sum-amd64.txt`."""
    return f"sha256sum-{platform.split('/')[1]}.txt"
