"""Several packages as one tree of files, and what a program in it needs to run. Pure: package bytes in, paths out.

The closure is that of the dynamic loader (ld.so(8)): each ELF file's DT_NEEDED, and its interpreter, looked for in the
trusted folders. What a program opens by itself (dlopen, plugins) has to be named.
"""

import fnmatch
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final

from builder.buildroot.layout import TRIPLETS
from builder.facts.elf import elf_facts
from builder.steps.debfile import DebFile, joined
from bundles.errors import FormatError

_MAX_LINKS: Final = 8


@dataclass(frozen=True, kw_only=True, slots=True)
class TreeFile:
    """A file of the tree: content and whether it is executable."""

    content: bytes
    executable: bool


@dataclass(kw_only=True, slots=True)
class Taken:
    """What was taken out of a tree, by path without a leading `/`; `packages` are the names of those that gave any."""

    files: dict[str, TreeFile] = field(default_factory=dict)
    links: dict[str, str] = field(default_factory=dict)
    folders: dict[str, int] = field(default_factory=dict)
    packages: set[str] = field(default_factory=set)
    missing: list[str] = field(default_factory=list)


class PackageTree:
    """Packages by name, as if all were unpacked into one empty folder."""

    def __init__(self, packages: Mapping[str, DebFile], architecture: str) -> None:
        """`architecture` as in platforms (`amd64`). The first package, by name, that has a path gives it."""
        self._packages = packages
        self._owners: dict[str, str] = {}
        for name in sorted(packages):
            for path in packages[name].paths:
                self._owners.setdefault(path, name)
        triplet = TRIPLETS[architecture]
        self._library_folders = (f"lib/{triplet}", f"usr/lib/{triplet}", "lib", "usr/lib")

    def take(self, wanted: Iterable[str]) -> Taken:
        """Paths (`*` in the last part, `/` at the end for a folder) -> all that they need, and what is missing."""
        taken = Taken()
        for pattern in wanted:
            found = list(self._matching(pattern))
            if not found:
                taken.missing.append(f"{pattern} is in none of the packages")
            for path in found:
                self._take(path, taken, _MAX_LINKS)
        for name in sorted(taken.packages):
            # The licence travels with the files; some packages share the folder of another.
            notice = f"usr/share/doc/{name}/copyright"
            if notice in self._owners and self._packages[name].entry(notice) is not None:
                self._take(notice, taken, _MAX_LINKS)
        return taken

    def _matching(self, pattern: str) -> Iterator[str]:
        path = pattern.rstrip("/")
        if "*" not in path:
            yield from [path] if path in self._owners else []
            return
        depth = path.count("/")
        yield from (
            each for each in sorted(self._owners) if each.count("/") == depth and fnmatch.fnmatchcase(each, path)
        )

    def _take(self, path: str, taken: Taken, links: int) -> None:
        if path in taken.files or path in taken.links or path in taken.folders:
            return
        owner = self._owners[path]
        package = self._packages[owner]
        entry = package.entry(path)
        taken.packages.add(owner)
        if entry is None or entry.kind == "other" or not links:
            raise FormatError("not a file, folder or link that leads to one", where=owner, got=path)
        if entry.kind == "folder":
            taken.folders[path] = entry.mode
        elif entry.kind == "symlink":
            taken.links[path] = entry.target
            goal = joined(path.rpartition("/")[0], entry.target)
            if goal not in self._owners:
                taken.missing.append(f"{path} leads to {goal}, which is in none of the packages")
            else:
                self._take(goal, taken, links - 1)
        else:
            content, executable = package.file(path)
            taken.files[path] = TreeFile(content=content, executable=executable)
            self._take_needed(path, content, taken)

    def _take_needed(self, path: str, content: bytes, taken: Taken) -> None:
        """The loader and the libraries of an ELF file."""
        facts = elf_facts(content)
        if facts is None:
            return
        for library in facts.needed:
            found = next((f"{folder}/{library}" for folder in self._library_folders
                          if f"{folder}/{library}" in self._owners), None)  # fmt: skip
            if found is None:
                taken.missing.append(f"{path} needs {library}, which is in none of the packages")
            else:
                self._take(found, taken, _MAX_LINKS)
        if facts.interpreter:
            self._take_loader(path, facts.interpreter.lstrip("/"), taken)

    def _take_loader(self, path: str, loader: str, taken: Taken) -> None:
        """The interpreter; newer packages hold it below usr/, where a system has a link for the whole folder."""
        if loader in self._owners:
            self._take(loader, taken, _MAX_LINKS)
        elif f"usr/{loader}" in self._owners:
            taken.links[loader] = "../" * loader.count("/") + f"usr/{loader}"
            self._take(f"usr/{loader}", taken, _MAX_LINKS)
        else:
            taken.missing.append(f"{path} needs the loader /{loader}, which is in none of the packages")
