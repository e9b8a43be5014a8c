"""The cases of distribution-spec's conformance suite, asked by our client at real registries: pull, push, discovery.

The suite itself judges registries; what it asks of them is what a client has to get from them.
"""

import json
import random
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from bundles import oci
from bundles.digest import Digest
from bundles.errors import MissingError, SealiftError
from bundles.platform import Platform
from bundles.registry import tags
from bundles.registry.client import HttpRegistry, Settings
from bundles.registry.documents import EMPTY_CONFIG, EMPTY_DATA, Document, RemoteDescriptor, choose, read_index
from bundles.registry.memory import in_memory
from bundles.registry.place import Repository
from bundles.registry.protocol import once
from bundles.registry.referrers import attach, referrer
from bundles.registry.session import no_check
from bundles.registry.timing import real_timing
from tests.support.fakeregistry import fake_registry
from tests.support.gotools import go_tool
from tests.support.registry import running_registry

pytestmark = pytest.mark.real
DATA = random.Random(3).randbytes(300_000)
KIND = "application/vnd.oci.image.layer.v1.tar"


@dataclass(frozen=True)
class Peer:
    """Our client and a repository of a registry."""

    ours: HttpRegistry
    place: Repository
    kind: str

    def other(self, path: str) -> Repository:
        return Repository(host=self.place.host, path=path)

    def push(self, data: bytes, place: Repository | None = None, mount: Repository | None = None) -> bool:
        place = place or self.place
        return self.ours.push_blob(place, Digest.of(data), len(data), once(data), no_check, mount)

    def manifest(self, tag: str | None, **changes: Any) -> Document:
        """A small image, put under the tag or its digest."""
        self.push(EMPTY_DATA)
        self.push(DATA)
        config = {"mediaType": EMPTY_CONFIG.media_type, "digest": str(EMPTY_CONFIG.digest), "size": EMPTY_CONFIG.size}
        layer = {"mediaType": KIND, "digest": str(Digest.of(DATA)), "size": len(DATA)}
        plain = {"schemaVersion": 2, "mediaType": oci.MANIFEST, "config": config, "layers": [layer]} | changes
        document = of(plain)
        self.ours.push_manifest(self.place, tag or str(document.digest), document, no_check)
        return document


def of(plain: dict[str, Any]) -> Document:
    data = json.dumps(plain, indent=1).encode()  # as nobody would write it: only the digest counts
    return Document(data=data, digest=Digest.of(data), media_type=plain["mediaType"])


@pytest.fixture(scope="module", params=["distribution 2", "distribution 3", "ours for tests"])
def peer(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Peer]:
    folder = tmp_path_factory.mktemp("registry")
    program = {"distribution 2": "docker-registry"}.get(request.param) or go_tool("distribution")
    running = fake_registry() if "ours" in request.param else running_registry(folder, program=program)
    with running as registry:
        ours = HttpRegistry(Settings(piece=100_000), real_timing())
        yield Peer(ours, Repository(host=registry.host, path="conformance/one"), request.param)
        ours.close()


def test_pull_what_is_not_there_is_missing(peer: Peer) -> None:
    nothing = Digest.of(b"nothing")
    assert not peer.ours.has_blob(peer.place, nothing, no_check)
    assert peer.ours.has_manifest(peer.place, str(nothing), no_check) is None
    assert peer.ours.has_manifest(peer.place, "no-such-tag", no_check) is None
    with pytest.raises(MissingError):
        in_memory(peer.ours, peer.place, nothing, 7)
    with pytest.raises(MissingError):
        peer.ours.manifest(peer.place, "no-such-tag", no_check)


def test_push_a_blob_in_pieces_and_pull_it_from_any_byte(peer: Peer) -> None:
    assert peer.push(DATA) and not peer.push(DATA)
    got = bytearray(DATA[:123_456])
    peer.ours.fetch(
        peer.place, Digest.of(DATA), len(DATA), lambda data, at: got.__setitem__(slice(at, None), data), no_check,
        prefix=[DATA[:123_456]],
    )  # fmt: skip
    assert bytes(got) == DATA


def test_push_a_blob_whole_and_the_empty_one(peer: Peer) -> None:
    for data in (b"small", b"", EMPTY_DATA):
        peer.push(data)
        assert in_memory(peer.ours, peer.place, Digest.of(data), len(data)) == data


def test_push_refuses_bytes_of_another_digest(peer: Peer) -> None:
    with pytest.raises(SealiftError):
        peer.ours.push_blob(peer.place, Digest.of(b"right"), 5, once(b"wrong"), no_check)
    assert not peer.ours.has_blob(peer.place, Digest.of(b"right"), no_check)


def test_push_mounts_what_another_repository_has_and_sends_what_it_has_not(peer: Peer) -> None:
    peer.push(DATA)
    there = peer.other("conformance/two")
    assert not peer.push(DATA, there, mount=peer.place)
    assert peer.push(b"unknown there", there, mount=peer.place)
    assert in_memory(peer.ours, there, Digest.of(DATA), len(DATA)) == DATA


