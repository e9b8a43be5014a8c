"""Builds a planned layer: one pass over the content, frames compressed in parallel, bytes kept in order.

The calling thread reads and hashes; a pool compresses. At most two frames for each worker wait at a time, so memory
does not grow with the layer. Frames of big bodies come from the cache where they are known: then nothing of that body
is compressed, its content is only read for the diff id.
"""

import contextlib
import hashlib
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import BinaryIO, Final, Protocol

from bundles.digest import Digest
from bundles.errors import FormatError
from bundles.layers.frames import ZSTD_VERSION, compress_frame, seek_table
from bundles.layers.model import (
    BlobWriter,
    BodyFrames,
    BodySource,
    Frame,
    FrameCache,
    FramedLayer,
    FrameKey,
    Part,
    Sink,
)
from bundles.layers.plan import BodyPiece, LayerPlan, SharedFrame, Slice

_CHUNK: Final = 1 << 20  # bytes


class _Hash(Protocol):
    def update(self, data: bytes, /) -> None: ...
    def hexdigest(self) -> str: ...


def build_layer(
    plan: LayerPlan, source: BodySource, sink: Sink, cache: FrameCache, *, level: int, workers: int = 1
) -> FramedLayer:
    """Plan -> the layer, whose parts lie in the store when this returns; the same bytes for any `workers`.

    Raises FormatError when a body or a cached frame is not what its digest says, MissingError when it is not there.
    """
    with contextlib.ExitStack() as stack:
        pool = ThreadPoolExecutor(workers, thread_name_prefix="zstd")
        stack.callback(pool.shutdown, cancel_futures=True)
        bodies = stack.enter_context(_Bodies(source))
        output = _Output(stack, source, sink, cache)
        queue = _Queue(pool, level, limit=2 * workers)
        diff = hashlib.sha256()
        for piece in plan.pieces:
            if isinstance(piece, SharedFrame):
                content = b"".join(bodies.read(part) if isinstance(part, Slice) else part for part in piece.segments)
                diff.update(content)
                queue.compress(content, output.shared)
            else:
                _build_body(
                    piece, FrameKey(content=piece.digest, zstd=ZSTD_VERSION, level=level), bodies, diff, queue, output
                )
        queue.drain(0)
        return output.finish(Digest(diff.hexdigest()), plan.content_size)


def _build_body(
    piece: BodyPiece, key: FrameKey, bodies: "_Bodies", diff: _Hash, queue: "_Queue", output: "_Output"
) -> None:
    """Queues the frames of a big body, from the cache or anew."""
    cached = output.cached(key, piece)
    if cached is None:
        queue.then(output.start_body)
    for part in piece.slices():
        content = bodies.read(part)
        diff.update(content)
        if cached is None:
            queue.compress(content, output.body)
    queue.then(lambda: output.end_body(key) if cached is None else output.copy_body(cached))


class _Queue:
    """Frames under way, finished in the order they came in."""

    def __init__(self, pool: ThreadPoolExecutor, level: int, *, limit: int) -> None:
        self._pool = pool
        self._level = level
        self._limit = limit
        self._waiting: deque[Callable[[], None]] = deque()

    def compress(self, content: bytes, use: Callable[[bytes, int], None]) -> None:
        """Compresses in the pool; `use` gets the frame and its content size when its turn comes."""
        future: Future[bytes] = self._pool.submit(compress_frame, content, self._level)
        size = len(content)
        self.then(lambda: use(future.result(), size))

    def then(self, act: Callable[[], None]) -> None:
        """Calls `act` when all before it is done."""
        self._waiting.append(act)
        self.drain(self._limit)

    def drain(self, limit: int) -> None:
        """Finishes all but the newest `limit`."""
        while len(self._waiting) > limit:
            self._waiting.popleft()()


class _Bodies:
    """Reads bodies front to back, one at a time, and holds each to its digest."""

    def __init__(self, source: BodySource) -> None:
        self._source = source
        self._file: BinaryIO | None = None
        self._hash = hashlib.sha256()

    def __enter__(self) -> "_Bodies":
        return self

    def __exit__(self, *_: object) -> None:
        if self._file:
            self._file.close()

    def read(self, part: Slice) -> bytes:
        """The slice's bytes; slices of one body come in order, without gaps, and end with its end."""
        if part.start == 0:
            self.__exit__()
            self._file, self._hash = self._source.open(part.digest), hashlib.sha256()
        assert self._file is not None
        data = self._file.read(part.length)
        self._hash.update(data)
        if part.start + part.length == part.whole and self._hash.hexdigest() != part.digest.hex:
            hint = "the stored content was damaged: remove it from the store and run the same command again"
            raise FormatError("content does not match its digest", where=part.digest, hint=hint)
        if len(data) != part.length:
            raise FormatError("content cut short", where=part.digest, want=f"{part.whole} bytes")
        return data


