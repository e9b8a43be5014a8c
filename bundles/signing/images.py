"""cosign's signatures of images, in both forms in which they lie in a registry. Pure: the caller fetches.

* Tag form (cosign 1 and 2; 3 reads it): a manifest under the tag `sha256-HEX.sig` beside the image; each layer is a
  "simple signing" payload, its signature in an annotation (sigstore/cosign specs/SIGNATURE_SPEC.md).
* Referrer form (cosign 3): a manifest whose `subject` is the image and whose layer is a sigstore bundle of a statement
  about it. It is found by the referrers API or in the index under the tag `sha256-HEX` (OCI distribution-spec 1.1).

Where it lies proves nothing: what counts is a digest in a payload that one of our keys signed.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, Final

import msgspec

from bundles import jsontext
from bundles.digest import Digest
from bundles.errors import FormatError, TrustError
from bundles.signing import dsse, envelope, statement
from bundles.signing.base64text import decode_base64
from bundles.signing.keys import PublicKey

SIMPLE_SIGNING: Final = "application/vnd.dev.cosign.simplesigning.v1+json"
SIGN_PREDICATE: Final = "https://sigstore.dev/cosign/sign/v1"
MAX_MANIFEST: Final = 4 << 20  # bytes, as registries bound manifests (distribution-spec, "Pushing Manifests")
MAX_PAYLOAD: Final = 64 << 10  # bytes of a payload or a bundle; real ones are below 10 KiB
MAX_SIGNATURES: Final = 256  # layers or referrers that are looked at
_ANNOTATION: Final = "dev.cosignproject.cosign/signature"
_TYPE: Final = "cosign container image signature"

Blob = Callable[[Digest, int], bytes]
"""Digest and the most bytes it may have -> the bytes, which the caller has checked against the digest."""


class _Layer(msgspec.Struct, frozen=True, kw_only=True):
    mediaType: str
    digest: Digest
    size: int
    annotations: dict[str, str] = {}


class _Manifest(msgspec.Struct, frozen=True, kw_only=True):
    layers: list[_Layer] = []
    subject: _Layer | None = None
    artifactType: str = ""


class _Entry(msgspec.Struct, frozen=True, kw_only=True):
    mediaType: str
    digest: Digest
    artifactType: str = ""


class _Index(msgspec.Struct, frozen=True, kw_only=True):
    manifests: list[_Entry] = []


class _Image(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    digest: Digest = msgspec.field(name="docker-manifest-digest")


class _Identity(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    reference: str = msgspec.field(name="docker-reference", default="")


class _Critical(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    identity: _Identity
    image: _Image
    type_: str = msgspec.field(name="type")


class _Payload(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    critical: _Critical
    optional: Any = None


@dataclass(frozen=True, kw_only=True, slots=True)
class ImageSignature:
    """A signature of the image that holds: the key's id, and the name that the signer gave the image (may be empty)."""

    key: Digest
    reference: str = ""


def signature_tag(image: Digest) -> str:
    """Where the tag form lies, in the image's own repository."""
    return f"sha256-{image.hex}.sig"


def referrers_tag(image: Digest) -> str:
    """Where the index of referrers lies in a registry without the referrers API."""
    return f"sha256-{image.hex}"


def simple_payload(image: Digest, reference: str) -> bytes:
    """The bytes that the tag form signs, as cosign writes them."""
    critical = {
        "identity": {"docker-reference": reference},
        "image": {"docker-manifest-digest": str(image)},
        "type": _TYPE,
    }
    return jsontext.encode_canonical({"critical": critical, "optional": {}}).rstrip(b"\n")


def from_tag(
    manifest: bytes, image: Digest, keys: Iterable[PublicKey], blob: Blob, *, where: object
) -> tuple[ImageSignature, ...]:
    """The manifest under `signature_tag` -> signatures of `image` by `keys`; others are passed over, as cosign does.

    Raises FormatError for a manifest that cannot be read; what `blob` raises.
    """
    document = jsontext.decode(manifest, _Manifest, where=where, max_size=MAX_MANIFEST)
    known = tuple(keys)
    found = []
    for layer in document.layers[:MAX_SIGNATURES]:
        if layer.mediaType == SIMPLE_SIGNING and _ANNOTATION in layer.annotations and layer.size <= MAX_PAYLOAD:
            payload = blob(layer.digest, MAX_PAYLOAD)
            found += [_simple(payload, layer.annotations[_ANNOTATION], image, key, where) for key in known]
    return tuple(one for one in found if one is not None)


def referrer_manifests(index: bytes, *, where: object) -> tuple[Digest, ...]:
    """The index of an image's referrers -> the manifests that may hold a signature; raises FormatError.

    cosign 3 names the bundle's media type as artifact type; registries without the API leave the field out.
    """
    document = jsontext.decode(index, _Index, where=where, max_size=MAX_MANIFEST)
    wanted = ("", envelope.MEDIA_TYPE)
    return tuple(one.digest for one in document.manifests if one.artifactType in wanted)[:MAX_SIGNATURES]


def from_referrer(
    manifest: bytes, image: Digest, keys: Iterable[PublicKey], blob: Blob, *, where: object
) -> tuple[ImageSignature, ...]:
    """A referrer's manifest -> signatures of `image` by `keys`; see `from_tag`. Other statements are passed over."""
    document = jsontext.decode(manifest, _Manifest, where=where, max_size=MAX_MANIFEST)
    if document.subject is None or document.subject.digest != image:
        return ()
    known = {key.hint: key for key in keys}
    found = []
    for layer in document.layers[:1]:
        if layer.mediaType == envelope.MEDIA_TYPE and layer.size <= MAX_PAYLOAD:
            found.append(_bundle(blob(layer.digest, MAX_PAYLOAD), image, known, where))
    return tuple(one for one in found if one is not None)


def _simple(payload: bytes, signature: str, image: Digest, key: PublicKey, where: object) -> ImageSignature | None:
    try:
        key.verify(decode_base64(signature, where=where), payload, where=where)
        said = jsontext.decode(payload, _Payload, where=where, max_size=MAX_PAYLOAD).critical
    except (TrustError, FormatError):
        return None
    if said.type_ != _TYPE or said.image.digest != image:
        return None
    return ImageSignature(key=key.id, reference=said.identity.reference)


def _bundle(data: bytes, image: Digest, known: dict[str, PublicKey], where: object) -> ImageSignature | None:
    try:
        key = known.get(envelope.read_statement(data, where=where, max_size=MAX_PAYLOAD).hint)
        if key is None:
            return None
        said = statement.decode(dsse.verify(data, key, where=where), where=where)
        if said.predicate_type != SIGN_PREDICATE:
            return None
        said.about(image, where=where)
    except (TrustError, FormatError):
        return None
    return ImageSignature(key=key.id, reference=said.subjects[0].name)
