"""The store door: content by digest, receipts of finished steps, and the caches of the tools.

    blobs/sha256/<hex>     any content, read-only, under its digest
    steps/<hex>.json       receipt of the step with that content id, written after its outputs
    frames/                compressed frames (builder.store_frames)
    sources/               receipts of verified sources (builder.sources)
    roots/                 build roots by the digest of their packages (builder.buildroot)
    go/mod, go/build       GOMODCACHE, GOCACHE; go/build-<hex>: of C inside a build root
    logs/                  one log per step
    times/                 how long steps took (builder.times)
    tmp/                   work in progress; may be emptied whenever nothing runs
    locks/                 for processes that share a store

A name appears only after its bytes are on disk, so a crash at any point leaves whole files and some of `tmp/`.
"""

import contextlib
import errno
import fcntl
import os
import shutil
import stat
import tempfile
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, Final

from builder.plan.model import Output, Receipt
from builder.storebatch import BLOB_MODE, Batch
from bundles import jsontext
from bundles.digest import Digest
from bundles.errors import FormatError, MissingError, SealiftError, UsageError
from bundles.files import (
    HashingWriter,
    fsync_directory,
    make_folders,
    os_errors,
    remove_abandoned,
    unflushed,
    write_atomic,
)

CHUNK: Final = 1 << 20  # bytes
ASIDE: Final = ".aside-"  # begins the name of a root that was replaced
_FOLDERS: Final = ("blobs/sha256", "steps", "frames", "sources", "roots", "go/mod", "go/build", "logs", "tmp", "locks")


def default_root(env: Mapping[str, str]) -> Path:
    """`$SEALIFT_STORE`, else `sealift` below `$XDG_CACHE_HOME`, else below `~/.cache` (XDG base directories).

    Raises UsageError when the environment names none.
    """
    if chosen := env.get("SEALIFT_STORE"):
        return Path(chosen).absolute()
    if cache := env.get("XDG_CACHE_HOME"):
        return Path(cache).absolute() / "sealift"
    if home := env.get("HOME"):
        return Path(home).absolute() / ".cache" / "sealift"
    hint = "choose a folder: --store DIR or $SEALIFT_STORE"
    raise UsageError("nothing says where the store is", want="$HOME, $XDG_CACHE_HOME or $SEALIFT_STORE", hint=hint)


@dataclass(frozen=True, kw_only=True, slots=True)
class Collected:
    """What `collect` removed: number of files and their bytes."""

    files: int
    size: int


