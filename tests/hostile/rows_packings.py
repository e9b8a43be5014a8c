"""What lies around a tar: compressions of archives and of layers, bombs and floods."""

import bz2
import gzip
import lzma
import struct
import zlib
from collections.abc import Callable

from backports import zstd

from bundles.errors import FormatError, MissingError
from tests.hostile.corpus_model import Attack, table
from tests.hostile.making_archives import WHOLE
from tests.hostile.readers_under_attack import RUNTIME, extract
from tests.hostile.rows_layers import Send, put
from tests.support import tars
from tests.support.hostile import GOOD
from tests.support.tars import END, header, tar

CONTENT = tar(GOOD)
ZERO = 80 << 20  # bytes: above what any small thing may unpack to
SKIPPABLE = 0x184D2A50
SEEK_TABLE = 0x184D2A5E


def stored(layer: bytes, content: bytes = CONTENT) -> Send:
    """An image whose layer is stored as `layer`."""
    return put(tars.new_docker(tars.Image([layer], [content]), RUNTIME))


def lazy(make: Callable[[], Send]) -> Send:
    """Large things are made when their turn has come."""
    return lambda place: make()(place)


def deflated(pieces: int, piece: bytes) -> bytes:
    packer = zlib.compressobj(9, wbits=31)
    return b"".join([*(packer.compress(piece) for _ in range(pieces)), packer.flush()])


def bomb() -> bytes:
    return header("bin/zero", size=ZERO) + bytes(ZERO) + END


def frame(content: bytes = CONTENT) -> bytes:
    return zstd.compress(content, options={zstd.CompressionParameter.checksum_flag: 1})


def skippable(body: bytes, magic: int = SKIPPABLE) -> bytes:
    return struct.pack("<II", magic, len(body)) + body


def window(log: int) -> bytes:
    """A frame that asks for a window of 2**log bytes and holds one empty block (RFC 8878, 3.1.1.1.2)."""
    return b"\x28\xb5\x2f\xfd\x00" + bytes([(log - 10) << 3]) + b"\x01\x00\x00"


def single(size: int, body: bytes = b"") -> bytes:
    """A single-segment frame that says it holds `size` bytes and holds `body`, raw."""
    return b"\x28\xb5\x2f\xfd\xe0" + struct.pack("<Q", size) + struct.pack("<I", len(body) << 3 | 1)[:3] + body


def lying() -> bytes:
    """A frame whose content size is one byte less than its content."""
    data = frame()
    at = data.index(struct.pack("<H", len(CONTENT) - 256))
    return data[:at] + struct.pack("<H", len(CONTENT) - 257) + data[at + 2 :]


