"""Layers are decoded the same however they are cut, and damage never passes for content."""

import random
import struct
from collections.abc import Callable, Iterator

import pytest
from backports import zstd
from hypothesis import given, settings
from hypothesis import strategies as st

import bundles.framed
from bundles.errors import FormatError, LimitError
from bundles.foreign.outer import bunzip2
from bundles.framed import MAX_FRAME, ZstdLayer, gunzip, parse_header, parse_seek_table

PARAMETER = zstd.CompressionParameter
NOISE = random.Random(9).randbytes(3 << 20)


def cut(data: bytes, sizes: list[int]) -> Iterator[bytes]:
    at = 0
    while at < len(data):
        step = sizes[at % len(sizes)]
        yield data[at : at + step]
        at += step


def decode(data: bytes, sizes: list[int] | None = None) -> tuple[bytes, ZstdLayer]:
    layer = ZstdLayer(cut(data, sizes or [1 << 20]), "layer")
    return b"".join(layer.content()), layer


def streamed(data: bytes) -> bytes:
    """A frame that does not tell its content size."""
    compressor = zstd.ZstdCompressor(options={PARAMETER.compression_level: 1, PARAMETER.checksum_flag: 1})
    return compressor.compress(data) + compressor.flush()


def framed(pieces: list[bytes], table: bool = True) -> bytes:
    frames = [zstd.compress(piece, options={PARAMETER.checksum_flag: 1}) for piece in pieces]
    body = b"".join(struct.pack("<II", len(a), len(b)) for a, b in zip(frames, pieces, strict=True))
    body += struct.pack("<IBI", len(frames), 0, 0x8F92EAB1)
    return b"".join(frames) + (struct.pack("<II", 0x184D2A5E, len(body)) + body if table else b"")


@settings(max_examples=60, deadline=None)
@given(
    pieces=st.lists(st.binary(max_size=3000), min_size=1, max_size=6),
    sizes=st.lists(st.integers(1, 5000), min_size=1, max_size=5),
    table=st.booleans(),
)
def test_frames_come_out_in_order_however_the_input_is_cut(pieces: list[bytes], sizes: list[int], table: bool) -> None:
    content, layer = decode(framed(pieces, table), sizes)
    assert content == b"".join(pieces) and layer.small
    assert [size for _, size in layer.frames] == [len(piece) for piece in pieces]
    assert layer.seek_table == (layer.frames if table else None)


def test_streams_large_frames_and_small_ones_mix() -> None:
    large = bytes(MAX_FRAME) + NOISE
    data = framed([b"first"], table=False) + streamed(NOISE) + zstd.compress(large, 1) + framed([b"last"])
    content, layer = decode(data)
    assert content == b"first" + NOISE + large + b"last"
    assert not layer.small and sum(size for size, _ in layer.frames) < len(data)


@settings(max_examples=150, deadline=None)
@given(at=st.integers(min_value=0), bit=st.integers(0, 7), stream=st.booleans())
def test_a_flipped_bit_never_gives_other_content(at: int, bit: int, stream: bool) -> None:
    """Frames carry checksums; a flip may also hit what does not matter (the table is compared elsewhere)."""
    text = NOISE[:4000] + bytes(4000)
    data = bytearray(streamed(text) if stream else framed([text, text[:100]], table=False))
    want = text if stream else text + text[:100]
    data[at % len(data)] ^= 1 << bit
    try:
        content, layer = decode(bytes(data))
    except FormatError:
        return
    # Only the checksum flag itself can go unnoticed here, and then `small` is false.
    assert content == want or not layer.small


@pytest.mark.parametrize("size", range(0, 60, 7))
def test_a_layer_cut_anywhere_is_refused(size: int) -> None:
    data = framed([b"a" * 100, NOISE[:100]])
    with pytest.raises(FormatError):
        decode(data[: len(data) - 1 - size])


def test_data_after_the_seek_table_is_refused() -> None:
    with pytest.raises(FormatError, match="after the seek table"):
        decode(framed([b"x"]) + framed([b"y"]))


def test_windows_above_the_limit_are_refused_before_memory_is_taken() -> None:
    compressor = zstd.ZstdCompressor(options={PARAMETER.window_log: 27})
    data = compressor.compress(NOISE[:1000]) + compressor.flush()
    with pytest.raises(LimitError, match="window"):
        decode(data)


def test_a_frame_that_lies_about_its_size_is_refused() -> None:
    frame = bytearray(zstd.compress(bytes(1 << 20)))
    header = parse_header(frame, "x")
    assert header is not None and header.content == 1 << 20
    at = bytes(frame).index(struct.pack("<I", 1 << 20))
    frame[at : at + 4] = struct.pack("<I", 5000)
    with pytest.raises(FormatError):
        decode(bytes(frame))


def test_other_skippable_frames_are_passed_over_and_bounded() -> None:
    skippable = struct.pack("<II", 0x184D2A50, 3) + b"abc"
    content, layer = decode(skippable + framed([b"x"], table=False) + skippable)
    assert content == b"x" and layer.seek_table is None
    with pytest.raises(LimitError):
        decode(struct.pack("<II", 0x184D2A50, 1 << 31) + b"abc")


def test_what_is_no_seek_table_is_none() -> None:
    assert parse_seek_table(b"") is None and parse_seek_table(bytes(9)) is None
    assert parse_seek_table(struct.pack("<IBI", 7, 0, 0x8F92EAB1)) is None


@settings(max_examples=50, deadline=None)
@given(
    parts=st.lists(st.binary(max_size=2000), min_size=1, max_size=4), sizes=st.lists(st.integers(1, 700), min_size=1)
)
def test_gzip_of_any_number_of_members_is_read(parts: list[bytes], sizes: list[int]) -> None:
    import gzip

    data = b"".join(gzip.compress(part) for part in parts)
    assert b"".join(gunzip(cut(data, sizes), "x")) == b"".join(parts)


@pytest.mark.parametrize("size", [0, 1, 10, 500, -1])
def test_gzip_cut_short_or_followed_by_rubbish_is_refused(size: int) -> None:
    import gzip

    data = gzip.compress(NOISE[:1000])
    with pytest.raises(FormatError):
        list(gunzip([data[:size]], "x"))
    with pytest.raises(FormatError):
        list(gunzip([data, b"rubbish"], "x"))


def test_gzip_that_unpacks_to_much_comes_in_bounded_pieces() -> None:
    import gzip

    pieces = list(gunzip([gzip.compress(bytes(50 << 20))], "x"))
    assert sum(map(len, pieces)) == 50 << 20 and max(map(len, pieces)) <= 1 << 20


@pytest.mark.parametrize("kind", ["zstd", "skippable", "gzip", "bzip2"])
def test_frames_that_hold_nothing_cost_no_time_and_memory_without_end(
    kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    import bz2
    import gzip

    readers: dict[str, Callable[[bytes], object]] = {
        "gzip": lambda data: list(gunzip([data], "x")),
        "bzip2": lambda data: list(bunzip2(iter([data]), "x")),
    }
    frames = {
        "zstd": zstd.compress(b""),
        "skippable": struct.pack("<II", 0x184D2A50, 0),
        "gzip": gzip.compress(b"", mtime=0),
        "bzip2": bz2.compress(b""),
    }
    monkeypatch.setattr(bundles.framed, "MAX_FRAMES", 100)
    read = readers.get(kind, decode)
    read(frames[kind] * 100)
    with pytest.raises(LimitError, match="too many compressed frames"):
        read(frames[kind] * 101)
