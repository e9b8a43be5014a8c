"""What apt reads and prints, as values: its lists of archives, its package records. Pure.

The machine's own lists say where packages come from; most machines list binary packages alone, so private copies that
list sources too are made from them. apt then verifies the signed Release files as ever.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from builder.lock.model import LockedFile
from bundles.digest import Digest
from bundles.errors import FormatError

# Debian policy 5.6.7 (package names), 5.6.12 (versions); file names of pools hold nothing else.
PACKAGE: Final = re.compile(r"[a-z0-9][a-z0-9+.-]+(?::[a-z0-9]+)?")  # with `:ARCHITECTURE` for another one
VERSION: Final = re.compile(r"[A-Za-z0-9.+~:-]+")
_FILE: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9.+~:_%-]*")
_SIZE: Final = re.compile(r"[0-9]{1,15}")
_ONE_LINE: Final = re.compile(r"^\s*deb(?:-src)?\s+(?=\S)")


@dataclass(frozen=True, kw_only=True, slots=True)
class Package:
    """A Debian package version: where it was listed (`bookworm`), and its files."""

    suite: str
    files: tuple[LockedFile, ...]


def parse_name(text: str) -> tuple[str, str]:
    """`NAME=VERSION` -> both; raises FormatError, so that neither is ever read as an option."""
    name, _, version = text.partition("=")
    if not PACKAGE.fullmatch(name) or not VERSION.fullmatch(version) or version.startswith("-"):
        raise FormatError("not a Debian package version", got=repr(text[:200]), want="NAME=VERSION")
    return name, version


def parse_simulated(text: str) -> tuple[str, ...]:
    """Output of `apt-get --simulate install` -> what it would install, as sorted `NAME=VERSION`."""
    # Inst libc6 (2.36-9 Debian:12.1/stable [amd64]) [what it waits for]
    found = re.findall(r"^Inst (\S+) (?:\[\S+\] )?\((\S+) ", text, re.MULTILINE)
    return tuple(sorted("=".join(parse_name(f"{name}={version}")) for name, version in found))


def is_library(package: str) -> bool:
    """Whether a Debian package holds a shared library: those are named after it (Debian policy 8.1)."""
    return package.startswith("lib")


def with_sources(name: str, text: str) -> str:
    """A `*.list` or `*.sources` file of apt's (sources.list(5)) -> the same, listing binaries and sources."""
    return _with_sources_822(text) if name.endswith(".sources") else _with_sources_lines(text)


def _with_sources_lines(text: str) -> str:
    lines: dict[str, None] = {}
    for line in text.splitlines():
        if _ONE_LINE.match(line):
            rest = _ONE_LINE.sub("", line).partition("#")[0].strip()
            lines |= {f"deb {rest}": None, f"deb-src {rest}": None} if rest else {}
    return "".join(f"{line}\n" for line in lines)


def _with_sources_822(text: str) -> str:
    return "".join(
        "Types: deb deb-src\n" if line.lower().startswith("types:") else f"{line}\n" for line in text.splitlines()
    )


def parse_records(text: str) -> Iterator[Mapping[str, str]]:
    """Records of deb822 (Debian policy 5.1): field name -> value, continued lines joined by newlines."""
    record: dict[str, str] = {}
    field = ""
    for line in [*text.splitlines(), ""]:
        if not line.strip():
            if record:
                yield record
            record = {}
        elif line[0] in " \t":
            record[field] = record.get(field, "") + "\n" + line.strip()
        else:
            field, _, value = line.partition(":")
            record[field] = value.strip()


def source_files(text: str, name: str, version: str) -> tuple[LockedFile, ...] | None:
    """Output of `apt-cache showsrc` -> the files of that source package version; None when it is not listed."""
    for record in parse_records(text):
        if record.get("Package") == name and record.get("Version") == version:
            lines = record.get("Checksums-Sha256", "").split("\n")
            return tuple(sorted((_listed(line) for line in lines if line), key=lambda file: file.name))
    return None


def binary_file(text: str, name: str, version: str, machine: str = "") -> tuple[LockedFile, ...] | None:
    """Output of `apt-cache show` -> the one file of that package version; None when it is not listed.

    `name` is NAME:ARCHITECTURE for a package of another one than `machine`, apt's own.
    """
    plain, _, other = name.partition(":")
    wanted = {"all", other or machine}
    for record in parse_records(text):
        fits = not (other or machine) or record.get("Architecture", "all") in wanted
        if fits and record.get("Package") == plain and record.get("Version") == version and "Filename" in record:
            return (_file(record.get("SHA256", ""), record.get("Size", ""), record["Filename"].rpartition("/")[2]),)
    return None


def _listed(line: str) -> LockedFile:
    """A line of `Checksums-Sha256`."""
    words = line.split()
    if len(words) != 3:
        raise FormatError("unexpected line in a package index", got=repr(line[:200]), want="SHA256 SIZE NAME")
    return _file(*words)


def _file(hex_: str, size: str, name: str) -> LockedFile:
    if not _FILE.fullmatch(name) or not _SIZE.fullmatch(size):
        raise FormatError("unexpected file in a package index", got=f"{name[:200]!r} of {size[:20]!r} bytes")
    return LockedFile(name=name, size=int(size), digest=Digest(hex_))


def parse_madison(text: str, name: str, version: str, *, sources: bool) -> str | None:
    """Output of `apt-cache madison` -> the suite that lists the package version; None when none does."""
    return next((suite for found, suite in listed_versions(text, name, sources=sources) if found == version), None)


def listed_versions(text: str, name: str, *, sources: bool) -> list[tuple[str, str]]:
    """Output of `apt-cache madison` -> each version of a package with the suite that lists it."""
    found = []
    for line in text.splitlines():
        columns = [column.strip() for column in line.split("|")]
        if len(columns) == 3 and columns[0] == name and columns[2].endswith(" Sources") == sources:
            # `URI SUITE/COMPONENT ARCH Packages` or `URI SUITE/COMPONENT Sources`
            words = columns[2].split()
            if len(words) > 1 and VERSION.fullmatch(columns[1]):
                found.append((columns[1], words[1].rpartition("/")[0]))
    return found
