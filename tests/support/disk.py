"""A disk as a crash sees it: what was asked of it, and what of that it must still know.

The rules are POSIX's, and stricter than any common filesystem's:

* fsync of a file makes its content, size and mode durable; fsync of a directory makes its names and its mode durable.
* A name is not durable because its file is. A rename is one change: it is durable when either directory was synced.
* What was not made durable may be lost or kept, each change for itself; data may be lost while the size is kept.

Events name files by (device, inode) as the kernel does; a number that is used again is another file.
"""

import os
import stat
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

FileId = tuple[int, int]


@dataclass(frozen=True, slots=True)
class Create:
    """A new file, folder or link (`kind` file, dir, link) under a name; with an empty name, a file without one."""

    folder: FileId
    name: str
    file: FileId
    kind: str
    mode: int
    target: str = ""


@dataclass(frozen=True, slots=True)
class Link:
    """One more name of a file."""

    folder: FileId
    name: str
    file: FileId


@dataclass(frozen=True, slots=True)
class Unlink:
    """A name goes."""

    folder: FileId
    name: str


@dataclass(frozen=True, slots=True)
class Rename:
    """A name goes and another comes, at once."""

    folder: FileId
    name: str
    to_folder: FileId
    to_name: str
    file: FileId


@dataclass(frozen=True, slots=True)
class Exchange:
    """Two names change places, at once."""

    folder: FileId
    name: str
    file: FileId
    to_folder: FileId
    to_name: str
    to_file: FileId


@dataclass(frozen=True, slots=True)
class Write:
    """Bytes at an offset."""

    file: FileId
    offset: int
    data: bytes


@dataclass(frozen=True, slots=True)
class Resize:
    """Another size; what comes new reads as zeros."""

    file: FileId
    size: int


@dataclass(frozen=True, slots=True)
class Mode:
    """Other permissions."""

    file: FileId
    mode: int


@dataclass(frozen=True, slots=True)
class Sync:
    """fsync of a file or folder."""

    file: FileId


Event = Create | Link | Unlink | Rename | Exchange | Write | Resize | Mode | Sync


@dataclass(eq=False, slots=True)
class Node:
    """A file, folder or link: how it is, and how it was when it was last made durable."""

    kind: str
    mode: int
    safe_mode: int
    target: str = ""
    data: bytes = b""
    safe_data: bytes = b""

    @property
    def dirty(self) -> bool:
        """Whether a crash could change what is in it, or its mode."""
        return self.data != self.safe_data or self.mode != self.safe_mode


@dataclass(frozen=True, slots=True)
class Naming:
    """A change of names that is not durable yet: (folder, name) -> what stands there after it, None: nothing."""

    number: int
    sets: tuple[tuple[Node, str, Node | None], ...]


# The folder's names: (number of the change that decided it, what stands there).
Names = dict[tuple[Node, str], tuple[int, Node | None]]


@dataclass(slots=True)
class Disk:
    """Everything below one folder. `names` are durable, `pending` are not."""

    root: Node
    nodes: dict[FileId, Node]
    names: Names = field(default_factory=dict)
    pending: list[Naming] = field(default_factory=list)
    count: int = 0

    def apply(self, event: Event) -> None:
        """One event, in order."""
        match event:
            case Create(folder, name, file, kind, mode, target):
                node = self.nodes[file] = Node(kind, mode, mode, target)
                if name:
                    self._named((folder, name, node))
            case Link(folder, name, file):
                self._named((folder, name, self.nodes[file]))
            case Unlink(folder, name):
                self._named((folder, name, None))
            case Rename(folder, name, to_folder, to_name, file):
                self._named((folder, name, None), (to_folder, to_name, self.nodes[file]))
            case Exchange(folder, name, file, to_folder, to_name, to_file):
                self._named((folder, name, self.nodes[to_file]), (to_folder, to_name, self.nodes[file]))
            case Write(file, offset, data):
                node = self.nodes[file]
                before = node.data.ljust(offset, b"\0")
                node.data = before[:offset] + data + before[offset + len(data) :]
            case Resize(file, size):
                node = self.nodes[file]
                node.data = node.data[:size].ljust(size, b"\0")
            case Mode(file, mode):
                self.nodes[file].mode = mode
            case Sync(file):
                self._sync(self.nodes[file])

    def _named(self, *sets: tuple[FileId, str, Node | None]) -> None:
        self.count += 1
        self.pending.append(Naming(self.count, tuple((self.nodes[folder], name, node) for folder, name, node in sets)))

    def _sync(self, node: Node) -> None:
        node.safe_data, node.safe_mode = node.data, node.mode
        if node.kind == "dir":
            safe = [naming for naming in self.pending if any(folder is node for folder, _, _ in naming.sets)]
            self.pending = [naming for naming in self.pending if naming not in safe]
            settle(self.names, safe)


def settle(names: Names, namings: Iterable[Naming]) -> Names:
    """Names after these changes reached the disk, in whatever order they did: the later one counts."""
    for naming in namings:
        for folder, name, node in naming.sets:
            if names.get((folder, name), (0, None))[0] < naming.number:
                names[folder, name] = (naming.number, node)
    return names


def read_disk(root: Path) -> Disk:
    """What lies below `root` now, all of it durable."""
    disk = Disk(root=_node(root), nodes={})
    disk.nodes[_file_id(root)] = disk.root
    for path, folders, files in os.walk(root):
        above = disk.nodes[_file_id(Path(path))]
        for name in sorted((*folders, *files)):
            entry = Path(path, name)
            node = disk.nodes.setdefault(_file_id(entry), _node(entry))
            disk.names[above, name] = (0, node)
    return disk


def _file_id(path: Path) -> FileId:
    found = path.lstat()
    return found.st_dev, found.st_ino


def _node(path: Path) -> Node:
    mode = path.lstat().st_mode
    bits = stat.S_IMODE(mode)
    if stat.S_ISLNK(mode):
        return Node("link", bits, bits, str(path.readlink()))
    if stat.S_ISDIR(mode):
        return Node("dir", bits, bits)
    data = path.read_bytes()
    return Node("file", bits, bits, "", data, data)
