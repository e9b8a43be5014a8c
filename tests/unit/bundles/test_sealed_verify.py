"""One sealed archive: everything that is not exactly as written is noticed and named."""

import io
import random
import tarfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from bundles import oci, ustar
from bundles.digest import Digest
from bundles.errors import FormatError, LimitError, MissingError, SealiftError
from bundles.platform import Platform
from bundles.reference import Reference
from bundles.sealed.documents import make_config, make_manifest
from bundles.sealed.layout import Entry, lay_out
from bundles.sealed.opened import SealedImage
from bundles.sealed.verify import verify_archive
from tests.support.bundles import joined, members
from tests.support.damage import flip
from tests.support.releases import AMD64, program
from tests.support.sealed import EPOCH, Content, MadeArchive, make_archive

ARM64 = Platform(os="linux", architecture="arm64")
NOISE = random.Random(3).randbytes(150_000)
FILES: dict[str, Content] = {"bin/kubelet": program(NOISE), "bin/run.sh": b"#!/bin/sh\n", "charts/a.yaml": b"a: 1\n"}
RUNTIME = "docker.io/rancher/rke2-runtime:v1.2.3"
Parts = list[tuple[ustar.Header, bytes]]


@pytest.fixture
def made(tmp_path: Path) -> MadeArchive:
    pause: dict[str, Content] = {"pause": program(b"p")}
    second: dict[str, Content] = {"bin/second": program(b"2")}
    return make_archive(tmp_path / "a.tar", {RUNTIME: [FILES, second], "docker.io/rancher/pause:3": pause})


def test_a_sealed_archive_holds_and_says_what_is_in_it(made: MadeArchive) -> None:
    report = verify_archive(made.path, platform=AMD64, expected=made.index_archive())
    assert [image.reference for image in report.images] == [RUNTIME, "docker.io/rancher/pause:3"]
    assert [image.digest for image in report.images] == [Digest.of(image.manifest) for image in made.images]
    assert report.programs == ("bin/kubelet", "bin/run.sh", "bin/second")
    for image in report.images:
        for layer in image.layers:
            known = made.layers[layer.digest]
            assert (layer.diff_id, layer.content_size, layer.frames) == (
                known.diff_id,
                known.content_size,
                known.frames,
            )


@pytest.mark.parametrize("workers", [1, 2, 5])
def test_any_number_of_workers_says_the_same(made: MadeArchive, workers: int) -> None:
    assert verify_archive(made.path, workers=workers) == verify_archive(made.path)


def test_quick_checks_digests_but_not_what_is_inside(made: MadeArchive) -> None:
    report = verify_archive(made.path, quick=True)
    assert report.quick and {layer.content_size for image in report.images for layer in image.layers} == {None}
    blob = made.blobs[-1]
    flip(made.path, blob.offset + 20)
    with pytest.raises(FormatError, match=blob.digest.hex):
        verify_archive(made.path, quick=True)


