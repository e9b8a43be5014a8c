"""Signatures of images in a real registry, both forms: cosign's are read here, ours are accepted by cosign."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from bundles.digest import Digest
from bundles.policy.upstream import check_upstream
from bundles.reference import Reference
from bundles.signing import dsse, envelope, images, statement
from bundles.signing.base64text import encode_base64
from bundles.signing.images import ImageSignature
from bundles.signing.keys import PublicKey
from tests.support import policies
from tests.support.cosigning import Cosign, KeyFiles, cosign, key_files
from tests.support.registry import OCI, Registry, running_registry

REPOSITORY = "site/app"
RULE = {"names": ["*"], "signers": ["site"]}


@pytest.fixture(scope="module")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Registry]:
    with running_registry(tmp_path_factory.mktemp("registry")) as running:
        yield running


@pytest.fixture(scope="module", params=[2, 3])
def tool(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Cosign:
    return cosign(request.param, tmp_path_factory.mktemp("cosign"))


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> KeyFiles:
    return key_files(tmp_path_factory.mktemp("keys"))


def read(registry: Registry, image: Digest, key: PublicKey) -> dict[str, list[ImageSignature]]:
    """The signatures by this key, by the form they were found in; the registry has no referrers API."""

    def blob(digest: Digest, limit: int) -> bytes:
        return registry.blob(REPOSITORY, digest, limit)

    found: dict[str, list[ImageSignature]] = {"tag": [], "referrer": []}
    if (manifest := registry.manifest(REPOSITORY, images.signature_tag(image))) is not None:
        found["tag"] += images.from_tag(manifest, image, [key], blob, where="tag")
    if (index := registry.manifest(REPOSITORY, images.referrers_tag(image))) is not None:
        for digest in images.referrer_manifests(index, where="referrers"):
            referrer = registry.manifest(REPOSITORY, str(digest))
            assert referrer is not None and Digest.of(referrer) == digest
            found["referrer"] += images.from_referrer(referrer, image, [key], blob, where="referrer")
    return found


def reference(registry: Registry, image: Digest) -> str:
    return f"{registry.host}/{REPOSITORY}@{image}"


def accepted(tool: Cosign, keys: KeyFiles, registry: Registry, image: Digest) -> bool:
    return tool.accepts("verify", "--key", keys.public, "--allow-http-registry", reference(registry, image))


def test_what_cosign_signs_is_found_and_of_nobody_else(
    tool: Cosign, keys: KeyFiles, registry: Registry, tmp_path: Path
) -> None:
    image = registry.push_image(REPOSITORY, f"theirs{tool.version}")
    other = registry.push_image(REPOSITORY, f"unsigned{tool.version}")
    place = ["--allow-http-registry", reference(registry, image)]
    tool.run("sign", "--key", keys.private, *tool.signing, *place)
    found = read(registry, image, keys.key.public)
    form = "tag" if tool.version == 2 else "referrer"
    assert [one.key for one in found[form]] == [keys.key.public.id]
    assert sum(map(len, found.values())) == 1
    assert not any(read(registry, image, key_files(tmp_path).key.public).values())
    assert not any(read(registry, other, keys.key.public).values())
    rules = [{"references": [f"{registry.host}/*"], "signers": ["site"]}]
    site = {"site": keys.key.public.pem.decode()}
    policy = policies.policy(keys=site, update={"signers": ["site"]}, bundles=[RULE], images=rules)
    assert check_upstream(policy, Reference.parse(f"{registry.host}/{REPOSITORY}:v1"), image, registry) == ()
    assert check_upstream(policy, Reference.parse(f"{registry.host}/{REPOSITORY}:v1"), other, registry)


def test_cosign_accepts_our_tag_form(tool: Cosign, keys: KeyFiles, registry: Registry) -> None:
    image = registry.push_image(REPOSITORY, f"ours{tool.version}")
    push_tag_form(registry, image, images.simple_payload(image, f"{registry.host}/{REPOSITORY}"), keys)
    assert accepted(tool, keys, registry, image)
    (found,) = read(registry, image, keys.key.public)["tag"]
    assert found.reference == f"{registry.host}/{REPOSITORY}"


def test_cosign_3_accepts_our_referrer_form(keys: KeyFiles, registry: Registry, tmp_path: Path) -> None:
    image = registry.push_image(REPOSITORY, "referred")
    push_referrer_form(registry, image, statement_about(image), keys)
    assert accepted(cosign(3, tmp_path / "cosign"), keys, registry, image)
    assert len(read(registry, image, keys.key.public)["referrer"]) == 1


def test_attack_another_images_signature_is_refused_by_both(tool: Cosign, keys: KeyFiles, registry: Registry) -> None:
    """A good signature of one image, put where another one's belongs."""
    image = registry.push_image(REPOSITORY, f"victim{tool.version}")
    other = registry.push_image(REPOSITORY, f"signed{tool.version}")
    push_tag_form(registry, image, images.simple_payload(other, "x"), keys)
    push_referrer_form(registry, image, statement_about(other), keys)
    assert not any(read(registry, image, keys.key.public).values())
    assert not accepted(tool, keys, registry, image)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b'"cosign container image signature"', b'"another signature"'),
        (b'"critical":{', b'"critical":{"unknown":1,'),
        (b'"critical":{', b'"critical":{},"critical":{'),
        (b'"docker-manifest-digest"', b'"Docker-Manifest-Digest"'),
    ],
)
def test_attack_a_signed_payload_with_other_critical_parts(
    keys: KeyFiles, registry: Registry, old: bytes, new: bytes
) -> None:
    image = registry.push_image(REPOSITORY, "critical")
    payload = images.simple_payload(image, "x")
    assert old in payload
    push_tag_form(registry, image, payload.replace(old, new), keys)
    assert not any(read(registry, image, keys.key.public).values())