def test_manifests_by_tag_and_digest_keep_their_bytes_and_type(peer: Peer) -> None:
    for tag, changes in (
        ("plain", {}),
        ("artifact", {"artifactType": "application/vnd.example+json", "annotations": {"a": "ü"}}),
        ("no-layers", {"layers": []}),
        ("docker", {"mediaType": oci.DOCKER_MANIFEST}),
    ):
        document = peer.manifest(tag, **changes)
        assert peer.ours.manifest(peer.place, tag, no_check) == document
        assert peer.ours.manifest(peer.place, str(document.digest), no_check) == document
        assert peer.ours.has_manifest(peer.place, tag, no_check) == document.digest


def test_indexes_of_both_kinds_lead_to_a_platform_s_manifest(peer: Peer) -> None:
    image = peer.manifest(None)
    rows = [image.descriptor(platform=oci.PlatformDocument(os="linux", architecture="amd64"))]
    for kind in (oci.INDEX, oci.DOCKER_INDEX):
        plain = {"schemaVersion": 2, "mediaType": kind, "manifests": [json.loads(oci_json(one)) for one in rows]}
        index = of(plain)
        peer.ours.push_manifest(peer.place, "index", index, no_check)
        got = peer.ours.manifest(peer.place, "index", no_check)
        assert got == index and got.is_index
        found = choose(read_index(got, where="x").manifests, Platform.parse("linux/amd64"), where="x")
        assert found.digest == image.digest


def test_a_sparse_index_is_taken_or_refused_in_words(peer: Peer) -> None:
    """Of an index one platform is here. Whether a registry takes that is its own affair; ours says what it said."""
    image = peer.manifest(None)
    gone = {"mediaType": oci.MANIFEST, "digest": str(Digest.of(b"arm")), "size": 3}
    index = of(
        {"schemaVersion": 2, "mediaType": oci.INDEX, "manifests": [json.loads(oci_json(image.descriptor())), gone]}
    )
    try:
        peer.ours.push_manifest(peer.place, "sparse", index, no_check)
    except SealiftError as exc:
        assert exc.got and peer.kind != "ours for tests"
    else:
        assert peer.ours.manifest(peer.place, "sparse", no_check) == index


def test_referrers_are_found_again_with_their_types_by_api_or_tag(peer: Peer) -> None:
    subject = peer.manifest("subject").descriptor()
    assert peer.ours.referrers(peer.place, subject.digest, no_check) == []
    layer = RemoteDescriptor(media_type=KIND, digest=Digest.of(DATA), size=len(DATA))
    made = [(kind, referrer(subject, kind, [layer])) for kind in ("application/vnd.a+json", "application/vnd.b+json")]
    assert attach(peer.ours, peer.place, subject, made, no_check) == 2
    assert attach(peer.ours, peer.place, subject, made, no_check) == 0
    found = {one.digest: one.artifact_type for one in peer.ours.referrers(peer.place, subject.digest, no_check)}
    assert found == {document.digest: kind for kind, document in made}


def test_what_refers_to_a_manifest_that_comes_later_is_found_too(peer: Peer) -> None:
    layer = RemoteDescriptor(media_type=KIND, digest=Digest.of(DATA), size=len(DATA))
    plain = {"schemaVersion": 2, "mediaType": oci.MANIFEST, "config": json.loads(oci_json(EMPTY_CONFIG)), "layers": []}
    later = of(plain | {"annotations": {"comes": "later"}})
    said = referrer(later.descriptor(), "application/vnd.a+json", [layer])
    peer.push(DATA)
    attach(peer.ours, peer.place, later.descriptor(), [("application/vnd.a+json", said)], no_check)
    peer.ours.push_manifest(peer.place, "later", later, no_check)
    assert [one.digest for one in peer.ours.referrers(peer.place, later.digest, no_check)] == [said.digest]


def oci_json(descriptor: RemoteDescriptor) -> bytes:
    from bundles import jsontext

    return jsontext.encode_canonical(descriptor)


def test_tags_are_listed_page_by_page(peer: Peer, monkeypatch: pytest.MonkeyPatch) -> None:
    place = peer.other("conformance/tagged")
    names = ["a", "b", "v1.0.0", "v1.0.1", "z"]
    for name in names:
        peer.push(EMPTY_DATA, place)
        peer.ours.push_manifest(place, name, of(
            {"schemaVersion": 2, "mediaType": oci.MANIFEST, "layers": [], "annotations": {"name": name},
             "config": {"mediaType": EMPTY_CONFIG.media_type, "digest": str(EMPTY_CONFIG.digest), "size": 2}}
        ), no_check)  # fmt: skip
    for page in (2, 1000):
        monkeypatch.setattr(tags, "PAGE", page)
        assert sorted(peer.ours.tags(place, no_check)) == names
    with pytest.raises(MissingError):
        peer.ours.tags(peer.other("conformance/nothing"), no_check)
