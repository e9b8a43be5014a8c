import contextlib
import io
import random
import shutil
import struct
import subprocess
import tarfile
from collections.abc import Iterator
from typing import BinaryIO

import pytest
from backports import zstd
from hypothesis import given, settings
from hypothesis import strategies as st

from bundles.digest import Digest
from bundles.errors import FormatError, MissingError
from bundles.files import HashingWriter
from bundles.layers.build import build_layer
from bundles.layers.frames import ZSTD_VERSION, compress_frame, seek_table
from bundles.layers.model import BIG_BODY, MAX_FRAME, TAIL, BodyFrames, FramedLayer, FrameKey
from bundles.layers.plan import plan_layer
from tests.support.sealed import EPOCH, Content, MemoryStore, entries_of, make_layer


def body(size: int, seed: int = 0) -> bytes:
    """Content that compresses about as a program does."""
    numbers = random.Random(seed)
    words = [numbers.randbytes(16) for _ in range(400)]
    return b"".join(numbers.choices(words, k=size // 16 + 1))[:size]


TREE: dict[str, Content] = {
    "bin/kubelet": body(19 << 20),
    "bin/runc": body(BIG_BODY, 1),
    "bin/pause": body(700, 2),
    "bin/kubectl": "kubelet",
    "charts/coredns.yaml": body(50_000, 3),
    "charts/empty": b"",
    "etc": None,
}


@pytest.fixture(scope="module")
def built() -> tuple[FramedLayer, bytes]:
    return make_layer(TREE)


def test_any_number_of_workers_makes_the_same_bytes(built: tuple[FramedLayer, bytes]) -> None:
    for workers in (2, 8):
        assert make_layer(TREE, workers=workers) == built


def test_what_the_layer_says_of_itself_is_true(built: tuple[FramedLayer, bytes]) -> None:
    layer, data = built
    content = zstd.decompress(data)
    assert (Digest.of(data), len(data)) == (layer.digest, layer.size)
    assert (Digest.of(content), len(content)) == (layer.diff_id, layer.content_size)


def test_a_tar_reader_finds_the_content(built: tuple[FramedLayer, bytes]) -> None:
    with tarfile.open(fileobj=io.BytesIO(zstd.decompress(built[1]))) as tar:
        for member in tar.getmembers():
            want = TREE.get(member.name)
            if member.isfile():
                file = tar.extractfile(member)
                assert file and file.read() == want
            elif member.issym():
                assert member.linkname == want
        assert tar.getnames() == sorted([*TREE, "bin", "charts"])


def test_each_frame_stands_alone_with_size_checksum_and_a_small_window(built: tuple[FramedLayer, bytes]) -> None:
    layer, data = built
    at = 0
    for compressed, content in layer.frames:
        frame = data[at : at + compressed]
        assert zstd.get_frame_size(frame) == compressed
        assert zstd.get_frame_info(frame).decompressed_size == content <= MAX_FRAME
        assert frame[4] & 0b100, "no checksum (RFC 8878, Frame_Header_Descriptor)"
        assert window(frame) <= 8 << 20
        assert len(zstd.decompress(frame)) == content
        at += compressed
    assert data[at:] == seek_table(layer.frames)


def window(frame: bytes) -> int:
    """Window_Size of RFC 8878, 3.1.1.1.2; of a single-segment frame its content size."""
    if frame[4] & 0b100000:
        return zstd.get_frame_info(frame).decompressed_size or 0
    exponent, mantissa = frame[5] >> 3, frame[5] & 7
    base = 1 << (10 + exponent)
    return base + base // 8 * mantissa


def test_the_seek_table_is_the_standard_one_and_last(built: tuple[FramedLayer, bytes]) -> None:
    layer, data = built
    count, flags, magic = struct.unpack("<IBI", data[-9:])
    assert (count, flags, magic) == (len(layer.frames), 0, 0x8F92EAB1)
    table = data[-9 - 8 * count : -9]
    assert list(struct.iter_unpack("<II", table)) == list(layer.frames)
    assert struct.unpack("<II", data[-17 - 8 * count : -9 - 8 * count]) == (0x184D2A5E, 8 * count + 9)
    assert data[:4] == b"\x28\xb5\x2f\xfd", "a layer must not start with a skippable frame"


@pytest.mark.skipif(not shutil.which("zstd"), reason="no zstd program")
def test_the_zstd_program_reads_it(built: tuple[FramedLayer, bytes]) -> None:
    done = subprocess.run(["zstd", "-dc", "--memory=8MB"], input=built[1], capture_output=True, check=True)
    assert Digest.of(done.stdout) == built[0].diff_id


@settings(deadline=None, max_examples=30)
@given(
    st.dictionaries(
        st.text("abcü/", min_size=1).map(lambda text: f"x{text}x".replace("/", "-")), st.binary(max_size=300)
    )
)
def test_any_small_tree_reads_back(files: dict[str, bytes]) -> None:
    with tarfile.open(fileobj=io.BytesIO(zstd.decompress(make_layer(files)[1]))) as tar:
        found = {member.name: tar.extractfile(member) for member in tar.getmembers()}
        assert {name: file.read() for name, file in found.items() if file} == files


def test_an_unchanged_body_is_never_compressed_again() -> None:
    store = MemoryStore()
    first, _ = make_layer(TREE, store)
    assert store.hits == 0
    blobs = set(store.blobs)
    again, _ = make_layer(TREE, store)
    assert (again, store.hits, set(store.blobs)) == (first, 2, blobs)
    changed, data = make_layer({**TREE, "bin/pause": b"other"}, store, mtime=EPOCH + 1)
    assert store.hits == 4
    assert changed == make_layer({**TREE, "bin/pause": b"other"}, mtime=EPOCH + 1)[0]
    assert Digest.of(zstd.decompress(data)) == changed.diff_id
    assert {part.digest for part in first.parts} & {part.digest for part in changed.parts}


def test_level_and_library_version_are_part_of_the_cache_key() -> None:
    store = MemoryStore()
    make_layer({"a": body(BIG_BODY)}, store, level=1)
    make_layer({"a": body(BIG_BODY)}, store, level=3)
    assert store.hits == 0 and {(key.level, key.zstd) for key in store.frames} == {(1, ZSTD_VERSION), (3, ZSTD_VERSION)}
    assert len({str(key) for key in store.frames}) == 2


def test_one_body_under_two_names_is_stored_once() -> None:
    store = MemoryStore()
    layer, data = make_layer({"a": body(BIG_BODY * 2), "b": body(BIG_BODY * 2)}, store, workers=2)
    assert len(store.frames) == 1
    assert len({part.digest for part in layer.parts}) == 2
    assert Digest.of(data) == layer.digest


def test_a_cached_body_that_is_cut_otherwise_is_not_used() -> None:
    store = MemoryStore()
    want, _ = make_layer({"a": body(BIG_BODY)}, store)
    (key,) = store.frames
    wrong = store.add(b"wrong")
    store.frames[key] = BodyFrames(blob=wrong, size=5, frames=((5, BIG_BODY),))
    assert make_layer({"a": body(BIG_BODY)}, store)[0] == want


def test_damaged_cached_frames_are_named() -> None:
    store = MemoryStore()
    make_layer({"a": body(BIG_BODY)}, store)
    (frames,) = store.frames.values()
    store.blobs[frames.blob] = b"\0" + store.blobs[frames.blob][1:]
    with pytest.raises(FormatError, match=frames.blob.hex):
        make_layer({"a": body(BIG_BODY)}, store)


@pytest.mark.parametrize("size", [10, BIG_BODY - 1, BIG_BODY, MAX_FRAME + TAIL + 5])
@pytest.mark.parametrize("damage", ["flip", "short", "gone"])
def test_a_body_that_is_not_what_it_should_be_is_named_and_nothing_of_it_kept(size: int, damage: str) -> None:
    store = MemoryStore()
    plan = plan_layer(entries_of(store, {"bin/x": body(size)}), EPOCH)
    digest = Digest.of(body(size))
    data = store.blobs.pop(digest)
    if damage != "gone":
        store.blobs[digest] = data[:-1] + (b"\xff" if damage == "flip" else b"")
    before = set(store.blobs)
    with pytest.raises((FormatError, MissingError), match=digest.hex):
        build_layer(plan, store, store, store, level=1, workers=2)
    assert not store.frames and set(store.blobs) == before


class CountingStore(MemoryStore):
    """Notes how many frames were read but not yet written, at most."""

    ahead = most = 0

    def open(self, digest: Digest) -> BinaryIO:
        outer = self

        class File(io.BytesIO):
            def read(self, size: int | None = -1, /) -> bytes:
                outer.ahead += 1
                outer.most = max(outer.most, outer.ahead)
                return super().read(size)

        return File(self.blobs[digest])

    @contextlib.contextmanager
    def writing(self) -> Iterator[HashingWriter]:
        outer = self

        class Writer(HashingWriter):
            def write(self, data: bytes | bytearray | memoryview) -> int:
                outer.ahead -= 1
                return super().write(data)

        yield Writer(io.BytesIO())


def test_reading_runs_only_a_few_frames_ahead_however_big_the_body() -> None:
    store, workers = CountingStore(), 2
    plan = plan_layer(entries_of(store, {"x": bytes(16 * MAX_FRAME)}), EPOCH)
    build_layer(plan, store, store, NoCache(), level=1, workers=workers)
    assert 0 < store.most <= 2 * workers + 2


class NoCache:
    def get(self, key: FrameKey) -> BodyFrames | None:
        return None

    def put(self, key: FrameKey, frames: BodyFrames) -> None:
        pass


def test_plain_values_survive_json(built: tuple[FramedLayer, bytes]) -> None:
    assert FramedLayer.from_plain(built[0].to_plain()) == built[0]
    frames = BodyFrames(blob=Digest.of(b""), size=3, frames=((1, 2), (2, 9)))
    assert BodyFrames.from_plain(frames.to_plain()) == frames
    assert str(FrameKey(content=Digest.of(b""), zstd="1.5.7", level=12)).endswith("-zstd1.5.7-12-f1")


@pytest.mark.parametrize(("size", "level"), [(MAX_FRAME + 1, 1), (1, 0), (1, 23)])
def test_frames_out_of_bounds_are_a_bug(size: int, level: int) -> None:
    with pytest.raises(ValueError, match="level"):
        compress_frame(bytes(size), level)


def test_the_highest_level_keeps_the_window_small() -> None:
    frame = compress_frame(random.Random(1).randbytes(3 << 20), 22)
    assert window(frame) <= 8 << 20
