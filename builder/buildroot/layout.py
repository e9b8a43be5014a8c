"""Packages' files -> one tree. Pure: nothing is written here, and nothing is run.

What dpkg's maintainer scripts would do is not needed, or done by the tables below:

* usr-merge: files of /bin, /sbin and /lib* go below /usr, the root gets the links (base-files and usrmerge do that).
* alternatives: the few names that update-alternatives would link (`cc`, `awk`), to the one package that is there.
* ldconfig: no cache. Debian's packages carry the links by soname, and its loader looks into /lib/x86_64-linux-gnu.
* users, /etc: of our own, the same in every root (builder.buildroot.unpack).

Documentation stays out: nothing that compiles reads it. Two packages with one path, a path below a link, a device: all
refused, so no order of packages decides what a root holds. One package of two architectures may have a file twice, as
Debian's `Multi-Arch: same` allows it: the bytes must be the same.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final, Literal, Protocol

from bundles.errors import FormatError

TRIPLETS: Final = {"amd64": "x86_64-linux-gnu", "arm64": "aarch64-linux-gnu"}  # Debian policy 9.1.1, multiarch
MERGED: Final = ("bin", "lib", "lib32", "lib64", "libx32", "sbin")
ALTERNATIVES: Final[Mapping[str, tuple[str, ...]]] = {
    "usr/bin/awk": ("mawk", "gawk"),
    "usr/bin/c++": ("g++",),
    "usr/bin/cc": ("gcc",),
    "usr/bin/sh": ("dash",),
    "usr/bin/which": ("which.debianutils",),
    "usr/bin/yacc": ("bison.yacc", "byacc"),
}
_LEFT_OUT: Final = ("usr/share/doc/", "usr/share/info/", "usr/share/lintian/", "usr/share/locale/", "usr/share/man/",
                    "usr/share/bug/", "var/lib/dpkg/", "var/cache/")  # fmt: skip


class Entry(Protocol):
    """What a package has at a path (builder.steps.debfile.DebEntry)."""

    @property
    def kind(self) -> Literal["file", "folder", "symlink", "other"]:
        """What it is."""

    @property
    def mode(self) -> int:
        """Octal."""

    @property
    def target(self) -> str:
        """Of a symlink, as it is stored."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Placed:
    """A file of a package at its place in the tree; `path` is the one in the package."""

    package: str
    path: str
    executable: bool


@dataclass(frozen=True, kw_only=True, slots=True)
class Tree:
    """A whole root: files and symlinks by path, and all folders; paths without a leading `/`.

    `twice`: files that a package of another architecture has, too.
    """

    files: Mapping[str, Placed]
    links: Mapping[str, str]
    folders: frozenset[str]
    twice: tuple[tuple[Placed, Placed], ...] = ()


def merge(packages: Mapping[str, Mapping[str, Entry]]) -> Tree:
    """Entries by package and path -> the tree. Raises FormatError for what no Debian package has."""
    files: dict[str, Placed] = {}
    links: dict[str, str] = {name: f"usr/{name}" for name in MERGED}
    folders: set[str] = {f"usr/{name}" for name in MERGED}
    twice: list[tuple[Placed, Placed]] = []
    for package, entries in sorted(packages.items()):
        for stored, entry in sorted(entries.items()):
            path = _merged(_checked(stored, package))
            if path is None or f"{path}/".startswith(_LEFT_OUT):
                continue
            if entry.kind == "folder":
                folders.add(path)
            elif path in files or path in links:
                other = files.get(path)
                if entry.kind == "file" and other is not None and _other_architecture(other.package, package):
                    twice.append((other, _placed(package, stored, entry)))
                elif links.get(path) != entry.target or entry.kind != "symlink":
                    raise FormatError("two packages have it", where=path, got=package)
            elif entry.kind == "symlink":
                links[path] = entry.target
            elif entry.kind == "file":
                files[path] = _placed(package, stored, entry)
            else:
                raise FormatError("neither file, folder nor symlink", where=package, got=stored)
    links |= _alternatives({*files, *links})
    links |= _cross_links({*files, *links})
    folders |= {parent for path in (*files, *links, *folders) for parent in _parents(path)}
    if crossed := folders & {*files, *links}:
        raise FormatError("a file or link where another package has a folder", where=min(crossed))
    return Tree(files=files, links=links, folders=frozenset(folders), twice=tuple(twice))


def _placed(package: str, path: str, entry: Entry) -> Placed:
    return Placed(package=package, path=path, executable=bool(entry.mode & 0o111))


def _other_architecture(one: str, two: str) -> bool:
    """Whether two packages, by their files' names (NAME_VERSION_ARCHITECTURE.deb), differ in the last alone."""
    return one != two and one.rpartition("_")[0] == two.rpartition("_")[0] != ""


def _checked(path: str, package: str) -> str:
    if path not in ("", ".") and ("\0" in path or any(part in ("", ".", "..") for part in path.split("/"))):
        raise FormatError("a path that leaves the package", where=package, got=path)
    return path


def _merged(path: str) -> str | None:
    """A path of a package -> its place after usr-merge; None for the root itself."""
    if path in ("", "."):
        return None
    first = path.partition("/")[0]
    return f"usr/{path}" if first in MERGED else path


def _alternatives(there: Iterable[str]) -> dict[str, str]:
    known = set(there)
    found: dict[str, str] = {}
    for path, programs in ALTERNATIVES.items():
        program = next((each for each in programs if f"{path.rpartition('/')[0]}/{each}" in known), None)
        if path not in known and program is not None:
            found[path] = program
    return found


def _cross_links(paths: Iterable[str]) -> Mapping[str, str]:
    """Paths of a root -> for each cross compiler in it, links by which its programs have their plain names."""
    known = sorted(paths)
    found: dict[str, str] = {}
    for triplet in TRIPLETS.values():
        prefix = f"usr/bin/{triplet}-"
        if any(path.startswith(f"usr/lib/gcc-cross/{triplet}/") for path in known):
            own = (path.removeprefix(prefix) for path in known if path.startswith(prefix))
            found |= {f"cross/{triplet}/{name}": f"/usr/bin/{triplet}-{name}" for name in own}
            found |= {f"cross/{triplet}/cc": f"/usr/bin/{triplet}-gcc"}
    return found


def _parents(path: str) -> Iterable[str]:
    while path := path.rpartition("/")[0]:
        yield path
