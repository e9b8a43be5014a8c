"""Signatures of other people's images: which a policy asks for, and whether they are there.

For images that a build takes over as they are. The lock pins such an image by its digest; its signature says whose it
is. What is asked is the policy's `images`, on the machine that builds: a node sees the bundle's signatures alone.
"""

from typing import Protocol

from bundles.digest import Digest
from bundles.errors import FormatError, TrustError
from bundles.policy.judge import Refusal, matches
from bundles.policy.model import ImageRule, Policy
from bundles.reference import Reference
from bundles.signing import images


class Upstream(Protocol):
    """Where an image and its signatures lie: a registry, or a copy of one."""

    def manifest(self, repository: str, reference: str) -> bytes | None:
        """A manifest or index by tag or digest, of at most images.MAX_MANIFEST bytes; None when there is none.

        The tag `sha256-HEX` is answered with what the referrers API says, where the registry has it.
        """

    def blob(self, repository: str, digest: Digest, limit: int) -> bytes:
        """A blob of at most `limit` bytes, checked against its digest."""


def check_upstream(policy: Policy, image: Reference, digest: Digest, upstream: Upstream) -> tuple[Refusal, ...]:
    """What the policy's `images` have against taking over `image`; empty when it may be, or nothing asks about it.

    `digest`: what the lock pins, of the manifest or of the index that was signed. The name in a signature is not
    compared, as with cosign: mirrors have others, and the digest says which image it is. Raises TrustError for
    signatures that cannot be read, and what `upstream` raises.
    """
    rules = [rule for rule in policy.images if matches(rule.references, image.name)]
    if not rules:
        return ()
    where = f"signatures of {image.name}"
    try:
        signed = _signers(policy, image, digest, upstream, where)
    except FormatError as exc:
        raise TrustError(exc.message, where=exc.where, got=exc.got, want=exc.want) from exc
    return tuple(_unsigned(policy, rule, image, signed) for rule in rules if not rule.quorum.met(signed))


def _signers(policy: Policy, image: Reference, digest: Digest, upstream: Upstream, where: str) -> frozenset[Digest]:
    """The ids of the policy's keys that signed it, in either form."""
    keys = tuple(policy.keys.values())
    repository = image.repository

    def blob(wanted: Digest, limit: int) -> bytes:
        return upstream.blob(repository, wanted, limit)

    found: list[images.ImageSignature] = []
    if (manifest := upstream.manifest(repository, images.signature_tag(digest))) is not None:
        found += images.from_tag(manifest, digest, keys, blob, where=where)
    if (index := upstream.manifest(repository, images.referrers_tag(digest))) is not None:
        for one in images.referrer_manifests(index, where=where):
            referrer = upstream.manifest(repository, str(one))
            if referrer is not None and Digest.of(referrer) == one:
                found += images.from_referrer(referrer, digest, keys, blob, where=where)
    return frozenset(signature.key for signature in found) - policy.revoked


def _unsigned(policy: Policy, rule: ImageRule, image: Reference, signed: frozenset[Digest]) -> Refusal:
    return Refusal(
        message=f"{image.name} is not signed as the policy asks",
        got=policy.told(rule.quorum.signers & signed),
        want=f"{rule.quorum.threshold} of {policy.told(rule.quorum.signers)}",
    )