@pytest.mark.parametrize("quick", [False, True])
def test_every_blob_corrupted_in_turn_is_named(made: MadeArchive, quick: bool) -> None:
    for blob in made.blobs:
        for place in (0, blob.size // 2, blob.size - 1):
            flip(made.path, blob.offset + place)
            with pytest.raises(FormatError) as caught:
                verify_archive(made.path, quick=quick)
            assert blob.digest.hex in caught.value.where and "damaged blob" in str(caught.value)
            flip(made.path, blob.offset + place)
    assert verify_archive(made.path)


def test_of_two_damaged_layers_the_first_in_the_archive_is_named(made: MadeArchive) -> None:
    first, second = made.blobs[-3], made.blobs[-1]
    assert first.size > second.size
    flip(made.path, first.offset + first.size - 1)
    flip(made.path, second.offset)
    for workers in (1, 2, 2, 2):
        with pytest.raises(FormatError) as caught:
            verify_archive(made.path, workers=workers)
        assert first.digest.hex in caught.value.where


def test_every_bit_outside_of_layers_counts(made: MadeArchive) -> None:
    """Headers, padding, documents, the end: one flip in each byte of all of them."""
    data = made.path.read_bytes()
    inside: set[int] = set()
    for entry in made.layout.entries:
        if entry.content is None:
            inside.update(range(entry.offset, entry.offset + entry.size))
    places = [at for at in range(len(data)) if at not in inside]
    generator = random.Random(1)
    # Every header byte of the first and of one layer's, and a sample of all else; each costs a whole read.
    chosen = set(range(ustar.BLOCK)) | set(generator.sample(places, 600))
    for at in sorted(chosen):
        bit = 1 << generator.randrange(8)
        flip(made.path, at, bit)
        with pytest.raises(FormatError):
            verify_archive(made.path, quick=True)
        flip(made.path, at, bit)
    assert made.path.read_bytes() == data


def test_random_flips_anywhere_are_noticed(made: MadeArchive) -> None:
    generator = random.Random(2)
    for _ in range(150):
        at, bit = generator.randrange(made.size), 1 << generator.randrange(8)
        flip(made.path, at, bit)
        with pytest.raises(FormatError):
            verify_archive(made.path)
        flip(made.path, at, bit)


def test_truncation_anywhere_is_noticed(made: MadeArchive, tmp_path: Path) -> None:
    data = made.path.read_bytes()
    cut = tmp_path / "cut.tar"
    for size in [0, 1, 511, 512, 513, *random.Random(4).sample(range(len(data)), 40), len(data) - 512, len(data) - 1]:
        cut.write_bytes(data[:size])
        with pytest.raises(FormatError):
            verify_archive(cut)


@pytest.mark.parametrize("tail", [b"\0", bytes(512), bytes(10240), b"x", b"x" * 512])
def test_appended_bytes_are_refused_zeros_too(made: MadeArchive, tail: bytes) -> None:
    made.path.write_bytes(made.path.read_bytes() + tail)
    with pytest.raises(FormatError, match="end after two zero blocks"):
        verify_archive(made.path)


def _changed(position: int, **fields: object) -> Callable[[Parts], Parts]:
    def change(parts: Parts) -> Parts:
        header, body = parts[position]
        return [*parts[:position], (replace(header, **fields), body), *parts[position + 1 :]]  # type: ignore[arg-type]

    return change


def _pax(parts: Parts) -> Parts:
    record = b"19 path=blobs/evil\n"
    return [*parts[:3], (ustar.Header(name="p", mode=0o644, size=19, mtime=EPOCH, typeflag=b"x"), record), *parts[3:]]


FORGERIES: dict[str, Callable[[Parts], Parts]] = {
    "mode": _changed(3, mode=0o755),
    "mtime": _changed(4, mtime=EPOCH + 1),
    "first mtime": _changed(0, mtime=EPOCH + 1),
    "old file type": _changed(3, typeflag=b"\0"),
    "link": _changed(3, typeflag=b"2", linkname="/etc/passwd"),
    "linkname of a file": _changed(3, linkname="x"),
    "name with ./": _changed(3, name="./blobs/sha256/" + "0" * 64),
    "name that climbs": _changed(3, name="../x"),
    "PAX record": _pax,
    "member twice": lambda parts: [*parts, parts[-1]],
    "blob twice in place": lambda parts: [*parts[:4], parts[3], *parts[4:]],
    "member not needed": lambda parts: [
        *parts,
        (ustar.Header(name="blobs/sha256/" + Digest.of(b"x").hex, mode=0o644, size=1, mtime=EPOCH), b"x"),
    ],
    "other file": lambda parts: [*parts, (ustar.Header(name="repositories", mode=0o644, size=2, mtime=EPOCH), b"{}")],
    "blobs swapped": lambda parts: [*parts[:3], parts[4], parts[3], *parts[5:]],
    "layers swapped": lambda parts: [*parts[:-2], parts[-1], parts[-2]],
    "head swapped": lambda parts: [parts[1], parts[0], *parts[2:]],
    "blob missing": lambda parts: parts[:-1],
    "config missing": lambda parts: [*parts[:4], *parts[5:]],
    "only the head": lambda parts: parts[:3],
    "nothing": lambda parts: [],
}


@pytest.mark.parametrize("what", FORGERIES)
def test_any_other_structure_is_refused(made: MadeArchive, what: str) -> None:
    made.path.write_bytes(joined(FORGERIES[what](members(made.path.read_bytes()))))
    with pytest.raises(FormatError):
        verify_archive(made.path, quick=True)


def test_the_forger_of_these_tests_changes_nothing_by_itself(made: MadeArchive) -> None:
    assert joined(members(made.path.read_bytes())) == made.path.read_bytes()


def _with_document(made: MadeArchive, position: int, data: bytes) -> None:
    parts = members(made.path.read_bytes())
    parts[position] = (replace(parts[position][0], size=len(data)), data)
    made.path.write_bytes(joined(parts))


def test_two_views_that_disagree_are_refused(made: MadeArchive) -> None:
    parts = members(made.path.read_bytes())
    text = parts[0][1]
    for old, new in ((b"rke2-runtime:v1.2.3", b"rke2-runtime:v1.2.4"), (b'"Layers"', b'"Layerz"'), (b"\n", b" \n")):
        assert old in text
        _with_document(made, 0, text.replace(old, new))
        with pytest.raises(FormatError, match=r"manifest\.json"):
            verify_archive(made.path)


def test_an_index_with_another_name_for_an_image_is_refused(made: MadeArchive) -> None:
    text = members(made.path.read_bytes())[2][1]
    _with_document(made, 2, text.replace(b"rancher/pause:3", b"rancher/pause:4", 1))
    with pytest.raises(FormatError):
        verify_archive(made.path)


@pytest.mark.parametrize("text", [b"", b"[]", b"{}", b'{"manifests":[],"schemaVersion":2}', b"\xff", b"[" * 100_000])
def test_a_malformed_index_is_an_error_that_names_it(made: MadeArchive, text: bytes) -> None:
    _with_document(made, 2, text)
    with pytest.raises(FormatError):
        verify_archive(made.path)


def test_another_platform_is_refused(made: MadeArchive) -> None:
    with pytest.raises(FormatError, match="another platform"):
        verify_archive(made.path, platform=ARM64)


def test_programs_for_another_machine_are_refused(tmp_path: Path) -> None:
    """The config says amd64, the program is for arm64: what a mixed-up build cache makes."""
    made = make_archive(tmp_path / "a.tar", {RUNTIME: {"bin/kubelet": program(b"x", ARM64)}})
    with pytest.raises(FormatError, match="bin/kubelet: a program for another machine"):
        verify_archive(made.path)


@pytest.mark.parametrize("content", [b"", b"\0" * 4000, b"\x7fELF", b"text"])
def test_what_is_no_program_is_refused_in_bin(tmp_path: Path, content: bytes) -> None:
    made = make_archive(tmp_path / "a.tar", {RUNTIME: {"bin/a": program(b""), "bin/kubelet": content}})
    with pytest.raises(FormatError, match="neither a 64-bit ELF program nor a script"):
        verify_archive(made.path)


def test_a_runtime_image_without_programs_is_refused(tmp_path: Path) -> None:
    made = make_archive(tmp_path / "a.tar", {RUNTIME: {"charts/a.yaml": b"a"}})
    with pytest.raises(FormatError, match="no programs"):
        verify_archive(made.path)
    assert verify_archive(made.path, quick=True)


def test_long_names_and_links_in_the_runtime_image_are_fine(tmp_path: Path) -> None:
    deep = "bin/" + "d" * 120 + "/" + "e" * 120
    files: dict[str, Content] = {
        deep: program(b"deep"),
        "bin/link": "t" * 120,
        "charts/ü.yaml": b"x",
        "charts/empty": b"",
    }
    report = verify_archive(make_archive(tmp_path / "a.tar", {RUNTIME: files}).path)
    assert report.programs == (deep,)


def _raw_archive(path: Path, stored: bytes, content: bytes, media_type: str, *, diff_id: Digest | None = None) -> Path:
    """An archive of one runtime image whose only layer is `stored`, sealed as the format wants it."""
    config = make_config(platform=AMD64, created=EPOCH, layers=[(diff_id or Digest.of(content), "test")])
    layer = oci.Descriptor(media_type=media_type, digest=Digest.of(stored), size=len(stored))
    image = SealedImage(reference=Reference.parse(RUNTIME), manifest=make_manifest(config, [layer]), config=config)
    layout = lay_out([image], EPOCH)

    def body(entry: Entry) -> bytes:
        return stored if entry.content is None else entry.content

    parts = [(ustar.parse(layout.header(entry)), body(entry)) for entry in layout.entries]
    path.write_bytes(joined(parts))
    return path


def _tar(*infos: tuple[tarfile.TarInfo, bytes], format_: int = tarfile.USTAR_FORMAT) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=format_) as tar:
        for info, data in infos:
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
    return buffer.getvalue()


