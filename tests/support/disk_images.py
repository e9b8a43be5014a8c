"""All disks that a crash may leave, and how one of them becomes a real folder again."""

import functools
import hashlib
import os
import shutil
import stat
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.support.disk import Disk, Event, Naming, Node, settle

# Of a file that was not synced: its content and mode as far as they survived.
Survives = Callable[[Node], tuple[bytes, int]]


@dataclass(frozen=True, slots=True)
class Entry:
    """A name of an image: `kind` file, dir, link; `content` of a file, or where a link leads; `file` tells links."""

    kind: str
    mode: int
    content: bytes
    file: int


Image = dict[str, Entry]


@dataclass(frozen=True, slots=True)
class Crash:
    """A disk after a crash: after how many events, in words what was lost, what is there, and the how manieth it is."""

    after: int
    lost: str
    image: Image
    looked_at: int


def kept(node: Node) -> tuple[bytes, int]:
    """Everything reached the disk."""
    return node.data, node.mode


def lost(node: Node) -> tuple[bytes, int]:
    """Nothing since the last fsync did."""
    return node.safe_data, node.safe_mode


def zeros(node: Node) -> tuple[bytes, int]:
    """The size did, the data did not (XFS, ext4 with delayed allocation)."""
    return node.data[: _begin(node)].ljust(len(node.data), b"\0"), node.mode


def torn(node: Node) -> tuple[bytes, int]:
    """The size and half of the new data did."""
    half = (_begin(node) + len(node.data)) // 2
    return node.data[:half].ljust(len(node.data), b"\0"), node.mode


def _lost_alone(one: Node, node: Node) -> tuple[bytes, int]:
    """Of one file nothing reached the disk, of all others everything."""
    return lost(node) if node is one else kept(node)


def _begin(node: Node) -> int:
    """How many bytes at the beginning are durable."""
    pairs = enumerate(zip(node.data, node.safe_data, strict=False))
    return next((at for at, (new, old) in pairs if new != old), min(len(node.data), len(node.safe_data)))


def every_crash(disk: Disk, events: Iterable[Event], shape: Callable[[Image], Image] = lambda i: i) -> Iterator[Crash]:
    """A crash after each event, each disk once. `shape` leaves out what makes no difference between two of them."""
    seen: set[str] = set()
    looked_at = 0
    for number, event in enumerate([None, *events]):
        if event is not None:
            disk.apply(event)
        for words, image in _images(disk):
            looked_at += 1
            key = _key(shape(image))
            if key not in seen:
                seen.add(key)
                yield Crash(number, words, image, looked_at)


def last_crash(disk: Disk) -> Image:
    """Everything that was not made durable is lost."""
    return _image(disk, (), lost)


def whole(disk: Disk) -> Image:
    """As it looks to those who still run."""
    return _image(disk, disk.pending, kept)


def _images(disk: Disk) -> Iterator[tuple[str, Image]]:
    """Names: all, none, all but one, only one; data: kept, lost, zeros, torn, and of one file alone."""
    pending = disk.pending
    for survives in (kept, lost, zeros, torn):
        yield f"all names, data {survives.__name__}", _image(disk, pending, survives)
    for survives in (kept, lost, zeros):
        yield f"no names, data {survives.__name__}", _image(disk, (), survives)
    for naming in pending:
        name = naming.sets[-1][1]
        others = [one for one in pending if one is not naming]
        for survives in (kept, lost):
            yield f"all names but {name}, data {survives.__name__}", _image(disk, others, survives)
        yield f"of names only {name}, data lost", _image(disk, [naming], lost)
    for node in {id(node): node for node in disk.nodes.values() if node.dirty}.values():
        yield "all names, data of one lost", _image(disk, pending, functools.partial(_lost_alone, node))


def _image(disk: Disk, namings: Iterable[Naming], survives: Survives) -> Image:
    names = settle(dict(disk.names), namings)
    inside: dict[Node, list[tuple[str, Node]]] = {}
    for (folder, name), (_, node) in names.items():
        if node is not None:
            inside.setdefault(folder, []).append((name, node))
    image: Image = {}

    def walk(folder: Node, above: str) -> None:
        for name, node in sorted(inside.get(folder, ()), key=lambda one: one[0]):
            content, mode = survives(node) if node.dirty else (node.data, node.mode)
            image[above + name] = Entry(
                node.kind, mode, node.target.encode() if node.kind == "link" else content, id(node)
            )
            if node.kind == "dir":
                walk(node, f"{above}{name}/")

    walk(disk.root, "")
    return image


def _key(image: Image) -> str:
    digest = hashlib.sha256()
    first: dict[int, str] = {}
    for path, entry in image.items():
        same = first.setdefault(entry.file, path) if entry.kind == "file" else ""
        digest.update(f"{path}\0{entry.kind}\0{entry.mode:o}\0{same}\0{len(entry.content)}\0".encode() + entry.content)
    return digest.hexdigest()


def materialise(image: Image, root: Path) -> None:
    """Makes `root` this image, whatever was there; modes exact, hard links as hard links."""
    empty(root)
    first: dict[int, str] = {}
    for name, entry in image.items():
        path = os.path.join(root, name)
        if entry.kind == "dir":
            os.mkdir(path, 0o700)
        elif entry.kind == "link":
            os.symlink(entry.content, path)
        elif entry.file in first:
            os.link(first[entry.file], path)
        else:
            first[entry.file] = path
            with open(path, "xb") as file:
                file.write(entry.content)
            os.chmod(path, entry.mode)
    for name, entry in reversed(image.items()):
        if entry.kind == "dir":
            os.chmod(os.path.join(root, name), entry.mode)


def read_image(root: Path) -> Image:
    """What lies below `root`."""
    image: Image = {}
    for path, folders, files in os.walk(root):
        for name in (*folders, *files):
            entry = Path(path, name)
            found = entry.lstat()
            kind = "link" if entry.is_symlink() else "dir" if entry.is_dir() else "file"
            content = os.readlink(entry).encode() if kind == "link" else b"" if kind == "dir" else entry.read_bytes()
            image[str(entry.relative_to(root))] = Entry(kind, stat.S_IMODE(found.st_mode), content, found.st_ino)
    return image


def same(one: Image, other: Image) -> bool:
    """Whether names, kinds, modes and contents are the same."""

    def plain(image: Image) -> dict[str, tuple[str, int, bytes]]:
        return {path: (entry.kind, entry.mode, entry.content) for path, entry in image.items()}

    return plain(one) == plain(other)


def empty(root: Path) -> None:
    """Makes `root` an empty folder."""
    root.mkdir(parents=True, exist_ok=True)
    for entry in root.iterdir():
        if entry.is_dir() and not entry.is_symlink():
            shutil.rmtree(entry)
        else:
            entry.unlink()
