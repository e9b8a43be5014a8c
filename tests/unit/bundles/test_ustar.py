import tarfile

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bundles import ustar
from bundles.errors import FormatError

PART = st.text(st.characters(min_codepoint=0x20, max_codepoint=0x7E, exclude_characters="/"), min_size=1, max_size=90)
NAMES = st.lists(PART, min_size=1, max_size=3).map("/".join)
HEADERS = st.builds(
    ustar.Header,
    name=NAMES.filter(ustar.fits),
    mode=st.integers(0, 0o7777),
    size=st.integers(0, ustar.MAX_SIZE),
    mtime=st.integers(0, ustar.MAX_SIZE),
    typeflag=st.sampled_from([ustar.FILE, ustar.DIRECTORY, ustar.SYMLINK]),
    linkname=st.one_of(st.just(""), PART),
)


@given(HEADERS)
def test_a_header_reads_back_as_it_was_written(header: ustar.Header) -> None:
    block = ustar.encode(header)
    assert len(block) == ustar.BLOCK
    assert ustar.parse(block) == header


@given(HEADERS)
def test_another_reader_finds_the_same_values(header: ustar.Header) -> None:
    info = tarfile.TarInfo.frombuf(ustar.encode(header), "ascii", "strict")
    assert info.name.rstrip("/") == header.name.rstrip("/")
    assert (info.mode, info.size, info.mtime) == (header.mode, header.size, header.mtime)
    assert (info.linkname, info.type) == (header.linkname, header.typeflag)
    assert (info.uid, info.gid, info.uname, info.gname) == (0, 0, "", "")


def test_a_header_is_the_bytes_that_posix_gives_it() -> None:
    block = ustar.encode(ustar.Header(name="bin/runc", mode=0o755, size=5, mtime=1_700_000_000))
    assert block[:9] == b"bin/runc\0"
    assert block[100:148] == b"0000755\x000000000\x000000000\x0000000000005\x0014524770400\x00"
    assert block[156:157] == b"0"
    assert block[257:265] == b"ustar\x0000"
    assert block[329:345] == b"0000000\x000000000\x00"
    total = sum(block[:148]) + 8 * 32 + sum(block[156:])
    assert block[148:156] == f"{total:06o}\0 ".encode()


@pytest.mark.parametrize(
    "name", [("d" * 49 + "/") * length + "f" for length in (1, 2, 3, 4)] + ["d" * 155 + "/" + "f" * 100]
)
def test_long_names_are_split_at_a_slash(name: str) -> None:
    header = ustar.Header(name=name, mode=0o644, size=0, mtime=0)
    assert ustar.parse(ustar.encode(header)).name == name


@pytest.mark.parametrize("name", ["", "n" * 101, "d/" + "n" * 101, ("d" * 49 + "/") * 6, "ü", "new\nline", "nul\0"])
def test_names_that_ustar_cannot_hold_are_refused(name: str) -> None:
    assert not ustar.fits(name)
    with pytest.raises(FormatError):
        ustar.encode(ustar.Header(name=name, mode=0o644, size=0, mtime=0))


def test_a_body_of_8_gib_is_refused() -> None:
    with pytest.raises(FormatError, match="8 GiB"):
        ustar.encode(ustar.Header(name="blob", mode=0o644, size=8 << 30, mtime=0))


@pytest.mark.parametrize("bad", [{"mode": -1}, {"mtime": -1}, {"size": -1}, {"linkname": "l" * 101}])
def test_values_that_do_not_fit_are_refused(bad: dict[str, int | str]) -> None:
    with pytest.raises(FormatError):
        ustar.encode(ustar.Header(**{"name": "n", "mode": 0o644, "size": 0, "mtime": 0} | bad))  # type: ignore[arg-type]


@given(HEADERS, st.integers(0, ustar.BLOCK - 1), st.integers(1, 255))
def test_no_changed_byte_goes_unnoticed(header: ustar.Header, at: int, change: int) -> None:
    block = bytearray(ustar.encode(header))
    block[at] ^= change
    try:
        again = ustar.parse(block)
    except FormatError:
        return
    # Only the spelling of the checksum field has room: the values are the same, and the bytes are not canonical.
    assert again == header and ustar.encode(again) != bytes(block)


@pytest.mark.parametrize(
    ("at", "bytes_"),
    [
        (257, b"ustar  \0"),  # GNU's own magic
        (124, b"\x80\0\0\0\0\0\0\0\0\0\0\5"),  # base 256
        (124, b"-0000000005\0"),
        (124, bytes(12)),
        (0, b"a\0b"),
        (0, b"\xff"),
    ],
)
def test_spellings_that_readers_differ_on_are_refused(at: int, bytes_: bytes) -> None:
    block = bytearray(ustar.encode(ustar.Header(name="n", mode=0o644, size=5, mtime=0)))
    block[at : at + len(bytes_)] = bytes_
    block[148:156] = b" " * 8
    block[148:156] = b"%06o\0 " % sum(block)
    with pytest.raises(FormatError):
        ustar.parse(block)


def test_a_short_block_is_refused() -> None:
    with pytest.raises(FormatError, match="cut short"):
        ustar.parse(b"x" * 511)


@given(st.integers(0, 1 << 34))
def test_padding_fills_the_block(size: int) -> None:
    assert (size + ustar.padding(size)) % ustar.BLOCK == 0
    assert 0 <= ustar.padding(size) < ustar.BLOCK
