"""Images of others: both forms of cosign's signatures, counted by the policy's `images`."""

import json
from dataclasses import dataclass, field

import pytest

from bundles.digest import Digest
from bundles.errors import TrustError
from bundles.policy.judge import Refusal
from bundles.policy.upstream import check_upstream
from bundles.reference import Reference
from bundles.signing import dsse, envelope, images, statement
from bundles.signing.base64text import encode_base64
from tests.support import policies

IMAGE = Digest.of(b"an image's manifest")
NAME = Reference.parse("registry.example/team/app:v1")
RULES = [{"references": ["registry.example/team/*"], "signers": ["release", "builder"], "threshold": 2}]


@dataclass
class Shelf:
    """A registry of one repository, in memory."""

    manifests: dict[str, bytes] = field(default_factory=dict)
    blobs: dict[Digest, bytes] = field(default_factory=dict)

    def manifest(self, repository: str, reference: str) -> bytes | None:
        assert repository == "team/app"
        return self.manifests.get(reference)

    def blob(self, repository: str, digest: Digest, limit: int) -> bytes:
        assert len(self.blobs[digest]) <= limit
        return self.blobs[digest]

    def tag_form(self, *signers: str, image: Digest = IMAGE, beside: Digest = IMAGE) -> "Shelf":
        """A signature of `image` by each, where those of `beside` lie."""
        payload = images.simple_payload(image, "another.example/name")
        self.blobs[Digest.of(payload)] = payload
        layers = [
            {
                "mediaType": images.SIMPLE_SIGNING,
                "digest": str(Digest.of(payload)),
                "size": len(payload),
                "annotations": {"dev.cosignproject.cosign/signature": encode_base64(policies.key(name).sign(payload))},
            }
            for name in signers
        ]
        self.manifests[images.signature_tag(beside)] = json.dumps({"layers": layers}).encode()
        return self

    def referrer_form(self, signer: str) -> "Shelf":
        about = (statement.Subject(name="", digest=IMAGE),)
        said = statement.Statement(subjects=about, predicate_type=images.SIGN_PREDICATE, predicate={})
        data = dsse.sign(policies.key(signer), statement.encode(said))
        self.blobs[Digest.of(data)] = data
        layer = {"mediaType": envelope.MEDIA_TYPE, "digest": str(Digest.of(data)), "size": len(data)}
        subject = {"mediaType": "x", "digest": str(IMAGE), "size": 1}
        manifest = json.dumps({"layers": [layer], "subject": subject}).encode()
        self.manifests[str(Digest.of(manifest))] = manifest
        entry = {"mediaType": "x", "digest": str(Digest.of(manifest)), "artifactType": envelope.MEDIA_TYPE}
        self.manifests[images.referrers_tag(IMAGE)] = json.dumps({"manifests": [entry]}).encode()
        return self


def check(shelf: Shelf, name: Reference = NAME) -> tuple[Refusal, ...]:
    return check_upstream(policies.policy(images=RULES), name, IMAGE, shelf)


def test_enough_signatures_in_both_forms_together_let_an_image_in() -> None:
    assert check(Shelf().tag_form("release").referrer_form("builder")) == ()
    assert check(Shelf().tag_form("release", "builder")) == ()


@pytest.mark.parametrize("signers", [(), ("release",), ("release", "release"), ("release", "stranger"), ("root",)])
def test_too_few_signatures_of_the_rules_keys_do_not(signers: tuple[str, ...]) -> None:
    (refusal,) = check(Shelf().tag_form(*signers))
    assert "registry.example/team/app:v1 is not signed" in refusal.message and refusal.want.startswith("2 of")
    assert not refusal.override


def test_attack_the_signature_of_another_image_beside_this_one() -> None:
    assert check(Shelf().tag_form("release", "builder", image=Digest.of(b"another")))


def test_an_unsigned_image_is_refused_and_one_that_no_rule_names_is_not_asked_about() -> None:
    assert check(Shelf())
    assert check(Shelf(), Reference.parse("elsewhere.example/team/app:v1")) == ()


def test_attack_a_referrer_that_is_not_the_listed_one() -> None:
    shelf = Shelf().tag_form("release").referrer_form("builder")
    (listed,) = (name for name in shelf.manifests if name.startswith("sha256:"))
    shelf.manifests[listed] += b" "
    assert check(shelf)


def test_attack_signatures_that_cannot_be_read_are_refused_for_trust() -> None:
    shelf = Shelf()
    shelf.manifests[images.signature_tag(IMAGE)] = b'{"layers":[],"layers":[]}'
    with pytest.raises(TrustError, match="duplicate"):
        check(shelf)
