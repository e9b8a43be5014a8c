"""The tree of files that layers make, in memory: what an archive says never touches a path on disk until it is whole.

Layers are applied from the lowest up (OCI image spec, layer.md, "Applying Changesets"). Bodies lie elsewhere under
numbers; a hard link is the same file under two names. Pure.
"""

from dataclasses import dataclass, field
from typing import Final

from bundles.digest import Digest
from bundles.errors import FormatError

# Far below what the kernel follows: ten thousand links that lead in circles must be refused in seconds.
_MAX_HOPS: Final = 8
_MAX_STEPS: Final = 512


@dataclass(frozen=True, kw_only=True, slots=True)
class File:
    """A body under its number; `size` in bytes, `mode` as on disk, `head` the first bytes of it."""

    number: int
    digest: Digest
    size: int
    mode: int
    head: bytes


@dataclass(frozen=True, slots=True)
class Link:
    """A symbolic link: its target as written."""

    target: str


@dataclass(slots=True)
class Folder:
    """A directory; `layer` is the last one that had anything to say in it."""

    layer: int
    children: "dict[str, File | Link | Folder]" = field(default_factory=dict)


Node = File | Link | Folder


class Tree:
    """The merged tree. `roots` are names of top-level directories that always exist and stay directories."""

    def __init__(self, roots: frozenset[str]) -> None:
        """Begins with empty roots."""
        self.roots = roots
        self._top = Folder(-1, {name: Folder(-1) for name in sorted(roots)})

    def root(self, name: str) -> Folder:
        """The directory of a root."""
        folder = self._top.children[name]
        assert isinstance(folder, Folder)
        return folder

    def hide(self, path: str) -> None:
        """A whiteout: what lower layers have at `path` goes; nothing there is no error."""
        parent, _, name = path.rpartition("/")
        folder = self._lookup(parent)
        if name in self.roots and not parent:
            self.root(name).children.clear()
        elif isinstance(folder, Folder):
            folder.children.pop(name, None)

    def empty(self, path: str) -> None:
        """An opaque directory: what lower layers have below `path` ("" is the root) goes."""
        folder = self._lookup(path)
        if not path:
            for name in self.roots:
                self.root(name).children.clear()
        elif isinstance(folder, Folder):
            folder.children.clear()

    def add_folder(self, path: str, layer: int) -> None:
        """A directory entry; replaces a lower layer's file or link."""
        folder, name = self._parent(path, layer)
        here = folder.children.get(name)
        if isinstance(here, Folder):
            here.layer = layer
        else:
            self._replace(folder, name, Folder(layer), path, layer)

    def add(self, path: str, node: File | Link, layer: int) -> None:
        """A file or link; replaces whatever lower layers have there."""
        folder, name = self._parent(path, layer)
        self._replace(folder, name, node, path, layer)

    def hard_link(self, path: str, target: str, layer: int) -> None:
        """Another name for the file `target`; raises FormatError unless it is a regular file in the tree."""
        node = self._lookup(target)
        if not isinstance(node, File):
            raise FormatError("hard link to what is no file of the tree", where=path, got=target)
        self.add(path, node, layer)

    def _parent(self, path: str, layer: int) -> tuple[Folder, str]:
        """The directory that holds `path`, made where missing; never through a link or a file."""
        *parents, name = path.split("/")
        folder = self._top
        for part in parents:
            child = folder.children.get(part)
            if child is None:
                child = folder.children[part] = Folder(layer)
            if not isinstance(child, Folder):
                kind = "a symbolic link" if isinstance(child, Link) else "a file"
                raise FormatError(f"entry below {kind}", where=path, got=part)
            child.layer = layer
            folder = child
        return folder, name

    def _replace(self, folder: Folder, name: str, node: Node, path: str, layer: int) -> None:
        here = folder.children.get(name)
        if folder is self._top and name in self.roots:
            raise FormatError("must be a directory", where=f"/{path}")
        if isinstance(here, Folder) and here.layer == layer:
            raise FormatError("a file and a directory of one name in one layer", where=path)
        folder.children[name] = node

    def _lookup(self, path: str) -> Node | None:
        """What is at `path` ("" is the top), without following links."""
        node: Node | None = self._top
        for part in path.split("/") if path else ():
            node = node.children.get(part) if isinstance(node, Folder) else None
        return node


def leads(root: Folder, path: tuple[str, ...], target: str) -> bool:
    """Whether the link at `path` (components below `root`) stays inside `root`, however it is followed.

    Each step is taken as the kernel takes it: through other links, `..` from where they led. A link to nothing is
    fine while it needs no `..` after the missing part; absolute targets would be the host's.
    """
    here, todo, hops = list(path[:-1]), target.split("/")[::-1], 0
    if target.startswith("/"):
        return False
    for _ in range(_MAX_STEPS):
        if not todo:
            return True
        part = todo.pop()
        if part in ("", "."):
            continue
        if part == "..":
            if not here or not isinstance(_at(root, here), Folder):
                return False
            here.pop()
            continue
        node = _at(root, [*here, part])
        if not isinstance(node, Link):
            here.append(part)
            continue
        hops += 1
        if node.target.startswith("/") or hops > _MAX_HOPS:
            return False
        todo.extend(node.target.split("/")[::-1])
    return False


def _at(root: Folder, parts: list[str]) -> Node | None:
    node: Node | None = root
    for part in parts:
        node = node.children.get(part) if isinstance(node, Folder) else None
    return node
