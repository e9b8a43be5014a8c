"""What goes into a framed layer and what comes out, and what the builder lends us for it."""

from collections.abc import Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any, BinaryIO, Final, Literal, Protocol

from bundles.digest import Digest

FRAME_FORMAT: Final = 1  # grows when the rules below or in `plan` change the frames of a body
MAX_FRAME: Final = 8 << 20  # content bytes of one frame; also the largest window a reader needs
BIG_BODY: Final = 64 << 10  # bytes; from here on a body has frames of its own
TAIL: Final = 4096  # last bytes of a big body: they go into the shared frame that follows

Kind = Literal["file", "dir", "symlink"]
Frame = tuple[int, int]  # (compressed bytes, content bytes)


@dataclass(frozen=True, kw_only=True, slots=True)
class LayerEntry:
    """One member of a layer. `path`: UTF-8, `/` between parts, no leading or trailing `/`, no `.` or `..`.

    `mode` octal. Files: `size` in bytes and `digest` of the content. Symlinks: `target` as stored, mode 0777.
    """

    path: str
    kind: Kind
    mode: int
    size: int = 0
    digest: Digest | None = None
    target: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class Part:
    """A range of a stored blob, in bytes; a layer is the concatenation of its parts."""

    digest: Digest
    offset: int
    size: int


@dataclass(frozen=True, kw_only=True, slots=True)
class FrameKey:
    """What decides the frames of one body, and nothing else does."""

    content: Digest
    zstd: str
    level: int
    format: int = FRAME_FORMAT

    def __str__(self) -> str:
        """A file name for it: `<hex>-zstd1.5.7-12-f1`."""
        return f"{self.content.hex}-zstd{self.zstd}-{self.level}-f{self.format}"


@dataclass(frozen=True, kw_only=True, slots=True)
class BodyFrames:
    """The frames of one big body (without its tail): they lie one after the other in the stored blob `blob`."""

    blob: Digest
    size: int
    frames: tuple[Frame, ...]

    def to_plain(self) -> dict[str, Any]:
        """As JSON values."""
        return {"blob": str(self.blob), "size": self.size, "frames": [list(frame) for frame in self.frames]}

    @classmethod
    def from_plain(cls, plain: Mapping[str, Any]) -> "BodyFrames":
        """The inverse of `to_plain`; raises FormatError, KeyError, TypeError or ValueError for anything else."""
        return cls(blob=Digest.parse(plain["blob"]), size=int(plain["size"]), frames=_frames(plain["frames"]))


@dataclass(frozen=True, kw_only=True, slots=True)
class FramedLayer:
    """A finished layer: `digest` and `size` (bytes) of it compressed, `diff_id` and `content_size` of the tar inside.

    `frames` in order, the seek table left out; `parts` say where in the store the layer's bytes lie.
    """

    digest: Digest
    size: int
    diff_id: Digest
    content_size: int
    frames: tuple[Frame, ...]
    parts: tuple[Part, ...]

    def to_plain(self) -> dict[str, Any]:
        """As JSON values, for a receipt."""
        return {
            "digest": str(self.digest),
            "size": self.size,
            "diff_id": str(self.diff_id),
            "content_size": self.content_size,
            "frames": [list(frame) for frame in self.frames],
            "parts": [[str(part.digest), part.offset, part.size] for part in self.parts],
        }

    @classmethod
    def from_plain(cls, plain: Mapping[str, Any]) -> "FramedLayer":
        """The inverse of `to_plain`; raises FormatError, KeyError, TypeError or ValueError for anything else."""
        return cls(
            digest=Digest.parse(plain["digest"]),
            size=int(plain["size"]),
            diff_id=Digest.parse(plain["diff_id"]),
            content_size=int(plain["content_size"]),
            frames=_frames(plain["frames"]),
            parts=tuple(Part(digest=Digest.parse(d), offset=int(o), size=int(s)) for d, o, s in plain["parts"]),
        )


class BodySource(Protocol):
    """Where stored content comes from: bodies of files, and frames that were stored earlier."""

    def open(self, digest: Digest) -> BinaryIO:
        """Opens a stored blob for reading, seekable; raises MissingError. The caller closes it."""


class BlobWriter(Protocol):
    """A blob on its way into the store."""

    def write(self, data: bytes | bytearray | memoryview) -> int:
        """Takes all of `data`."""

    @property
    def digest(self) -> Digest:
        """The digest of all written so far."""


class Sink(Protocol):
    """Where new blobs go."""

    def writing(self) -> AbstractContextManager[BlobWriter]:
        """A blob under way: stored under its digest when the block ends well, gone when it ends in an exception."""


class FrameCache(Protocol):
    """Compressed bodies of earlier builds. Called from one thread at a time per layer."""

    def get(self, key: FrameKey) -> BodyFrames | None:
        """The frames of a body, only if their blob is stored too; else None."""

    def put(self, key: FrameKey, frames: BodyFrames) -> None:
        """Remembers frames whose blob is stored."""


def _frames(plain: Any) -> tuple[Frame, ...]:
    return tuple((int(compressed), int(content)) for compressed, content in plain)