def _info(name: str, type_: bytes = tarfile.REGTYPE, link: str = "") -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.mode, info.type, info.linkname = 0o755, type_, link
    return info


PROGRAM = (_info("bin/p"), program(b""))


def test_mirrored_gzip_and_plain_layers_are_read(tmp_path: Path) -> None:
    import gzip

    from backports import zstd

    content = _tar((_info("bin/p"), program(NOISE * 20)))
    kinds = {
        oci.LAYER_TAR: content,
        oci.LAYER_GZIP: gzip.compress(content[:1000]) + gzip.compress(content[1000:]),
        oci.DOCKER_LAYER_GZIP: gzip.compress(content),
        oci.LAYER_ZSTD: zstd.compress(content, 1) + zstd.compress(b""),
    }
    for number, (kind, stored) in enumerate(kinds.items()):
        report = verify_archive(_raw_archive(tmp_path / f"{number}.tar", stored, content, kind))
        assert report.images[0].layers[0].content_size == len(content)


@pytest.mark.parametrize("kind", [oci.LAYER_GZIP, oci.LAYER_ZSTD, oci.LAYER_TAR, "application/x-unknown"])
def test_a_layer_with_a_right_digest_but_no_layer_inside_is_refused(tmp_path: Path, kind: str) -> None:
    path = _raw_archive(tmp_path / "a.tar", NOISE, NOISE, kind)
    with pytest.raises(FormatError, match=Digest.of(NOISE).hex):
        verify_archive(path)
    assert verify_archive(path, quick=True)


