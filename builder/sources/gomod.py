"""Go's module files, as values: go.sum, go.mod (as `go mod edit -json` prints it), tools.go. Pure.

A component's programs are built from a small module of ours beside the recipe, `go/<component>/`: a go.mod that
requires the component, a tools.go that imports its programs, and the go.sum that pins every module below it.
"""

import fnmatch
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import msgspec

from builder.recipe.model import GoComponent
from bundles import jsontext
from bundles.digest import Digest
from bundles.errors import FormatError

FILES: Final = ("go.mod", "go.sum", "tools.go")
_GO_MOD: Final = "/go.mod"  # ends the version of a go.sum line that is for a go.mod alone
PREFIX: Final = "sealift.build"  # of our modules' names; nothing is served under it
_IMPORT = re.compile(r'^\s*(?:import\s+)?_\s+"([^"]+)"', re.MULTILINE)


@dataclass(frozen=True, kw_only=True, slots=True, order=True)
class Module:
    """One module version."""

    path: str
    version: str

    def __str__(self) -> str:
        """`PATH@VERSION`."""
        return f"{self.path}@{self.version}"

    @classmethod
    def parse(cls, text: str) -> "Module":
        """`PATH@VERSION` -> Module; raises FormatError."""
        path, at, version = text.partition("@")
        if not (path and at and version):
            raise FormatError("not a module version", got=repr(text[:200]), want="PATH@VERSION")
        return cls(path=path, version=version)

    @property
    def escaped(self) -> str:
        """`PATH@VERSION` as file names spell it: `!x` for `X` (golang.org/x/mod/module, EscapePath)."""
        return f"{_escape(self.path)}@{_escape(self.version)}"

    @property
    def escaped_zip(self) -> str:
        """Where a module cache and a proxy keep its zip: `PATH/@v/VERSION.zip`."""
        return f"{_escape(self.path)}/@v/{_escape(self.version)}.zip"


def _escape(text: str) -> str:
    return re.sub(r"[A-Z]", lambda match: "!" + match[0].lower(), text)


def parse_sums(text: str, where: object) -> dict[Module, str]:
    """go.sum -> the hash of each module's content; lines for go.mod files alone are checked and left out."""
    return {module: h1 for module, h1 in _sums(text, where).items() if not module.version.endswith(_GO_MOD)}


def parse_mod_sums(text: str, where: object) -> dict[Module, str]:
    """go.sum -> the hash of each go.mod that it names."""
    return {
        Module(path=module.path, version=module.version.removesuffix(_GO_MOD)): h1
        for module, h1 in _sums(text, where).items()
        if module.version.endswith(_GO_MOD)
    }


def _sums(text: str, where: object) -> dict[Module, str]:
    """All lines of go.sum; the version of one for a go.mod ends as it does there."""
    sums: dict[Module, str] = {}
    # Go ends lines at newlines alone; Python at much else, and would read two modules where Go reads none.
    for number, line in enumerate(text.removesuffix("\n").split("\n") if text else (), 1):
        words = line.split()
        if len(words) != 3 or not words[2].startswith("h1:") or "@" in words[0] + words[1]:
            raise FormatError("not a line of go.sum", where=f"{where}:{number}", got=repr(line[:200]))
        module = Module(path=words[0], version=words[1])
        if sums.setdefault(module, words[2]) != words[2]:
            raise FormatError(f"two hashes for {module}", where=f"{where}:{number}")
    return sums


@dataclass(frozen=True, kw_only=True, slots=True)
class ModFile:
    """What counts of a go.mod: its `go` line, what it requires directly and at all, what it replaces with a version."""

    go: str
    requires: tuple[Module, ...]
    direct: tuple[Module, ...]
    replaces: Mapping[str, str]


class _PathDocument(msgspec.Struct, frozen=True, kw_only=True):
    """A module in `go mod edit -json`."""

    Path: str
    Version: str = ""
    Indirect: bool = False


class _ReplaceDocument(msgspec.Struct, frozen=True, kw_only=True):
    """One replacement."""

    Old: _PathDocument
    New: _PathDocument


class _ModDocument(msgspec.Struct, frozen=True, kw_only=True):
    """`go mod edit -json`."""

    Go: str = ""
    Require: list[_PathDocument] | None = None
    Replace: list[_ReplaceDocument] | None = None


def parse_mod(data: bytes, where: object) -> ModFile:
    """Output of `go mod edit -json` -> ModFile; raises FormatError for replaces by folders or by other modules."""
    document = jsontext.decode(data, _ModDocument, where=where)
    requires = document.Require or []
    replaces: dict[str, str] = {}
    for entry in document.Replace or []:
        old, new = entry.Old, entry.New
        if old.Path != new.Path or old.Version or not new.Version:
            raise FormatError(f"replaces {old.Path!r} by something else than a version of it", where=where)
        replaces[old.Path] = new.Version
    return ModFile(
        go=document.Go,
        requires=tuple(Module(path=entry.Path, version=entry.Version) for entry in requires),
        direct=tuple(Module(path=entry.Path, version=entry.Version) for entry in requires if not entry.Indirect),
        replaces=replaces,
    )


