"""Go toolchains and modules in the store: fetched by go, verified by us.

A toolchain is a Go module too (go.dev/doc/toolchain, "Go toolchain"): any go brings the exact one, and the checksum
database vouches for it. What a build reads are the unpacked folders, so those are hashed, not only the zips. A part
of the store that is damaged is removed and fetched again, once.
"""

import os
import shutil
import stat
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from builder.errors import RecipeError
from builder.lock.model import LockedInput, LockedTool
from builder.recipe.model import GoComponent, Recipe
from builder.sources.goclient import TOOLCHAIN, GoClient, go_program, module_folder, module_zip, toolchain_module
from builder.sources.gomod import FILES, Download, Module, files_digest, package_paths, parse_sums
from builder.sources.modhash import folder_hash
from builder.sources.verified import Verified
from builder.store import Store, remove_tree
from bundles.errors import FormatError, MissingError
from bundles.files import os_errors
from bundles.platform import Platform

TOOL_PREFIX = "go-toolchain:"
SOURCE_PREFIX = "go-source:"


class GoModules:
    """Modules of one store, each hashed once in a run."""

    def __init__(self, client: GoClient, verified: Verified) -> None:
        """`client` fetches, `verified` remembers."""
        self.client = client
        self.verified = verified
        self._seen: dict[Module, str] = {}
        self._locks: dict[Module, threading.Lock] = {}

    def through(self, program: Path) -> "GoModules":
        """The same modules, what was seen of them included, by way of another go."""
        changed = GoModules(replace(self.client, program=str(program)), self.verified)
        changed._seen, changed._locks = self._seen, self._locks
        return changed

    @property
    def store(self) -> Store:
        """The store they are in."""
        return self.client.store

    def whole(self, module: Module, want: str) -> bool:
        """Whether the store has a module with this hash, without asking go."""
        with self._alone(module):
            if not module_folder(self.store, module).is_dir() or self._hash(module) != want:
                return False
            self._seen[module] = want
            return True

    def ensure(self, downloads: Sequence[Download], sums: Mapping[Module, str], cwd: Path, what: str) -> list[Path]:
        """Fetched modules and the hashes they must have -> the paths that stand for them.

        Raises RecipeError when a module has no hash, FormatError when its content is not what the hash says.
        """
        paths = []
        for download in downloads:
            want = sums.get(download.module)
            if want is None:
                raise RecipeError(f"go.sum has no line for {download.module}", where=what, hint="run `sealift lock`")
            with self._alone(download.module):
                self._ensure_one(download, want, cwd, what)
            paths += [module_folder(self.store, download.module), module_zip(self.store, download.module)]
        return paths

    def _alone(self, module: Module) -> threading.Lock:
        """Components share modules: each is hashed by one of them, and none hashes what another one mends."""
        return self._locks.setdefault(module, threading.Lock())

    def _ensure_one(self, download: Download, want: str, cwd: Path, what: str) -> None:
        module = download.module
        if self._seen.get(module) == want:
            return
        if download.sum != want or self._hash(module) != want:
            self._remove(module)
            download = self.client.download([module], cwd=cwd, what=what)[0]
            got = download.sum if download.sum != want else self._hash(module)
            if got != want:
                hint = "the registry serves other bytes than were locked: find out why before you trust them"
                raise FormatError(f"{module} is not what was locked", where=what, got=got, want=want, hint=hint)
        self._seen[module] = want

    def _hash(self, module: Module) -> str:
        if self.client.cancel is not None:
            self.client.cancel.check()
        return folder_hash(module_folder(self.store, module), str(module))

    def _remove(self, module: Module) -> None:
        remove_tree(module_folder(self.store, module))
        zip_path = module_zip(self.store, module)
        for path in (zip_path, zip_path.with_suffix(".ziphash")):
            with os_errors(path):
                path.unlink(missing_ok=True)


@dataclass(frozen=True, kw_only=True, slots=True)
class WantedModule:
    """One module by its hash: a toolchain, or sources of C programs. `name` as in the lock."""

    name: str
    modules: GoModules
    module: Module
    h1: str

    @property
    def _key(self) -> str:
        return f"go {self.module}"

    def present(self) -> bool:
        """Whether it was fetched, verified, and looks untouched."""
        return self.modules.verified.holds(self._key, self.h1)

    def fetch(self) -> None:
        """Fetches and verifies it; raises MissingError, FormatError, StepError."""
        store = self.modules.store
        if self.modules.whole(self.module, self.h1):
            paths = [module_folder(store, self.module)]
        else:
            with store.temp_folder("go") as cwd:
                found = self.modules.client.download([self.module], cwd=cwd, what=self.name)
                paths = self.modules.ensure(found, {self.module: self.h1}, cwd, self.name)
        if self.module.path == TOOLCHAIN:
            paths += _make_executable(module_folder(store, self.module))
        self.modules.verified.note(self._key, self.h1, paths)


