"""Whole bundles into a registry and back: the same bytes, what is there is not sent, nothing hostile gets a name."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from bundles import index, oci
from bundles.digest import Digest
from bundles.errors import FormatError, MissingError, SealiftError
from bundles.index import BundleIndex, File
from bundles.registry import artifact
from bundles.registry.opened import opened_bundle
from bundles.registry.place import Place, Repository, parse_place
from bundles.registry.pull import Pulled, pull_bundle
from bundles.registry.push import Sent, push_bundle
from bundles.registry.site import Placed, push_images, site_registries
from bundles.signing import names
from bundles.source import open_source
from bundles.talk import SilentProgress
from tests.support.bundles import CORE, RUNTIME, add_documents, forge, make_bundle, tree
from tests.support.fakeregistry import Clock, FakeRegistry, Fault, Seen, client, fake_registry

SIGNATURES = (*names.index_signatures(None), "provenance.sigstore.json")


@pytest.fixture(params=["tag", "api"])
def registry(request: pytest.FixtureRequest) -> Iterator[FakeRegistry]:
    """Without and with the referrers API."""
    with fake_registry() as running:
        running.referrers_api = request.param == "api"
        yield running


@pytest.fixture
def plain() -> Iterator[FakeRegistry]:
    with fake_registry() as running:
        yield running


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    made = make_bundle(tmp_path)
    add_documents(made)
    return made


def place(registry: FakeRegistry, tag: str = "v1") -> Place:
    return parse_place(f"{registry.host}/site/rke2:{tag}")


def push(registry: FakeRegistry, bundle: Path, tag: str | None = "v1") -> Sent:
    with client(Clock()) as ours, open_source(bundle) as source, opened_bundle(source) as opened:
        return push_bundle(opened, ours, place(registry).repository, tag, SilentProgress())


def pull(registry: FakeRegistry, output: Path, tag: str = "v1") -> Pulled:
    with client(Clock()) as ours:
        return pull_bundle(ours, place(registry, tag), output, SilentProgress())


def changes(seen: list[Seen]) -> list[str]:
    return [f"{one.method} {one.path}" for one in seen if one.method not in ("GET", "HEAD")]


def test_a_bundle_comes_back_byte_for_byte_with_its_signatures(
    registry: FakeRegistry, bundle: Path, tmp_path: Path
) -> None:
    for name in SIGNATURES:
        (bundle / name).write_text(f"signature {name}")
    push(registry, bundle)
    pulled = pull(registry, tmp_path / "out")
    assert tree(pulled.folder) == tree(bundle) and pulled.folder.name == bundle.name
    assert pulled.signatures == tuple(sorted(SIGNATURES))
    assert [path.name for path in (tmp_path / "out").iterdir()] == [bundle.name]


def test_a_second_push_sends_nothing_and_a_second_pull_fetches_nothing(
    registry: FakeRegistry, bundle: Path, tmp_path: Path
) -> None:
    (bundle / SIGNATURES[0]).write_text("signature")
    first = push(registry, bundle)
    assert first.blobs and first.manifests and first.referrers == 4
    registry.seen.clear()
    again = push(registry, bundle)
    assert (again.blobs, again.size, again.manifests, again.referrers) == (0, 0, 0, 0)
    assert again.digest == first.digest and not changes(registry.seen)
    pull(registry, tmp_path / "out")
    registry.seen.clear()
    assert pull(registry, tmp_path / "out").was_there
    assert sum("/blobs/" in path for path in registry.paths()) == 2  # bundle.json and the signature


def test_a_signature_that_came_later_is_added_to_what_was_pulled(
    registry: FakeRegistry, bundle: Path, tmp_path: Path
) -> None:
    first = push(registry, bundle)
    pull(registry, tmp_path / "out")
    (bundle / SIGNATURES[1]).write_text("signature")
    second = push(registry, bundle)
    assert second.digest == first.digest and second.blobs == 1 and second.referrers == 1
    assert tree(pull(registry, tmp_path / "out").folder) == tree(bundle)


def test_images_are_images_and_no_archive_is_sent(plain: FakeRegistry, bundle: Path) -> None:
    push(plain, bundle)
    document = index.decode((bundle / index.INDEX_NAME).read_bytes())
    for image in document.images:
        assert ("site/rke2", str(image.digest)) in plain.manifests
    sent = {digest for _, digest in plain.blobs}
    assert not sent & {str(archive.sha256) for archive in document.archives}
    kind, data = plain.manifests["site/rke2", "v1"]
    assert kind == oci.INDEX
    assert [one["digest"] for one in json.loads(data)["manifests"]][1:] == [str(one.digest) for one in document.images]


def test_the_next_release_sends_only_what_changed(plain: FakeRegistry, tmp_path: Path) -> None:
    push(plain, make_bundle(tmp_path / "one", big=200_000))
    sent = push(plain, make_bundle(tmp_path / "two", big=200_001), "v2")
    assert sent.blobs == 4  # the runtime's layer and config, bundle.json, the sums
    assert pull(plain, tmp_path / "out", "v2").index.archives == index_of(tmp_path / "two")


def index_of(parent: Path) -> list[index.Archive]:
    (folder,) = parent.iterdir()
    return index.decode((folder / index.INDEX_NAME).read_bytes()).archives


def test_a_bundle_without_a_tag_gets_that_of_its_version(plain: FakeRegistry, bundle: Path) -> None:
    assert push(plain, bundle, None).tag == "v1.34.4-rke2r1-classic-linux-amd64"
    document = index.decode((bundle / index.INDEX_NAME).read_bytes())
    assert (
        artifact.default_tag(msgspec.structs.replace(document, version="v1+rke2r1")) == "v1_rke2r1-classic-linux-amd64"
    )


def test_what_is_damaged_here_does_not_get_there(plain: FakeRegistry, bundle: Path) -> None:
    data = bytearray((bundle / RUNTIME).read_bytes())
    data[len(data) // 2] ^= 1
    (bundle / RUNTIME).write_bytes(data)
    with pytest.raises(FormatError, match="damaged"):
        push(plain, bundle)
    assert ("site/rke2", "v1") not in plain.manifests


def test_a_pull_that_was_cut_off_goes_on(plain: FakeRegistry, bundle: Path, tmp_path: Path) -> None:
    push(plain, bundle)
    layer = max(plain.blobs, key=lambda key: len(plain.blobs[key]))
    plain.seen.clear()
    plain.faults = lambda seen, number: Fault(cut=150_000) if layer[1] in seen.path else None
    good = len(plain.blobs[layer])

    def stubborn(seen: Seen, number: int) -> Fault | None:
        return (
            (Fault(cut=150_000) if "range" not in seen.headers else Fault(status=404))
            if layer[1] in seen.path
            else None
        )

    plain.faults = stubborn
    with pytest.raises(MissingError):
        pull(plain, tmp_path / "out")
    assert not (tmp_path / "out" / bundle.name).exists()
    plain.faults = lambda seen, number: None
    plain.seen.clear()
    pulled = pull(plain, tmp_path / "out")
    assert tree(pulled.folder) == tree(bundle)
    (asked,) = (seen for seen in plain.seen if layer[1] in seen.path)
    assert 100_000 <= int(asked.headers["range"].removeprefix("bytes=").removesuffix("-")) <= 150_000
    assert pulled.size < good


def test_another_bundle_of_the_same_name_is_not_written_over(plain: FakeRegistry, bundle: Path, tmp_path: Path) -> None:
    push(plain, bundle)
    folder = pull(plain, tmp_path / "out").folder
    (folder / CORE).write_bytes(b"changed")
    with pytest.raises(FormatError, match="another bundle"):
        pull(plain, tmp_path / "out")
    assert (folder / CORE).read_bytes() == b"changed"


def test_an_image_is_no_bundle(plain: FakeRegistry, bundle: Path, tmp_path: Path) -> None:
    push(plain, bundle)
    document = index.decode((bundle / index.INDEX_NAME).read_bytes())
    image = Place(repository=place(plain).repository, digest=document.images[0].digest)
    with client(Clock()) as ours, pytest.raises(FormatError, match="no bundle"):
        pull_bundle(ours, image, tmp_path / "out", SilentProgress())
    with pytest.raises(MissingError):
        pull(plain, tmp_path / "out", "none")


def forged(registry: FakeRegistry, bundle: Path, change: Callable[[BundleIndex], Any]) -> None:
    """Pushes the bundle, then puts a bundle.json of a stranger in its place."""
    push(registry, bundle)
    forge(bundle, change)
    data = (bundle / index.INDEX_NAME).read_bytes()
    layer = artifact.file_descriptor(index.INDEX_NAME, registry.add("site/rke2", data), len(data))
    own = artifact.bundle_manifest([layer], [])
    registry.add_manifest("site/rke2", "forged", own.data, own.media_type)


def other_path(path: str) -> Callable[[BundleIndex], BundleIndex]:
    def change(document: BundleIndex) -> BundleIndex:
        first = document.files[0]
        return msgspec.structs.replace(document, files=[msgspec.structs.replace(first, path=path), *document.files[1:]])

    return change


@pytest.mark.parametrize(
    "path",
    [
        "../escape", "/etc/escape", "a/../../escape", "a//b", ".ssh/authorized_keys", "./x", "bundle.json", "images",
        "bundle.json.sig", "a\nb", "x" * 300, "/".join("abcdefghij"), "images/rke2-runtime.linux-amd64.tar",
        "sha256sum-amd64.txt/x", "images/rke2-runtime.linux-amd64.tar.part", "",
    ],
)  # fmt: skip
def test_a_stranger_s_index_names_no_file_outside_of_the_bundle(
    plain: FakeRegistry, bundle: Path, tmp_path: Path, path: str
) -> None:
    before = {one for one in tmp_path.rglob("*") if "out" not in one.parts}
    forged(plain, bundle, other_path(path))
    with pytest.raises(FormatError):
        pull(plain, tmp_path / "out", "forged")
    assert not (tmp_path / "out").exists()
    assert {one for one in tmp_path.rglob("*") if "out" not in one.parts} == before


def lying(document: BundleIndex, **values: Any) -> BundleIndex:
    first = msgspec.structs.replace(document.archives[0], **values)
    return msgspec.structs.replace(document, archives=[first, *document.archives[1:]])


@pytest.mark.parametrize(
    "change",
    [
        lambda document: lying(document, size=1 << 40),
        lambda document: lying(document, sha256=Digest.of(b"other")),
        lambda document: lying(document, blobs=document.archives[0].blobs[1:]),
        lambda document: lying(document, images=[*document.archives[0].images] * 2),
        lambda document: lying(document, images=["docker.io/rancher/none:v1"]),
        lambda document: msgspec.structs.replace(document, created=document.created + 1),
        lambda document: msgspec.structs.replace(
            document, files=[*document.files, File(path="more", size=5, sha256=Digest.of(b"x"))]
        ),
        lambda document: msgspec.structs.replace(
            document, files=[*document.files, File(path="more", size=1 << 60, sha256=Digest.of(b"x"))]
        ),
    ],
)
def test_an_index_that_does_not_belong_to_the_images_gives_no_bundle(
    plain: FakeRegistry, bundle: Path, tmp_path: Path, change: Callable[[BundleIndex], BundleIndex]
) -> None:
    forged(plain, bundle, change)
    with pytest.raises(SealiftError):
        pull(plain, tmp_path / "out", "forged")
    assert not (tmp_path / "out" / bundle.name).exists()


def test_a_referrer_can_only_be_a_signature(plain: FakeRegistry, bundle: Path, tmp_path: Path) -> None:
    (bundle / SIGNATURES[0]).write_text("signature")
    push(plain, bundle)
    for (repository, name), (kind, data) in list(plain.manifests.items()):
        text = data.decode()
        if SIGNATURES[0] in text:
            hostile = text.replace(SIGNATURES[0], "../../escape").encode()
            plain.manifests[repository, name] = (kind, hostile)
            digest = Digest.of(hostile)
            plain.manifests[repository, str(digest)] = (kind, hostile)
            for key, (other, listed) in list(plain.manifests.items()):
                plain.manifests[key] = (other, listed.replace(name.encode(), str(digest).encode()))
    with pytest.raises(FormatError, match="not a bundle's signature"):
        pull(plain, tmp_path / "out")


def site(registry: FakeRegistry, bundle: Path, prefix: str = "hub") -> tuple[list[Placed], Sent, str]:
    with client(Clock()) as ours, open_source(bundle) as source, opened_bundle(source) as opened:
        sent = push_bundle(opened, ours, place(registry).repository, "v1", SilentProgress())
        placed = push_images(opened, ours, registry.host, prefix, sent, SilentProgress())
        return placed, sent, site_registries(opened, host=registry.host, prefix=prefix, plain=True)


def test_images_go_to_the_site_under_their_names_with_their_digests_and_are_mounted(
    plain: FakeRegistry, bundle: Path
) -> None:
    placed, sent, text = site(plain, bundle)
    document = index.decode((bundle / index.INDEX_NAME).read_bytes())
    assert {one.reference: one.digest for one in placed} == {one.reference: one.digest for one in document.images}
    for one in placed:
        assert one.repository == Repository(host=plain.host, path=f"hub/rancher/{one.repository.path.split('/')[-1]}")
        assert Digest.of(plain.manifests[one.repository.path, one.tag][1]) == one.digest
    puts = [path for path in plain.paths("PUT") if "/blobs/" in path and "/hub/" in path]
    assert not puts and '"docker.io"' in text and "hub/$1" in text
    plain.seen.clear()
    placed, sent, _ = site(plain, bundle)
    assert (sent.blobs, sent.manifests) == (0, 0) and not changes(plain.seen)
