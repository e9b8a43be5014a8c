import errno
import io
import os
import stat
import tarfile
from collections.abc import Sequence
from pathlib import Path
from typing import BinaryIO

import pytest

from bundles import ustar
from bundles.digest import Digest
from bundles.errors import FormatError, MissingError, SealiftError
from bundles.layers.model import Part
from bundles.sealed.layout import SealedLayout, lay_out
from bundles.sealed.opened import SealedImage
from bundles.sealed.write import WrittenArchive, write_archive
from tests.support.sealed import EPOCH, Content, MemoryStore, make_archive, make_image, make_layer

RUNTIME = "rancher/rke2-runtime:v0.1.0"
PAUSE = "rancher/pause:3.6"
FILES: dict[str, Content] = {"bin/a": b"A" * 200_000, "bin/b": b"b", "charts/c.yaml": b"c: 1\n"}


class Case:
    """Two images whose layers lie in a folder of files, as in the builder's store."""

    def __init__(self, folder: Path, *, on_disk: bool = True) -> None:
        self.store = MemoryStore()
        self.folder = folder / "blobs"
        self.folder.mkdir()
        made = [make_layer(files, self.store)[0] for files in (FILES, {"pause": b"p" * 70_000})]
        self.layers = {layer.digest: layer for layer in made}
        self.images: list[SealedImage] = [make_image(RUNTIME, made[:1]), make_image(PAUSE, made)]
        self.layout: SealedLayout = lay_out(self.images, EPOCH)
        self.on_disk = on_disk
        for digest, data in self.store.blobs.items():
            (self.folder / digest.hex).write_bytes(data)

    def open(self, digest: Digest) -> BinaryIO:
        return open(self.folder / digest.hex, "rb") if self.on_disk else self.store.open(digest)

    def parts(self, digest: Digest) -> Sequence[Part]:
        return self.layers[digest].parts

    def write(self, target: Path, workers: int = 2) -> WrittenArchive:
        return write_archive(self.layout, target, self.parts, self.open, workers=workers)


def test_the_file_is_the_layout(tmp_path: Path) -> None:
    case, target = Case(tmp_path), tmp_path / "a.tar"
    written = case.write(target)
    data = target.read_bytes()
    assert (written.size, written.sha256) == (len(data), Digest.of(data))
    at = 0
    for entry in case.layout.entries:
        body = data[entry.offset : entry.offset + entry.size]
        assert data[at : entry.offset] == case.layout.header(entry)
        assert entry.content in (None, body)
        assert entry.digest in (None, Digest.of(body))
        at = entry.offset + entry.size + ustar.padding(entry.size)
        assert not any(data[entry.offset + entry.size : at])
    assert data[at:] == bytes(1024)


def test_a_tar_reader_lists_regular_files_only(tmp_path: Path) -> None:
    case, target = Case(tmp_path), tmp_path / "a.tar"
    case.write(target)
    with tarfile.open(target, "r:") as tar:
        members = tar.getmembers()
    assert [member.name for member in members] == [entry.name for entry in case.layout.entries]
    assert {(m.type, m.mode, m.mtime, m.uid, m.gid, m.uname) for m in members} == {(b"0", 0o644, EPOCH, 0, 0, "")}
    assert not any(member.pax_headers for member in members)


def test_workers_store_and_umask_do_not_change_a_byte(tmp_path: Path) -> None:
    digests = set()
    previous = os.umask(0o077)
    try:
        for number, (workers, on_disk) in enumerate([(1, True), (2, True), (8, True), (2, False)]):
            (tmp_path / str(number)).mkdir()
            target = tmp_path / f"{number}.tar"
            digests.add(Case(tmp_path / str(number), on_disk=on_disk).write(target, workers).sha256)
            assert stat.S_IMODE(target.stat().st_mode) == 0o644
    finally:
        os.umask(previous)
    assert len(digests) == 1