def package_paths(component: GoComponent) -> tuple[str, ...]:
    """Import paths of a component's programs, in the recipe's order; `./...` for a module beside the recipe."""
    if component.module is None:
        return tuple(below if is_import_path(below) else f"./{below}" for below in component.packages.values())
    return tuple(
        f"{component.module}/{below}" if below else f"{component.module}" for below in component.packages.values()
    )


def is_import_path(path: str) -> bool:
    """Whether a module beside the recipe names a program of another module: those begin with a domain."""
    return "." in path.partition("/")[0]


def disagreements(component: GoComponent, mod: ModFile, tools: str) -> list[str]:
    """What a component's go.mod and tools.go say other than the recipe, in words; none when they can stay."""
    told = []
    main = Module(path=component.module or "", version=component.version)
    if main not in mod.requires:
        found = next((module.version for module in mod.requires if module.path == main.path), "nothing of it")
        told.append(f"go.mod requires {found}, the recipe wants {main}")
    imported = set(_IMPORT.findall(tools))
    told += [f"tools.go does not import {path}" for path in package_paths(component) if path not in imported]
    for pattern, version in component.replace.items():
        matching = [path for path in mod.replaces if fnmatch.fnmatchcase(path, pattern)]
        if not matching:
            told.append(f"go.mod replaces nothing that matches {pattern}")
        told += [f"go.mod replaces {path} by {mod.replaces[path]}, the recipe wants {version}"
                 for path in matching if mod.replaces[path] != version]  # fmt: skip
    told += [
        f"go.mod replaces {path}, the recipe does not"
        for path in mod.replaces
        if not any(fnmatch.fnmatchcase(path, pattern) for pattern in component.replace)
    ]
    return told


def wrapper(component: GoComponent, go: str, replaces: Mapping[str, str]) -> dict[str, bytes]:
    """go.mod (before `go mod tidy`) and tools.go of a component; `go` is the line that selects Go's defaults."""
    lines = [f"module {PREFIX}/{component.name}", "", f"go {go}", "", f"require {component.module} {component.version}"]
    if replaces:
        lines += [
            "",
            "replace (",
            *(f"\t{path} => {path} {version}" for path, version in sorted(replaces.items())),
            ")",
        ]
    imports = "".join(f'\t_ "{path}"\n' for path in sorted(package_paths(component)))
    about = "// Package tools names the programs that are built."
    tools = f"//go:build tools\n\n{about}\npackage tools\n\nimport (\n{imports})\n"
    return {"go.mod": ("\n".join(lines) + "\n").encode(), "tools.go": tools.encode()}


def files_digest(files: Mapping[str, bytes]) -> Digest:
    """The digest that a lock keeps of go.mod, go.sum and tools.go."""
    return Digest.of(jsontext.encode_canonical({name: str(Digest.of(data)) for name, data in files.items()}))


@dataclass(frozen=True, kw_only=True, slots=True)
class Download:
    """One object of `go mod download -json`: a module in the cache, or why it is not."""

    module: Module
    sum: str = ""
    folder: str = ""
    zip: str = ""
    gomod: str = ""
    error: str = ""


def parse_downloads(data: bytes) -> list[Download]:
    """Output of `go mod download -json` (objects one after the other) -> values; raises FormatError."""
    text, position, found = data.decode("utf-8", "replace"), 0, []
    decoder = json.JSONDecoder()
    while position < len(text):
        if text[position].isspace():
            position += 1
            continue
        try:
            entry, position = decoder.raw_decode(text, position)
            found.append(_download(msgspec.convert(entry, _DownloadDocument)))
        except (ValueError, RecursionError, msgspec.ValidationError) as exc:
            raise FormatError(f"unexpected output of go mod download: {exc}") from exc
    return found


class _DownloadDocument(msgspec.Struct, frozen=True, kw_only=True):
    """An object of `go mod download -json`."""

    Path: str = ""
    Version: str = ""
    Sum: str = ""
    Dir: str = ""
    Zip: str = ""
    GoMod: str = ""
    Error: str = ""


def _download(entry: _DownloadDocument) -> Download:
    module = Module(path=entry.Path, version=entry.Version)
    return Download(module=module, sum=entry.Sum, folder=entry.Dir, zip=entry.Zip, gomod=entry.GoMod, error=entry.Error)


def matches_prefix(patterns: str, path: str) -> bool:
    """Whether GONOSUMDB-like `patterns` name a module: globs over leading path elements (`go help private`)."""
    parts = path.split("/")
    for pattern in filter(None, (text.strip().rstrip("/") for text in patterns.split(","))):
        count = pattern.count("/") + 1
        head = parts[:count]
        if len(head) == count and _globs(pattern.split("/"), head):
            return True
    return False


def _globs(patterns: Sequence[str], parts: Iterable[str]) -> bool:
    return all(fnmatch.fnmatchcase(part, pattern) for pattern, part in zip(patterns, parts, strict=True))
