"""A policy's `images` rules at build time: whose signatures mirrored images must have, before they are taken over.

Asked is the registry; what it answered is kept, so that the same build goes offline. Where the lock pins signatures
(`signatures: true`), those are what counts, and nobody is asked.
"""

from collections.abc import Sequence
from typing import Any, Final

from builder.lock.images import LockedEvidence, LockedImage
from builder.lock.imagetext import MIRROR, evidence_of, evidence_plain
from builder.mirror import evidence
from builder.mirror.bring import WORKERS, Bringer
from builder.mirror.remote import source_of
from builder.store import Store
from bundles import jsontext, oci
from bundles.crew import Crew, Seat
from bundles.digest import Digest
from bundles.errors import FormatError, MissingError
from bundles.files import make_folders, write_atomic
from bundles.policy.judge import Refusal, matches
from bundles.policy.model import Policy
from bundles.policy.upstream import check_upstream
from bundles.registry.documents import RemoteDescriptor, RemoteIndex, read_document, read_manifest
from bundles.signing.images import referrers_tag
from bundles.trust import refused

_FOLDER: Final = "signatures"


def check_signatures(policy: Policy, bringer: Bringer) -> int:
    """Every mirrored image of a lock by the policy; returns how many some rule asked about.

    Raises TrustError that names each image that is not signed as asked, and whose signatures are wanted; MissingError
    offline, when nobody kept what the registry has; what the registry client raises.
    """
    asked = [
        each
        for each in bringer.images
        if each.source.startswith(MIRROR)
        and any(matches(rule.references, source_of(each).name) for rule in policy.images)
    ]
    if not asked:
        return 0
    found = _evidence(asked, bringer)
    refusals = [one for each in asked for one in _refusals(policy, each, found[each.image], bringer.store)]
    if refusals:
        raise refused(refusals, where="upstream signatures")
    return len(asked)


def _refusals(policy: Policy, each: LockedImage, found: Sequence[LockedEvidence], store: Store) -> tuple[Refusal, ...]:
    """What stands against an image: nothing when its index or its manifest is signed as asked."""
    against: tuple[Refusal, ...] = ()
    for digest in each.signed:
        against = check_upstream(policy, source_of(each), digest, KeptUpstream(digest, found, store))
        if not against:
            return ()
    return against


class KeptUpstream:
    """bundles.policy.upstream.Upstream, out of the store."""

    def __init__(self, subject: Digest, found: Sequence[LockedEvidence], store: Store) -> None:
        """`found`: what lies beside the image; only what is about `subject` is shown."""
        self._found = [one for one in found if one.subject == subject]
        self._subject, self._store = subject, store

    def manifest(self, repository: str, reference: str) -> bytes | None:
        """See Upstream."""
        if reference == referrers_tag(self._subject):
            return self._referrers()
        for one in self._found:
            if reference in (one.tag, str(one.manifest.digest)):
                return self._store.read(one.manifest.digest)
        return None

    def blob(self, repository: str, digest: Digest, limit: int) -> bytes:
        """See Upstream."""
        data = self._store.read(digest)
        if len(data) > limit:
            raise FormatError("too large for a signature", where=digest, got=len(data), want=f"<= {limit} bytes")
        return data

    def _referrers(self) -> bytes | None:
        listed = [self._descriptor(one) for one in self._found if not one.tag]
        if not listed:
            return None
        return jsontext.encode_canonical(RemoteIndex(schema_version=2, media_type=oci.INDEX, manifests=listed))

    def _descriptor(self, one: LockedEvidence) -> RemoteDescriptor:
        document = read_document(self._store.read(one.manifest.digest), one.manifest.type, where=one.manifest.digest)
        kind = read_manifest(document, where=one.manifest.digest).artifact_type
        return document.descriptor(artifact_type=kind)


def _evidence(asked: Sequence[LockedImage], bringer: Bringer) -> dict[str, tuple[LockedEvidence, ...]]:
    """What lies beside each image, by its key: as the lock pins it, as the registry says now, as it was kept."""
    store = bringer.store
    if bringer.offline:
        found = {each.image: each.evidence or _read(store, each) for each in asked}
        lacking = [source_of(each).name for each in asked if found[each.image] is None or evidence.missing(each, store)]
        if lacking:
            hint = "run it once without --offline; or lock with `signatures: true`"
            rows = "".join(f"\n    {name}" for name in lacking)
            raise MissingError("the store has no signatures of these images", got=rows, hint=hint)
        return {name: one or () for name, one in found.items()}
    with bringer.reach.opened(bringer.env) as registry:

        def one(each: LockedImage, seat: Seat) -> tuple[LockedEvidence, ...]:
            if each.evidence:
                evidence.bring(registry, each, store, bringer.checking(seat))
                return each.evidence
            collected = evidence.collect(registry, each, store, bringer.checking(seat))
            _write(store, each, collected)
            return collected

        done = Crew(one, lambda _: 1).all(asked, WORKERS)
    return {each.image: found for each, found in zip(asked, done, strict=True)}


def _write(store: Store, each: LockedImage, found: Sequence[LockedEvidence]) -> None:
    folder = store.root / _FOLDER
    make_folders(folder)
    plain: dict[str, Any] = {"signatures": [evidence_plain(one) for one in found]}
    write_atomic(folder / f"{each.manifest.digest.hex}.json", jsontext.encode_canonical(plain))


def _read(store: Store, each: LockedImage) -> tuple[LockedEvidence, ...] | None:
    """What was kept; None when nothing was, or when something of it has gone."""
    path = store.root / _FOLDER / f"{each.manifest.digest.hex}.json"
    try:
        plain = jsontext.decode_plain(path.read_bytes(), where=path)
        found = tuple(map(evidence_of, plain["signatures"]))
    except (OSError, FormatError, KeyError, TypeError):
        return None
    blobs = (blob for one in found for blob in (one.manifest, *one.blobs))
    return found if all(store.has(blob.digest, blob.size) for blob in blobs) else None
