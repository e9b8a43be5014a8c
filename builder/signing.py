"""Signs a bundle: it is checked, its index is signed, its provenance and SBOMs are signed as statements about it.

Only bundle.json is signed, some hundred kilobytes: it holds the digest of everything else. The gigabytes are read once
for the check, in pieces.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final

from bundles import index, jsontext
from bundles.digest import Digest
from bundles.errors import FormatError, LimitError, SealiftError
from bundles.files import os_errors, write_atomic
from bundles.index import INDEX_NAME, BundleIndex
from bundles.policy.model import MAX_POLICY
from bundles.policy.model import parse as parse_policy
from bundles.signing import blob, dsse, envelope, names, statement
from bundles.signing.keys import Signer
from bundles.signing.signed import holding
from bundles.signing.slot import choose_slot
from bundles.signing.statement import CYCLONEDX, SLSA_PROVENANCE, SPDX, Statement, Subject
from bundles.source import BundleSource, FolderSource, open_source
from bundles.talk import Progress
from bundles.trust import Trust
from bundles.verify import verify_bundle

_NOTHING: Final[Mapping[str, bytes]] = MappingProxyType({})
_PREDICATES: Final = {"provenance": SLSA_PROVENANCE, "sbom.spdx": SPDX, "sbom.cdx": CYCLONEDX}


@dataclass(frozen=True, kw_only=True, slots=True)
class SignReport:
    """What was signed: the digest of bundle.json, the key's id, the names of the files that were written."""

    index: Digest
    key: Digest
    files: tuple[str, ...]


def sign_bundle(
    folder: Path,
    signer: Signer,
    *,
    progress: Progress,
    quick: bool = False,
    expected: Digest | None = None,
    own: Mapping[str, bytes] = _NOTHING,
) -> SignReport:
    """Checks the bundle in `folder` and writes the signer's files into it.

    Args:
        folder: the bundle's.
        signer: whose signature it gets.
        progress: told of bytes checked.
        quick: every blob's digest is checked, but no diff ids.
        expected: the digest of bundle.json that was decided on, when somebody decided.
        own: documents that the signer states of the bundle in place of those in it: name -> JSON.

    Raises what `verify_bundle` raises, and SealiftError when
    the signer fails or signatures of something else stand there. Nothing is written before all of it is signed.
    """
    report = verify_bundle(folder, Trust(kind="insecure"), quick=quick, progress=progress)
    with open_source(folder) as source:
        if not isinstance(source, FolderSource):
            raise FormatError("not a bundle's folder", where=folder, hint="sign the folder, then pack it")
        data, present = source.envelope()
        if Digest.of(data) != report.index_digest or expected not in (None, report.index_digest):
            raise FormatError("the bundle changed while it was read", where=folder)
        slot = choose_slot(data, present, signer.public, where=folder)
        files = _index_signatures(data, signer, slot)
        holding(data, {**present, **files}, [signer.public], where=folder)  # as a node will read them
        files |= _attestations(source, report.index, report.index_digest, signer, slot, own)
    for name, content in files.items():
        write_atomic(folder / name, content)
    return SignReport(index=report.index_digest, key=signer.public.id, files=tuple(files))


def sign_policy(path: Path, signer: Signer) -> Digest:
    """Checks the policy at `path` and writes the signer's signature beside it; returns the digest of what was signed.

    PATH.sigstore.json for the first signer, PATH.KEY.sigstore.json for further ones. Raises FormatError and
    ProblemsError for what is no policy: nobody finds out on the ship that nothing can read it.
    """
    with os_errors(path), path.open("rb") as file:
        data = file.read(MAX_POLICY + 1)
    parse_policy(data, where=path)
    first, own = (
        path.with_name(f"{path.name}.sigstore.json"),
        path.with_name(f"{path.name}.{signer.public.short}.sigstore.json"),
    )
    target = first if not first.exists() or _is_of(first, signer) else own
    signature = signer.sign(data)
    signer.public.verify(signature, data, where=target)
    write_atomic(target, envelope.write_message(signer.public, Digest.of(data), signature))
    return Digest.of(data)


def _is_of(path: Path, signer: Signer) -> bool:
    with os_errors(path), path.open("rb") as file:
        data = file.read(envelope.MAX_MESSAGE + 1)
    return envelope.read_message(data, where=path).hint == signer.public.hint


def _index_signatures(data: bytes, signer: Signer, slot: str | None) -> dict[str, bytes]:
    signature = signer.sign(data)
    bundle, classic = names.index_signatures(slot)
    return {
        bundle: envelope.write_message(signer.public, Digest.of(data), signature),
        classic: blob.write_sig(signature),
    }


def _attestations(
    source: BundleSource,
    document: BundleIndex,
    digest: Digest,
    signer: Signer,
    slot: str | None,
    own: Mapping[str, bytes],
) -> dict[str, bytes]:
    listed = {file.path: file for file in document.files}
    found = {}
    for name, stem in names.ATTESTED.items():
        if name in listed:
            plain = _plain(own[name], name) if name in own else _read(source, listed[name])
            payload = statement.encode(about_bundle(plain, _PREDICATES[stem], digest))
            path = names.attestation(stem, slot)
            found[path] = dsse.sign(signer, payload)
            dsse.verify(found[path], signer.public, where=path)
    return found


def about_bundle(plain: Any, predicate_type: str, digest: Digest) -> Statement:
    """A document of the bundle -> the statement that says it of the bundle whose index has this digest. Pure.

    A document that is a statement already (the provenance: it lists the archives) keeps its predicate and subjects;
    bundle.json, which it could not name because it is listed there, becomes the first.
    """
    subjects = [Subject(name=INDEX_NAME, digest=digest)]
    if isinstance(plain, Mapping) and "_type" in plain:
        own = statement.decode(jsontext.encode_canonical(plain), where="statement")
        subjects += own.subjects
        plain, predicate_type = own.predicate, own.predicate_type
    return Statement(subjects=tuple(subjects), predicate_type=predicate_type, predicate=plain)


def _read(source: BundleSource, file: index.File) -> Any:
    """A listed JSON document, exactly as it is listed."""
    with source.open(file.path) as region:
        if region.size > statement.MAX_STATEMENT:
            want = f"<= {statement.MAX_STATEMENT} bytes"
            raise LimitError("a document too large to sign", where=region.where, got=region.size, want=want)
        data = region.read(0, region.size)
        if Digest.of(data) != file.sha256:
            raise SealiftError("the bundle changed while it was read", where=region.where)
        return _plain(data, region.where)


def _plain(data: bytes, where: str) -> Any:
    return jsontext.decode_plain(data, where=where, max_size=statement.MAX_STATEMENT)