def test_a_whole_blob_needs_no_parts(tmp_path: Path) -> None:
    case = Case(tmp_path)
    for layer in case.layers.values():
        (case.folder / layer.digest.hex).write_bytes(case.store.read(layer))
    written = write_archive(case.layout, tmp_path / "whole.tar", lambda _: (), case.open)
    assert written == case.write(tmp_path / "parts.tar")


@pytest.mark.parametrize("number", [errno.EXDEV, errno.EINVAL, errno.ENOSYS, errno.EOPNOTSUPP])
def test_where_the_kernel_cannot_copy_the_bytes_are_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    case = Case(tmp_path)
    want = case.write(tmp_path / "want.tar")

    def refuse(*_: object) -> int:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, "copy_file_range", refuse)
    assert case.write(tmp_path / "a.tar") == want


def test_a_damaged_blob_is_named_and_no_file_left(tmp_path: Path) -> None:
    case, target = Case(tmp_path), tmp_path / "a.tar"
    layer = next(iter(case.layers.values()))
    path = case.folder / layer.parts[-1].digest.hex
    data = bytearray(path.read_bytes())
    data[layer.parts[-1].offset] ^= 1
    path.write_bytes(data)
    with pytest.raises(FormatError, match=layer.digest.hex):
        case.write(target)
    assert not target.exists()


@pytest.mark.parametrize("on_disk", [True, False])
def test_a_blob_cut_short_is_named_and_no_file_left(tmp_path: Path, on_disk: bool) -> None:
    case, target = Case(tmp_path, on_disk=on_disk), tmp_path / "a.tar"
    part = next(iter(case.layers.values())).parts[-1]
    short = case.store.blobs[part.digest][:-1]
    case.store.blobs[part.digest] = short
    (case.folder / part.digest.hex).write_bytes(short)
    with pytest.raises(FormatError, match=f"(?s){part.digest.hex}.*cut short"):
        case.write(target)
    assert not target.exists()


def test_a_missing_blob_leaves_no_file(tmp_path: Path) -> None:
    case, target = Case(tmp_path, on_disk=False), tmp_path / "a.tar"
    case.store.blobs.clear()
    with pytest.raises(MissingError):
        case.write(target)
    assert not target.exists()


def test_parts_that_are_not_the_whole_layer_are_refused(tmp_path: Path) -> None:
    case, target = Case(tmp_path), tmp_path / "a.tar"
    with pytest.raises(FormatError, match="parts of a layer"):
        write_archive(case.layout, target, lambda digest: case.parts(digest)[:-1], case.open)
    assert not target.exists()


def test_a_full_disk_is_told_before_anything_is_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "posix_fallocate", full)
    target = tmp_path / "a.tar"
    with pytest.raises(SealiftError, match="free some space"):
        Case(tmp_path).write(target)
    assert not target.exists()


def test_a_filesystem_that_cannot_preallocate_will_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    case = Case(tmp_path)
    want = case.write(tmp_path / "want.tar")

    def refuse(*_: object) -> None:
        raise OSError(errno.EOPNOTSUPP, "no")

    monkeypatch.setattr(os, "posix_fallocate", refuse)
    assert case.write(tmp_path / "a.tar") == want


def test_a_file_that_is_there_is_never_overwritten(tmp_path: Path) -> None:
    target = tmp_path / "a.tar"
    target.write_bytes(b"mine")
    with pytest.raises(SealiftError):
        Case(tmp_path).write(target)
    assert target.read_bytes() == b"mine"


def test_the_support_archive_lists_its_blobs(tmp_path: Path) -> None:
    made = make_archive(tmp_path / "a.tar", {RUNTIME: [FILES, {"x": b"x"}], PAUSE: {"pause": b"p"}})
    data = made.path.read_bytes()
    assert [Digest.of(data[blob.offset : blob.offset + blob.size]) for blob in made.blobs] == [
        blob.digest for blob in made.blobs
    ]
    assert sum(blob.frames is not None for blob in made.blobs) == 3
    assert made.index_archive(tmp_path).sha256 == Digest.of(data)
    with tarfile.open(fileobj=io.BytesIO(data)) as tar:
        assert len(tar.getmembers()) == 3 + len(made.blobs)