class Store:
    """One store folder. Threads and processes may share it."""

    def __init__(self, root: Path) -> None:
        """Makes the folder and its parts where they are missing."""
        self.root = root
        for name in _FOLDERS:
            make_folders(root / name)

    # Folders that tools fill themselves

    @property
    def go_mod(self) -> Path:
        """GOMODCACHE."""
        return self.root / "go/mod"

    @property
    def go_build(self) -> Path:
        """GOCACHE."""
        return self.root / "go/build"

    def go_build_within(self, root: Digest) -> Path:
        """GOCACHE of what is compiled with the C compiler of a build root: go's keys do not know its headers."""
        folder = self.root / "go" / self.go_cache_name(root)
        make_folders(folder)
        return folder

    @staticmethod
    def go_cache_name(root: Digest) -> str:
        """The name of that folder."""
        return f"build-{root.hex[:16]}"

    @property
    def roots(self) -> Path:
        """Build roots, unpacked."""
        return self.root / "roots"

    @property
    def logs(self) -> Path:
        """Logs of steps and of fetching."""
        return self.root / "logs"

    @property
    def sources(self) -> Path:
        """Receipts of verified sources, and private lists of package indexes."""
        return self.root / "sources"

    @property
    def frames(self) -> Path:
        """Compressed frames."""
        return self.root / "frames"

    # Blobs

    def path(self, digest: Digest) -> Path:
        """Where the content is or would be. Never write there."""
        return self.root / "blobs/sha256" / digest.hex

    def has(self, digest: Digest, size: int | None = None) -> bool:
        """Whether the content is there (and, when given, has that many bytes)."""
        try:
            found = self.path(digest).lstat()
        except FileNotFoundError:
            return False
        return stat.S_ISREG(found.st_mode) and size in (None, found.st_size)

    def open(self, digest: Digest) -> BinaryIO:
        """The content; raises MissingError."""
        try:
            return open(self.path(digest), "rb")
        except FileNotFoundError as exc:
            raise MissingError("not in the store", where=digest, hint="run `sealift build` again") from exc

    def read(self, digest: Digest) -> bytes:
        """Small content, checked against its digest; raises MissingError, FormatError."""
        with self.open(digest) as file:
            data = file.read()
        if Digest.of(data) != digest:
            raise FormatError("damaged in the store", where=self.path(digest), got=Digest.of(data), want=digest)
        return data

    def put(self, data: bytes | bytearray | memoryview) -> Digest:
        """Keeps bytes; returns their digest."""
        digest = Digest.of(data)
        if not self.has(digest, len(data)):
            with self.writing() as writer:
                writer.write(data)
        return digest

    put_bytes = put

    @contextlib.contextmanager
    def batch(self) -> Iterator[Batch]:
        """For many small contents: those that are put are kept by the end of the block, flushed together.

        From any thread. After an error what was put is kept as far as it got.
        """
        batch = Batch(self)
        try:
            yield batch
        finally:
            batch.flush()

    def put_file(self, path: Path, mode: int = 0o644) -> Output:
        """Keeps a copy of a regular file; `mode` (octal) is noted in the output, not on the blob.

        Raises SealiftError for symlinks and special files: a step must not hand over what it does not own.
        """
        with os_errors(path):
            fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK)
        if not stat.S_ISREG(os.fstat(fd).st_mode):
            os.close(fd)
            raise SealiftError("not a regular file", where=path)
        with open(fd, "rb") as file, self.writing() as writer:
            shutil.copyfileobj(file, writer, CHUNK)
        return Output(digest=writer.digest, size=writer.size, mode=mode)

    @contextlib.contextmanager
    def writing(self, want: Digest | None = None) -> Iterator[HashingWriter]:
        """Yields a writer; what was written is kept under its digest when the block ends well.

        With `want`, other content raises FormatError and is not kept.
        """
        with self.temp_file() as (file, temp):
            writer = HashingWriter(file, self.root)
            yield writer
            if want is not None and writer.digest != want:
                raise FormatError("content differs from its digest", got=writer.digest, want=want)
            with os_errors(temp):
                file.flush()
                os.fchmod(file.fileno(), BLOB_MODE)
                os.fsync(file.fileno())
                target = self.path(writer.digest)
                os.rename(temp, target)
                fsync_directory(target.parent)

    def adopt(self, file: BinaryIO, path: Path, digest: Digest) -> None:
        """Keeps an open file of the store's filesystem by renaming `path`; its bytes were hashed to be `digest`."""
        with os_errors(path):
            file.flush()
            os.fchmod(file.fileno(), BLOB_MODE)
            os.fsync(file.fileno())
            os.rename(path, self.path(digest))
            fsync_directory(self.path(digest).parent)

    # Receipts

    def receipt(self, step: Digest) -> Receipt | None:
        """The receipt of a finished step; None when there is none or an output is missing or has another size."""
        try:
            data = (self.root / "steps" / f"{step.hex}.json").read_bytes()
            receipt = _receipt_from(jsontext.decode_plain(data, where=f"receipt {step.hex}"))
        except (FileNotFoundError, FormatError):
            return None  # a damaged receipt costs a step, no more
        if all(self.has(output.digest, output.size) for output in receipt.outputs.values()):
            return receipt
        return None

    def write_receipt(self, step: Digest, receipt: Receipt) -> None:
        """Makes a step finished; its outputs must be in the store."""
        for path, data in self.receipt_files({step: receipt}):
            write_atomic(path, data)

    def receipt_files(self, receipts: Mapping[Digest, Receipt]) -> Iterator[tuple[Path, bytes]]:
        """Receipts of steps as files, for whoever writes them; raises MissingError for outputs not in the store."""
        for step, receipt in receipts.items():
            for name, output in receipt.outputs.items():
                if not self.has(output.digest, output.size):
                    raise MissingError(f"output {name} is not in the store", where=output.digest)
            yield self.root / "steps" / f"{step.hex}.json", jsontext.encode_canonical(_receipt_to(receipt))

    # Work in progress

    @contextlib.contextmanager
    def temp_folder(self, name: str = "work", *, keep_after: tuple[type[BaseException], ...] = ()) -> Iterator[Path]:
        """A private folder below `tmp/`, removed at the end of the block, unless it ends with one of `keep_after`."""
        with os_errors(self.root / "tmp"):
            folder = Path(tempfile.mkdtemp(prefix=f"{name}.", dir=self.root / "tmp"))
        try:
            yield folder
        except keep_after:
            raise
        except BaseException:
            with contextlib.suppress(SealiftError):
                remove_tree(folder)
            raise
        with contextlib.suppress(SealiftError):  # the work is done; the next build tries again
            remove_tree(folder)

    @contextlib.contextmanager
    def temp_file(self) -> Iterator[tuple[BinaryIO, Path]]:
        """An open file below `tmp/` and its path; whoever wants to keep it renames it inside the block."""
        with os_errors(self.root / "tmp"):
            fd, name = tempfile.mkstemp(prefix="blob.", dir=self.root / "tmp")
        temp = Path(name)
        try:
            with unflushed(open(fd, "wb")) as file, os_errors(self.root):
                yield file, temp
        finally:
            with contextlib.suppress(OSError):  # what cannot be removed now is removed by the next build
                temp.unlink()

    @contextlib.contextmanager
    def lock(self, name: str = "store", *, exclusive: bool = False, wait: bool = True) -> Iterator[None]:
        """Holds a lock that other processes see: a build shares `store`, `collect` has it alone.

        Raises SealiftError at once with `wait=False` when another process is in the way. The kernel lets go of it
        when the process dies.
        """
        path = self.root / "locks" / name
        with os_errors(path):
            fd = _open_lock(path)
        try:
            try:
                fcntl.flock(fd, (fcntl.LOCK_EX if exclusive else fcntl.LOCK_SH) | (0 if wait else fcntl.LOCK_NB))
            except BlockingIOError as exc:
                raise SealiftError(
                    "the store is in use by another sealift", where=self.root, hint="wait for it, then run this again"
                ) from exc
            yield
        finally:
            os.close(fd)

    # Upkeep

    def size(self) -> Mapping[str, int]:
        """Bytes on disk of each part: blobs, steps, frames, sources, go, logs, tmp."""
        return {name: tree_size(self.root / name) for name in sorted({name.split("/")[0] for name in _FOLDERS})}

    def tidy(self) -> None:
        """Removes what killed processes left: everything in `tmp/`, replaced roots, temporary files beside receipts.

        Call it only with the store to yourself.
        """
        with os_errors(self.root):
            left = list((self.root / "tmp").iterdir())
            left += [path for path in self.roots.iterdir() if path.name.startswith(ASIDE)]
            folders = [path for path in (*self.root.iterdir(), self.sources / "verified") if path.is_dir()]
        for path in left:
            remove_tree(path)
        for folder in folders:
            remove_abandoned(folder)

    def collect(self, keep_steps: Collection[Digest], keep_blobs: Collection[Digest] = ()) -> Collected:
        """Removes receipts not in `keep_steps`, blobs that neither they nor `keep_blobs` name, all frames, logs, tmp.

        Facts of receipts are not read: a blob that only they name belongs into `keep_blobs`. The tools' caches stay.
        Raises SealiftError when another process uses the store.
        """
        with self.lock(exclusive=True, wait=False):
            receipts = [found for step in keep_steps if (found := self.receipt(step)) is not None]
            kept = {output.digest.hex for receipt in receipts for output in receipt.outputs.values()}
            kept |= {digest.hex for digest in keep_blobs}
            steps = {f"{step.hex}.json" for step in keep_steps}
            doomed = [path for path in (self.root / "blobs/sha256").iterdir() if path.name not in kept]
            doomed += [path for path in (self.root / "steps").iterdir() if path.name not in steps]
            for name in ("frames", "logs", "tmp"):
                doomed += (self.root / name).iterdir()
            size = sum(tree_size(path) for path in doomed)
            for path in doomed:
                remove_tree(path)
            return Collected(files=len(doomed), size=size)