OUTER = table(
    "compression",
    extract,
    MissingError,
    {
        "gzip bomb": (
            lazy(lambda: put(deflated(80, bytes(1 << 20)), "a.tar.gz")),
            "unpacks to too much|not a tar header|data after|too much after",
        ),
        "gzip bomb in one member": (lazy(lambda: put(gzip.compress(bomb(), 6), "a.tgz")), "unpacks to too much"),
        "zstd bomb": (lazy(lambda: put(zstd.compress(bomb(), 3), "a.tar.zst")), "unpacks to too much"),
        "bzip2 bomb": (lazy(lambda: put(bz2.compress(bomb(), 9), "a.tar.bz2")), "unpacks to too much"),
        "gzip members without end": (
            lazy(lambda: put(gzip.compress(b"", mtime=0) * 140_000, "a.tar.gz")),
            "too many compressed frames",
        ),
        "bzip2 streams without end": (
            lazy(lambda: put(bz2.compress(b"") * 140_000, "a.tbz")),
            "too many compressed frames",
        ),
        "skippable frames without end": (
            lazy(lambda: put(skippable(b"") * 140_000, "a.tar.zst")),
            "too many compressed frames",
        ),
        "window of 64 MiB": (put(window(26), "a.tar.zst"), "zstd window too large"),
        "window of 2 TiB": (put(window(41), "a.tar.zst"), "zstd window too large"),
        "single segment of 40 MiB": (put(single(40 << 20), "a.tar.zst"), "zstd window too large"),
        "single segment of 16 EiB": (put(single((1 << 64) - 1), "a.tar.zst"), "zstd window too large"),
        "lz4": (put(b"\x04\x22\x4d\x18" + bytes(100), "a.tar.lz4"), "lz4 archives cannot be read[\\s\\S]*lz4 -d"),
        "xz, which RKE2 does not read": (put(lzma.compress(WHOLE), "a.tar.xz"), "got: no image"),
        "xz called tar": (put(lzma.compress(WHOLE)), "not a tar header|truncated"),
        "zip called tar": (put(b"PK\x03\x04" + bytes(2000)), "not a tar header"),
        "gzip called zst": (put(gzip.compress(WHOLE), "a.tar.zst"), "not a zstd frame"),
        "plain tar called gz": (put(WHOLE, "a.tar.gz"), "damaged gzip data"),
        "gzip cut short": (put(gzip.compress(WHOLE)[:-20], "a.tar.gz"), "ends too early|truncated"),
        "gzip with a wrong checksum": (put(gzip.compress(WHOLE)[:-8] + bytes(8), "a.tar.gz"), "damaged gzip data"),
        "gzip with bytes behind it": (put(gzip.compress(WHOLE) + b"x" * 30, "a.tar.gz"), "damaged gzip data"),
        "bzip2 cut short": (put(bz2.compress(WHOLE)[:-20], "a.tar.bz2"), "ends too early|damaged"),
        "bzip2 with bytes behind it": (put(bz2.compress(WHOLE) + b"x" * 30, "a.tar.bz2"), "damaged bzip2 data"),
        "zstd cut short": (put(frame(WHOLE)[:-6], "a.tar.zst"), "ends within a frame"),
        "zstd with a wrong checksum": (put(frame(WHOLE)[:-4] + b"xxxx", "a.tar.zst"), "damaged zstd data"),
        "zstd with bytes behind it": (put(frame(WHOLE) + b"x" * 30, "a.tar.zst"), "not a zstd frame"),
        "zstd with a dictionary": (put(b"\x28\xb5\x2f\xfd\x21\x07\x00" + bytes(20), "a.tar.zst"), "dictionary"),
        "zstd with reserved bits": (put(b"\x28\xb5\x2f\xfd\x28\x00" + bytes(20), "a.tar.zst"), "reserved bits"),
        "empty gzip file": (put(b"", "a.tar.gz"), "ends too early"),
        "empty zst file": (put(b"", "a.tar.zst"), "truncated|ends"),
        "gzip in gzip": (put(gzip.compress(gzip.compress(WHOLE)), "a.tar.gz"), "not a tar header|truncated"),
    },
)
LAYER = table(
    "compression",
    extract,
    FormatError,
    {
        "layer: gzip bomb": (lazy(lambda: stored(gzip.compress(bomb(), 6), b"")), "unpacks to too much"),
        "layer: zstd bomb in small frames": (
            lazy(lambda: stored(zstd.compress(bytes(4 << 20)) * 20, b"")),
            "unpacks to too much|zero|after the end",
        ),
        "layer: frames without end": (lazy(lambda: stored(zstd.compress(b"") * 140_000)), "too many compressed frames"),
        "layer: skippable frames without end": (
            lazy(lambda: stored(frame() + skippable(b"") * 140_000)),
            "too many compressed frames",
        ),
        "layer: skippable frame of 4 GiB": (
            stored(struct.pack("<II", SKIPPABLE, 0xFFFFFFFF) + bytes(100)),
            "skippable frame too large",
        ),
        "layer: window of 128 MiB": (stored(window(27)), "zstd window too large"),
        "layer: frame that holds more than it says": (stored(lying()), "another size than it says|damaged zstd"),
        "layer: frame that holds less than it says": (
            stored(single(4096, b"x" * 100)),
            "another size than it says|damaged zstd",
        ),
        "layer: frame that says 8 EiB": (stored(single(1 << 63)), "zstd window too large"),
        "layer: cut in a frame": (stored(frame()[:-10]), "ends within a frame"),
        "layer: data after the seek table": (
            stored(frame() + skippable(b"\x00" * 5 + struct.pack("<I", 0x8F92EAB1), SEEK_TABLE) + frame()),
            "data after the seek table",
        ),
        "layer: second tar in a second frame": (stored(frame() + frame()), "after the end"),
        "layer: second tar in a second gzip member": (stored(gzip.compress(CONTENT) * 2), "after the end"),
        "layer: xz": (stored(lzma.compress(CONTENT)), "diff id|not a tar header|truncated"),
        "layer: bzip2": (stored(bz2.compress(CONTENT)), "diff id|not a tar header|truncated"),
        "layer: gzip cut short": (stored(gzip.compress(CONTENT)[:-9]), "ends too early|truncated"),
        "layer: empty": (stored(b"", b""), "truncated"),
    },
)
ATTACKS: list[Attack] = OUTER + LAYER
