"""apt as a client of Debian archives, with private lists below the store; the system's are only read.

apt verifies the signature of each Release file against the machine's keys, and every index and package against it.
What it brings is held against the lock's sha256 once more.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from builder.errors import StepError
from builder.process import Cancel, run
from builder.sources.aptlists import (
    Package,
    binary_file,
    listed_versions,
    parse_madison,
    parse_name,
    parse_records,
    parse_simulated,
    source_files,
    with_sources,
)
from builder.sources.environment import client_environment
from builder.store import Store, remove_tree
from bundles.errors import MissingError, SealiftError
from bundles.files import os_errors, write_atomic

LOCK: Final = "apt"
_NOT_DEBIAN: Final = "Debian packages need apt: build on Debian or a derivative of it"


@dataclass(frozen=True, kw_only=True, slots=True)
class AptClient:
    """apt-get and apt-cache for one Debian architecture (`amd64`). `host_env` is our own environment.

    `foreign`: more architectures, whose packages are called `NAME:ARCHITECTURE`.
    """

    store: Store
    host_env: Mapping[str, str] = field(repr=False)
    architecture: str
    offline: bool = False
    cancel: Cancel | None = None
    foreign: tuple[str, ...] = ()

    @property
    def folder(self) -> Path:
        """Where the private lists are."""
        return self.store.sources / "-".join(("apt", *self._architectures))

    @property
    def _architectures(self) -> tuple[str, ...]:
        return (self.architecture, *self.foreign)

    def update(self) -> None:
        """Derives the private lists from the machine's and brings them up to date; raises MissingError, StepError."""
        if self.offline:
            raise MissingError("package lists cannot be brought up to date offline", where="apt")
        with self.store.lock(LOCK, exclusive=True):
            self._derive()
            self._call("apt-get", ["update"], cwd=self.folder, what="package lists")
            write_atomic(self.folder / "updated", b"")

    def ensure_lists(self) -> None:
        """`update`, when that was never done."""
        if not (self.folder / "updated").exists():
            self.update()

    def find(self, package: str, *, source: bool) -> Package:
        """`NAME=VERSION` of a source or binary package -> suite and files; raises MissingError when none lists it."""
        name, version = parse_name(package)
        verb = ["showsrc", "--only-source", name] if source else ["show", f"{name}={version}"]
        read = source_files if source else binary_file
        try:
            shown = self._cache(verb, package)
        except StepError:
            shown = ""  # apt-cache fails for names it does not know
        files = read(shown, name, version)
        listed = self._cache(["madison", name], package)
        suite = parse_madison(listed, name, version, sources=source)
        if not files or suite is None:
            hint = "apt-cache madison shows what is served; a newer version may have replaced it"
            kind = "source package" if source else "package"
            raise MissingError(f"no archive lists the {kind} {package}", where="apt", got=_versions(listed), hint=hint)
        return Package(suite=suite, files=files)

    def source_of(self, package: str) -> str:
        """`NAME=VERSION` of a binary package -> that of the source package it is made of; raises MissingError."""
        self.ensure_lists()
        name, version = parse_name(package)
        record = next(iter(parse_records(self._cache(["show", f"{name}={version}"], package))), {})
        source, _, other = record.get("Source", name).partition(" ")
        return "=".join(parse_name(f"{source}={other.strip('()') or version}"))

    def versions(self, name: str, *, source: bool) -> list[tuple[str, str]]:
        """All versions that the lists have of a source or binary package, each with its suite."""
        self.ensure_lists()
        package, _ = parse_name(f"{name}=0")
        return listed_versions(self._cache(["madison", package], name), name, sources=source)

    def find_all(self, packages: Sequence[str]) -> Mapping[str, Package]:
        """Many binary packages as `NAME=VERSION` -> suite and file of each, in two calls; raises MissingError."""
        pairs = [parse_name(package) for package in packages]
        shown = self._cache(["show", *("=".join(pair) for pair in pairs)], "packages")
        listed = self._cache(["madison", *(name for name, _ in pairs)], "packages")
        found: dict[str, Package] = {}
        for package, (name, version) in zip(packages, pairs, strict=True):
            files, suite = (
                binary_file(shown, name, version, self.architecture),
                parse_madison(listed, name, version, sources=False),
            )
            if not files or suite is None:
                raise MissingError(f"no archive lists the package {package}", where="apt")
            found[package] = Package(suite=suite, files=files)
        return found

    def together(self, packages: Sequence[str], *, named: Sequence[str] = ()) -> tuple[str, ...]:
        """Packages (`NAME=VERSION`; `named` in apt's choice of version) -> all that apt would install, sorted.

        On an empty system, without recommended ones. Raises StepError when they cannot be installed together.
        """
        words = ["=".join(parse_name(package)) for package in packages]
        words += [parse_name(f"{name}=0")[0] for name in named]
        options = ["--simulate", "--no-install-recommends"]
        return parse_simulated(self._call("apt-get", [*options, "install", *words], cwd=self.folder, what=words[0]))

    def download(self, package: str, folder: Path, *, source: bool) -> None:
        """Brings the files of `NAME=VERSION` into a folder; the lists are renewed once when they seem old."""
        name, version = parse_name(package)
        verb = ["source", "--download-only", "--only-source"] if source else ["download"]
        if self.offline:
            raise MissingError("not in the store", where=package)
        self.ensure_lists()
        try:
            self._call("apt-get", [*verb, f"{name}={version}"], cwd=folder, what=package)
        except StepError:
            self.update()
            self._call("apt-get", [*verb, f"{name}={version}"], cwd=folder, what=package)

    def download_all(self, packages: Sequence[str], folder: Path) -> None:
        """Brings binary packages (`NAME=VERSION`) into a folder; the lists are renewed once when they seem old."""
        words = ["=".join(parse_name(package)) for package in packages]
        if self.offline:
            raise MissingError("not in the store", where=", ".join(words[:3]))
        self.ensure_lists()
        try:
            self._call("apt-get", ["download", *words], cwd=folder, what="packages")
        except StepError:
            self.update()
            self._call("apt-get", ["download", *words], cwd=folder, what="packages")

    def _cache(self, arguments: Sequence[str], what: str) -> str:
        return self._call("apt-cache", arguments, cwd=self.folder, what=what)

    def _call(self, program: str, arguments: Sequence[str], *, cwd: Path, what: str) -> str:
        environment = client_environment(self.host_env, {"DEBIAN_FRONTEND": "noninteractive"})
        argv = [program, "--quiet", *self._options(), *arguments]
        try:
            done = run(argv, cwd=cwd, env=environment, what=what, cancel=self.cancel)
        except MissingError as exc:
            raise MissingError(f"no {program} on this machine", where=what, hint=_NOT_DEBIAN) from exc
        return done.stdout.decode("utf-8", "replace")

    def _options(self) -> list[str]:
        folder = self.folder
        settings = {
            "Dir::State": folder / "state",
            "Dir::State::lists": folder / "state/lists",
            "Dir::State::status": folder / "status",
            "Dir::Cache": folder / "cache",
            "Dir::Etc::sourcelist": folder / "sources.list",
            "Dir::Etc::sourceparts": folder / "sources.list.d",
            "APT::Architecture": self.architecture,
            "APT::Architectures": ",".join(self._architectures),
            "APT::Sandbox::User": "root",  # apt's own user could not read the store of another
            "APT::Update::Error-Mode": "any",  # old lists in place of new ones are a failure
            "Acquire::Retries": 3,
            "Acquire::Languages": "none",
            "Acquire::IndexTargets::deb::DEP-11::DefaultEnabled": "false",
            "Acquire::IndexTargets::deb::Contents-deb::DefaultEnabled": "false",
        }
        return [word for name, value in settings.items() for word in ("-o", f"{name}={value}")]

    def _derive(self) -> None:
        """Writes private copies of the machine's lists of archives, sources added."""
        found = self._machine_lists()
        parts = self.folder / "sources.list.d"
        remove_tree(parts)
        with os_errors(self.folder):
            for name in ("state/lists/partial", "cache/archives/partial", "sources.list.d"):
                (self.folder / name).mkdir(parents=True, exist_ok=True)
            (self.folder / "status").write_bytes(b"")  # nothing is installed: answers do not depend on the machine
            (self.folder / "sources.list").write_bytes(b"")
            for path in found:
                (parts / path.name).write_text(with_sources(path.name, path.read_text()))

    def _machine_lists(self) -> list[Path]:
        self.folder.mkdir(exist_ok=True)
        environment = client_environment(self.host_env, {})
        asked = ["apt-config", "shell", "LIST", "Dir::Etc::sourcelist/f", "PARTS", "Dir::Etc::sourceparts/d"]
        try:
            printed = run(asked, cwd=self.folder, env=environment, what="package lists").stdout.decode()
        except MissingError as exc:
            raise MissingError("no apt on this machine", where="package lists", hint=_NOT_DEBIAN) from exc
        told = dict(line.split("=", 1) for line in printed.splitlines() if "=" in line)
        one, parts = (Path(told.get(name, "''").strip("'")) for name in ("LIST", "PARTS"))
        found = [one] if one.is_file() else []
        if parts.is_dir():
            found += sorted(path for path in parts.iterdir() if path.suffix in (".list", ".sources"))
        if not found:
            raise SealiftError("the machine lists no package archives", where=parts, hint="see sources.list(5)")
        return found


def _versions(listed: str) -> str:
    found = {line.split("|")[1].strip() for line in listed.splitlines() if line.count("|") == 2}
    return ", ".join(sorted(found)) or "no version of it"