class _Output:
    """The finished side: writes new frames to the store, hashes the layer, notes frames and parts."""

    def __init__(self, stack: contextlib.ExitStack, source: BodySource, sink: Sink, cache: FrameCache) -> None:
        self._stack = stack
        self._source = source
        self._sink = sink
        self._cache = cache
        self._hash = hashlib.sha256()
        self._frames: list[Frame] = []
        self._parts: list[tuple[Digest | None, int, int]] = []  # no digest: the blob of shared frames
        self._shared: BlobWriter = stack.enter_context(sink.writing())
        self._shared_size = 0

    def shared(self, frame: bytes, content: int) -> None:
        """A frame of headers and small bodies."""
        self._frames.append((len(frame), content))
        self._put_shared(frame)

    def _put_shared(self, data: bytes) -> None:
        self._shared.write(data)
        self._hash.update(data)
        self._parts.append((None, self._shared_size, len(data)))
        self._shared_size += len(data)

    def start_body(self) -> None:
        """Opens a blob for the frames of one body."""
        # Closed by end_body; by the outer stack, with the exception and so without keeping it, if we never get there.
        self._body_stack = self._stack.enter_context(contextlib.ExitStack())
        self._body: BlobWriter = self._body_stack.enter_context(self._sink.writing())
        self._body_frames: list[Frame] = []

    def body(self, frame: bytes, content: int) -> None:
        """One frame of the body that was started."""
        self._body.write(frame)
        self._hash.update(frame)
        self._body_frames.append((len(frame), content))

    def end_body(self, key: FrameKey) -> None:
        """Keeps the body's blob, and remembers it for the next build."""
        self._body_stack.close()
        frames = tuple(self._body_frames)
        made = BodyFrames(blob=self._body.digest, size=sum(size for size, _ in frames), frames=frames)
        self._cache.put(key, made)
        self._note_body(made)

    def cached(self, key: FrameKey, piece: BodyPiece) -> BodyFrames | None:
        """The cached frames of a body, if they are cut as the plan wants them."""
        found = self._cache.get(key)
        wanted = [part.length for part in piece.slices()]
        return found if found and [content for _, content in found.frames] == wanted else None

    def copy_body(self, cached: BodyFrames) -> None:
        """Takes a body's frames from the cache; nothing is written, only hashed."""
        check = hashlib.sha256()
        with self._source.open(cached.blob) as file:
            while data := file.read(_CHUNK):
                check.update(data)
                self._hash.update(data)
        if check.hexdigest() != cached.blob.hex:
            hint = "the stored frames were damaged: remove the blob from the store and run the same command again"
            raise FormatError("cached frames do not match their digest", where=cached.blob, hint=hint)
        self._note_body(cached)

    def _note_body(self, body: BodyFrames) -> None:
        self._frames += body.frames
        self._parts.append((body.blob, 0, body.size))

    def finish(self, diff_id: Digest, content_size: int) -> FramedLayer:
        """Adds the seek table; everything is known then."""
        self._put_shared(seek_table(self._frames))
        shared = self._shared.digest
        return FramedLayer(
            digest=Digest(self._hash.hexdigest()),
            size=sum(size for _, _, size in self._parts),
            diff_id=diff_id,
            content_size=content_size,
            frames=tuple(self._frames),
            parts=_merged([Part(digest=digest or shared, offset=at, size=size) for digest, at, size in self._parts]),
        )


def _merged(parts: list[Part]) -> tuple[Part, ...]:
    """The same ranges, with neighbours of one blob made one."""
    merged: list[Part] = []
    for part in parts:
        last = merged[-1] if merged else None
        if last and last.digest == part.digest and last.offset + last.size == part.offset:
            merged[-1] = Part(digest=last.digest, offset=last.offset, size=last.size + part.size)
        else:
            merged.append(part)
    return tuple(merged)