def _open_lock(path: Path) -> int:
    """flock(2) wants no right to write: a store that is only read can be locked too."""
    try:
        return os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    except OSError as exc:
        if exc.errno not in (errno.EROFS, errno.EACCES) or not path.exists():
            raise
    return os.open(path, os.O_RDONLY | os.O_CLOEXEC)


def remove_tree(path: Path) -> None:
    """Removes a file or folder with all below it, folders without write permission too; symlinks are not followed."""
    if not path.is_symlink() and path.is_dir():
        for folder, _, _ in os.walk(path):
            with contextlib.suppress(OSError):
                os.chmod(folder, 0o700)
        with os_errors(path):
            shutil.rmtree(path)
    else:
        with os_errors(path):
            path.unlink(missing_ok=True)


def tree_size(path: Path) -> int:
    """Bytes allocated below `path`."""
    total = 0
    stack = [path]
    while stack:
        current = stack.pop()
        with contextlib.suppress(FileNotFoundError, NotADirectoryError):  # others may remove what we look at
            total += current.lstat().st_blocks * 512
            if current.is_dir() and not current.is_symlink():
                stack += [Path(entry.path) for entry in os.scandir(current)]
    return total


def _receipt_to(receipt: Receipt) -> dict[str, Any]:
    outputs = {
        name: {"digest": str(output.digest), "mode": output.mode, "size": output.size}
        for name, output in receipt.outputs.items()
    }
    return {"facts": dict(receipt.facts), "outputs": outputs}


def _receipt_from(document: Any) -> Receipt:
    try:
        outputs = {
            name: Output(digest=Digest.parse(value["digest"]), size=int(value["size"]), mode=int(value["mode"]))
            for name, value in document["outputs"].items()
        }
        return Receipt(outputs=outputs, facts=document["facts"])
    except (TypeError, KeyError, AttributeError, ValueError) as exc:
        raise FormatError(f"not a receipt: {exc}") from exc