def test_a_wrong_diff_id_is_refused(tmp_path: Path) -> None:
    content = _tar(PROGRAM)
    path = _raw_archive(tmp_path / "a.tar", content, content, oci.LAYER_TAR, diff_id=Digest.of(b"other"))
    with pytest.raises(FormatError, match="another diff id"):
        verify_archive(path)


HOSTILE_LAYERS: dict[str, bytes] = {
    "climbs": _tar(PROGRAM, (_info("bin/../../x"), b"")),
    "absolute": _tar(PROGRAM, (_info("/bin/x"), b"")),
    "dot": _tar(PROGRAM, (_info("./bin/x"), b"")),
    "twice": _tar(PROGRAM, PROGRAM),
    "file and folder": _tar(PROGRAM, (_info("bin/p/", tarfile.DIRTYPE), b"")),
    "hard link": _tar(PROGRAM, (_info("bin/x", tarfile.LNKTYPE, "bin/p"), b"")),
    "device": _tar(PROGRAM, (_info("dev/x", tarfile.CHRTYPE), b"")),
    "fifo": _tar(PROGRAM, (_info("dev/x", tarfile.FIFOTYPE), b"")),
    "cut": _tar(PROGRAM)[:700],
    "no end": _tar(PROGRAM)[:1024],
    "after the end": _tar(PROGRAM) + _tar(PROGRAM)[:1024],
}


@pytest.mark.parametrize("what", HOSTILE_LAYERS)
def test_hostile_entries_of_the_runtime_image_are_refused(tmp_path: Path, what: str) -> None:
    content = HOSTILE_LAYERS[what]
    with pytest.raises(FormatError):
        verify_archive(_raw_archive(tmp_path / "a.tar", content, content, oci.LAYER_TAR))


def test_a_layer_that_unpacks_to_far_more_than_it_is_stops_early(tmp_path: Path) -> None:
    from backports import zstd

    bomb = zstd.compress(bytes(8 << 20), 19) * 40
    path = _raw_archive(tmp_path / "a.tar", bomb, b"", oci.LAYER_ZSTD)
    with pytest.raises(LimitError, match="unpacks to too much"):
        verify_archive(path)


def test_what_is_no_archive_is_told_so(tmp_path: Path) -> None:
    with pytest.raises(MissingError):
        verify_archive(tmp_path / "none.tar")
    (tmp_path / "folder.tar").mkdir()
    (tmp_path / "text.tar").write_bytes(b"hello" * 1000)
    for name in ("folder.tar", "text.tar"):
        with pytest.raises(SealiftError, match=name):
            verify_archive(tmp_path / name)


def test_bundle_json_that_disagrees_is_refused(made: MadeArchive) -> None:
    import msgspec

    right = made.index_archive()
    blob = right.blobs[-1]
    assert blob.frames is not None
    wrong_blobs = [
        msgspec.structs.replace(blob, size=blob.size + 1),
        msgspec.structs.replace(blob, offset=blob.offset + 512),
        msgspec.structs.replace(blob, digest=Digest.of(b"")),
        msgspec.structs.replace(blob, frames=[*blob.frames, (1, 1)]),
    ]
    wrong = [msgspec.structs.replace(right, blobs=[*right.blobs[:-1], one]) for one in wrong_blobs]
    wrong.append(msgspec.structs.replace(right, blobs=right.blobs[:-1]))
    wrong.append(msgspec.structs.replace(right, images=right.images[:1]))
    wrong.append(msgspec.structs.replace(right, images=right.images[::-1]))
    wrong.append(msgspec.structs.replace(right, size=right.size + 1))
    for expected in wrong:
        with pytest.raises(FormatError, match=r"bundle\.json says"):
            verify_archive(made.path, expected=expected)
