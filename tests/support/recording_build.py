"""The flows of the builder that are replayed: a build, one in place of another, and a packed file.

The recipe needs no compiler: what other programs write is not recorded.
"""

import json
import os
from dataclasses import dataclass, field
from pathlib import Path

from builder.build import BuildOptions, build
from builder.progress import SilentTalk
from builder.store import Store
from bundles.digest import Digest
from bundles.files import TEMP_PREFIX
from bundles.pack import pack
from bundles.platform import Platform
from tests.support import recipes
from tests.support.bundles import tree
from tests.support.disk_images import Entry, Image

_COMPONENTS = "notes:\n  file: ./notes.txt\nkubelet:\n  file: ./kubelet\n  executable: true\n"
AMD64 = Platform.parse("linux/amd64")
_WORK = ("store/tmp/", "store/logs/", "store/locks/")  # emptied, or never read
_HELD = ("/sealift/lock", "/daemon.lock", "/daemon.json")  # believed only while their process lives


def plain_recipe(folder: Path) -> Path:
    """A recipe of two files and a chart, locked."""
    recipes.tiny_recipe(folder, lock=False)
    (folder / "components.yaml").write_text(_COMPONENTS)
    (folder / "images.yaml").write_text(recipes.IMAGES.replace("tool:", "kubelet:"))
    (folder / "kubelet").write_text("#!/bin/sh\n")
    recipes.write_lock(folder)
    return folder


def run_build(recipe: Path, home: Path, *, replace: bool = False, jobs: int = 1) -> Path:
    """Builds into `home`/out with `home`/store; returns the bundle's folder."""
    options = BuildOptions(
        output=home / "out",
        store=Store(home / "store"),
        talk=SilentTalk(),
        host=AMD64,
        env=os.environ,
        jobs=jobs,
        replace=replace,
    )
    return build(recipe, options).folder


@dataclass
class Build:
    """A build; with `replace` over a bundle of the same version with other content."""

    home: Path
    replace: bool = False
    bundles: list[dict[str, bytes]] = field(default_factory=list)

    @property
    def root(self) -> Path:
        return self.home / "live"

    @property
    def recipe(self) -> Path:
        return self.home / "recipe"

    def prepare(self) -> None:
        """What lies there before."""
        self.root.mkdir(parents=True)
        plain_recipe(self.recipe)
        if self.replace:
            self.bundles.append(tree(run_build(self.recipe, self.root)))
            (self.recipe / "notes.txt").write_text("other\n")
            recipes.write_lock(self.recipe)
        self.bundles.append(tree(run_build(self.recipe, self.home / "aside")))

    def act(self) -> None:
        run_build(self.recipe, self.root, replace=self.replace)

    def check(self) -> None:
        """Whatever has its final name is whole."""
        check_store(self.root / "store")
        for folder in _visible(self.root / "out"):
            assert tree(folder) in self.bundles, f"half a bundle: {folder}"

    def result(self) -> dict[str, dict[str, bytes]]:
        return {folder.name: tree(folder) for folder in _visible(self.root / "out")}

    def left(self) -> list[Path]:
        return [*_temporary(self.root / "out"), *(self.root / "store/tmp").iterdir()]

    @staticmethod
    def shape(image: Image) -> Image:
        return shape(image)


@dataclass
class Pack:
    """A bundle packed into a file that is not there yet."""

    home: Path
    packed: bytes = b""

    @property
    def root(self) -> Path:
        return self.home / "live"

    def prepare(self) -> None:
        self.root.mkdir(parents=True)
        self.bundle = run_build(plain_recipe(self.home / "recipe"), self.home / "aside")
        pack(self.bundle, self.home / "whole.sealift")
        self.packed = (self.home / "whole.sealift").read_bytes()

    def act(self) -> None:
        pack(self.bundle, self.root / "it.sealift")

    def check(self) -> None:
        for path in _visible(self.root):
            assert path.read_bytes() == self.packed, f"half a packed bundle: {path}"

    def result(self) -> dict[str, bytes]:
        return {path.name: path.read_bytes() for path in _visible(self.root)}

    def left(self) -> list[Path]:
        return _temporary(self.root)

    @staticmethod
    def shape(image: Image) -> Image:
        return shape(image)


def check_store(store: Path) -> None:
    """Every blob has its digest; every receipt can be read, and what it names is there."""
    for path in _visible(store / "blobs/sha256"):
        assert Digest.of(path.read_bytes()).hex == path.name, f"half a blob: {path}"
        assert path.stat().st_mode & 0o777 == 0o444, f"a blob that can be written: {path}"
    for path in _visible(store / "steps"):
        for output in json.loads(path.read_bytes())["outputs"].values():
            assert (store / "blobs/sha256" / output["digest"].removeprefix("sha256:")).is_file(), path
    for path in _visible(store / "frames"):
        json.loads(path.read_bytes())
    for path in (*_visible(store / "sizes"), *_visible(store / "sources/verified")):
        json.loads(path.read_bytes())
    for path in _visible(store / "bundles"):
        note = json.loads(path.read_bytes())
        target = Path(note["target"])
        for name, stamp in note["files"].items() if target.exists() else ():
            assert (target / name).stat().st_size == stamp[0], path


def shape(image: Image, *, names: bool = False) -> Image:
    """Without what is under temporary names: only that something is there, or only the `names` of it."""
    found: Image = {}
    for path, entry in image.items():
        if path.startswith(_WORK) or path.endswith(_HELD):
            continue
        above, _, below = path.partition(TEMP_PREFIX)
        if not below:
            found[path] = entry
        elif names:
            found[path] = Entry(entry.kind, 0, b"", 0)
        elif entry.kind != "dir":
            found.setdefault(f"{above}{TEMP_PREFIX}", Entry("dir", 0, b"", 0))
    return found


def _visible(folder: Path) -> list[Path]:
    names = sorted(folder.iterdir()) if folder.is_dir() else []
    return [path for path in names if not path.name.startswith(TEMP_PREFIX)]


def _temporary(folder: Path) -> list[Path]:
    return list(folder.glob(f"{TEMP_PREFIX}*"))