def test_attack_another_statement_is_no_signature(keys: KeyFiles, registry: Registry) -> None:
    """An attestation is signed by the same key and says something else."""
    image = registry.push_image(REPOSITORY, "attested")
    push_referrer_form(registry, image, statement_about(image, statement.SPDX), keys)
    assert not any(read(registry, image, keys.key.public).values())


def statement_about(image: Digest, kind: str = images.SIGN_PREDICATE) -> bytes:
    subjects = (statement.Subject(name="", digest=image),)
    return statement.encode(statement.Statement(subjects=subjects, predicate_type=kind, predicate={}))


def push_tag_form(registry: Registry, image: Digest, payload: bytes, keys: KeyFiles) -> None:
    layer = registry.push_blob(REPOSITORY, payload, images.SIMPLE_SIGNING)
    layer["annotations"] = {"dev.cosignproject.cosign/signature": encode_base64(keys.key.sign(payload))}
    registry.push_manifest(REPOSITORY, images.signature_tag(image), signature_manifest(registry, [layer]))


def push_referrer_form(registry: Registry, image: Digest, payload: bytes, keys: KeyFiles) -> None:
    """With the index that a client has to keep where the registry has no referrers API."""
    layer = registry.push_blob(REPOSITORY, dsse.sign(keys.key, payload), envelope.MEDIA_TYPE)
    signed = registry.manifest(REPOSITORY, str(image))
    assert signed is not None
    manifest = signature_manifest(registry, [layer])
    manifest["artifactType"] = envelope.MEDIA_TYPE
    manifest["subject"] = {"mediaType": OCI, "digest": str(image), "size": len(signed)}
    digest = registry.push_manifest(REPOSITORY, "referrer", manifest)
    data = registry.manifest(REPOSITORY, str(digest))
    assert data is not None
    entry = {"mediaType": OCI, "digest": str(digest), "size": len(data), "artifactType": envelope.MEDIA_TYPE}
    index = {"schemaVersion": 2, "mediaType": "application/vnd.oci.image.index.v1+json", "manifests": [entry]}
    registry.push_manifest(REPOSITORY, images.referrers_tag(image), index)


def signature_manifest(registry: Registry, layers: list[dict[str, Any]]) -> dict[str, Any]:
    config = registry.push_blob(REPOSITORY, b"{}", "application/vnd.oci.empty.v1+json")
    return {"schemaVersion": 2, "mediaType": OCI, "config": config, "layers": layers}