@dataclass(frozen=True, kw_only=True, slots=True)
class WantedComponent:
    """All modules below a Go component, by its go.sum. `modules.client` must run the locked toolchain."""

    name: str
    modules: GoModules
    component: GoComponent
    locked: LockedInput
    folder: Path
    platforms: tuple[Platform, ...]
    cgo: bool

    @property
    def _want(self) -> str:
        # The go.sum alone pins the bytes; the rest decides which of them a build asks for.
        parts = [str(self.locked.sum.digest) if self.locked.sum else "", *package_paths(self.component)]
        parts += [*self.component.tags, str(self.cgo), *map(str, self.platforms)]
        return " ".join(parts)

    def present(self) -> bool:
        """Whether its modules were verified and look untouched, and the recipe has the locked go.sum."""
        return self._as_locked(read_wrapper(self.folder)) and self.modules.verified.holds(self._key, self._want)

    def fetch(self) -> None:
        """Fetches and verifies them, and sees that a build needs no more; raises RecipeError and what fetching may."""
        files = read_wrapper(self.folder)
        if not self._as_locked(files):
            raise RecipeError("differs from the lock", where=self.folder, hint="run `sealift lock`")
        with self.modules.store.temp_folder("go") as temp:
            cwd = Path(shutil.copytree(self.folder, temp / "module", symlinks=True))
            found = self.modules.client.download([], cwd=cwd, what=self.name)
            paths = self.modules.ensure(
                found, parse_sums(files["go.sum"].decode(), self.folder / "go.sum"), cwd, self.name
            )
            self._check_complete(cwd)
        self.modules.verified.note(self._key, self._want, paths)

    @property
    def _key(self) -> str:
        return f"go component {self.name}"

    def _as_locked(self, files: Mapping[str, bytes]) -> bool:
        return self.locked.sum is not None and files_digest(files) == self.locked.sum.digest

    def _check_complete(self, cwd: Path) -> None:
        offline = replace(self.modules.client, offline=True)
        for platform in self.platforms:
            list_packages(offline, self.component, platform, cgo=self.cgo, mode="readonly", cwd=cwd, what=self.name)


def list_packages(
    client: GoClient, component: GoComponent, platform: Platform, *, cgo: bool, mode: str, cwd: Path, what: str,
    more: Mapping[str, str] | None = None,
) -> None:  # fmt: skip
    """Loads every package that the programs of a component consist of, as a build would; raises StepError."""
    tags = [f"-tags={','.join(component.tags)}"] if component.tags else []
    environment = {
        "GOOS": platform.os,
        "GOARCH": platform.architecture,
        "CGO_ENABLED": "1" if cgo else "0",
        "GOFLAGS": f"-mod={mode} -modcacherw",
        **(more or {}),
    }
    arguments = ["list", "-deps", *tags, "-f", "", *package_paths(component)]
    client.call(arguments, cwd=cwd, what=what, more=environment)


def read_wrapper(folder: Path) -> dict[str, bytes]:
    """go.mod, go.sum and (where there is one) tools.go of a component; raises MissingError."""
    found = {}
    for name in FILES:
        try:
            found[name] = (folder / name).read_bytes()
        except FileNotFoundError as exc:
            if name != "tools.go":  # a module beside the recipe has its programs in itself
                raise MissingError(f"no {name}", where=folder, hint="run `sealift lock`") from exc
    return found


def wanted_tool(modules: GoModules, tool: LockedTool, host: Platform) -> WantedModule:
    """A locked `go-toolchain:VERSION` for the building machine."""
    version = tool.source.removeprefix(TOOL_PREFIX)
    return WantedModule(name=tool.source, modules=modules, module=toolchain_module(version, host), h1=tool.h1)


def wanted_source(modules: GoModules, locked: LockedInput) -> WantedModule:
    """A locked `go-source:MODULE@VERSION`."""
    module = Module.parse(locked.source.removeprefix(SOURCE_PREFIX))
    return WantedModule(name=locked.source, modules=modules, module=module, h1=locked.h1 or "")


def with_toolchain(modules: GoModules, recipe: Recipe, host: Platform) -> GoModules:
    """The same modules through the recipe's own (fetched) toolchain."""
    return modules.through(go_program(modules.store, recipe.go or "", host))


def _make_executable(folder: Path) -> list[Path]:
    """Module zips carry no modes: sets 0755 on the programs of a toolchain, as go itself does; returns them."""
    programs = []
    for below in ("bin", "pkg/tool"):
        for path, _, names in os.walk(folder / below):
            programs += [Path(path, name) for name in sorted(names)]
    for program in programs:
        if stat.S_IMODE(program.stat().st_mode) != 0o755:
            program.chmod(0o755)
    return programs
