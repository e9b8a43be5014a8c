"""A build root as a folder in the store, made once for each closure of packages.

Everything is written below a folder of our own: folders first, then files, each made new and never opened through a
link, symlinks last. Modes are 0755 or 0644, owners ours, times one constant. No maintainer script is looked at.
"""

import hashlib
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from builder.buildroot.layout import Tree, merge
from builder.buildroot.model import closure_digest, package_of
from builder.lock.model import LockedInput
from builder.steps.debfile import DebFile
from builder.store import ASIDE, Store
from bundles import jsontext
from bundles.digest import Digest
from bundles.errors import FormatError, MissingError
from bundles.files import make_folders, os_errors, write_atomic

TIME: Final = 315_532_800  # 1980-01-01, seconds: the time of every file; make compares it with those of sources
_BOOT: Final = Path("/proc/sys/kernel/random/boot_id")
# What a system would have from its installer; the same in every root.
ETC: Final[Mapping[str, str]] = {
    "etc/passwd": "root:x:0:0:build:/build:/bin/sh\n",
    "etc/group": "root:x:0:\n",
    "etc/hosts": "127.0.0.1 localhost sealift\n",
    "etc/nsswitch.conf": "passwd: files\ngroup: files\nhosts: files\n",
}
# Places that entering mounts something on.
PLACES: Final = ("build", "dev", "proc", "tmp", "go/mod", "go/cache", "usr/local/go")


def ensure_root(store: Store, packages: Sequence[LockedInput]) -> Path:
    """A closure of packages, which the store has -> the folder of their root, made where it is missing or touched.

    Raises MissingError for packages that were not fetched, FormatError for damaged or odd ones.
    """
    digest = closure_digest(packages)
    folder, note = store.roots / digest.hex, store.roots / f"{digest.hex}.json"
    with store.lock(f"root-{digest.hex[:24]}", exclusive=True):
        if not _untouched(folder, note):
            _put_aside(folder)
            with store.temp_folder("root") as temp:
                made = temp / "root"
                write_root(made, {each.files[0].name: _read(store, each) for each in packages})
                with os_errors(folder):
                    made.rename(folder)
            _note(folder, note, contents(folder))
    return folder


def _put_aside(folder: Path) -> None:
    """Another build may be at work in it: it goes when the store is tidied, with nobody there."""
    if folder.exists():
        with os_errors(folder):
            folder.rename(folder.with_name(f"{ASIDE}{folder.name[:16]}.{os.urandom(4).hex()}"))


def write_root(folder: Path, packages: Mapping[str, bytes]) -> None:
    """Packages (file name -> the .deb's bytes) -> a new folder with their tree."""
    opened = {name: DebFile(content, where=name) for name, content in packages.items()}
    tree = merge({name: {path: entry for path in deb.paths if (entry := deb.entry(path)) is not None}
                  for name, deb in opened.items()})  # fmt: skip
    make_folders(folder)
    with os_errors(folder):
        for path in sorted({*tree.folders, *_with_parents(PLACES), *_with_parents(ETC, inner=True)}):
            (folder / path).mkdir(mode=0o755)
        for path, placed in tree.files.items():
            content, _ = opened[placed.package].file(placed.path)
            _write(folder / path, content, 0o755 if placed.executable else 0o644)
        _check_twice(tree, opened)
        for path, text in ETC.items():
            if path not in tree.files:
                _write(folder / path, text.encode(), 0o644)
        for path, target in tree.links.items():
            (folder / path).symlink_to(target)
        _settle(folder, tree)


def _check_twice(tree: Tree, opened: Mapping[str, DebFile]) -> None:
    """What a package has in two architectures must be the same: no order of packages decides what a root holds."""
    for one, two in tree.twice:
        if opened[one.package].file(one.path)[0] != opened[two.package].file(two.path)[0]:
            raise FormatError(
                "two packages have it, with other bytes", where=one.path, got=two.package, want=one.package
            )


def seen(folder: Path) -> Digest:
    """A root's folder -> a digest of its names, sizes, modes and times: it differs when somebody was at it. Fast."""
    rows: list[list[object]] = []
    for path, folders, files in os.walk(folder):
        for name in sorted((*folders, *files)):
            found = os.lstat(os.path.join(path, name))
            size = 0 if name in folders else found.st_size
            rows.append([os.path.relpath(os.path.join(path, name), folder), found.st_mode, size, found.st_mtime_ns])
    return Digest.of(jsontext.encode_canonical(sorted(rows, key=str)))


def contents(folder: Path) -> Digest:
    """A digest of the bytes of all files of a root; reads every one."""
    rows = []
    for path, _, files in os.walk(folder):
        for name in sorted(files):
            file = os.path.join(path, name)
            if not os.path.islink(file):
                with open(file, "rb") as opened:
                    rows.append([os.path.relpath(file, folder), hashlib.file_digest(opened, "sha256").hexdigest()])
    return Digest.of(jsontext.encode_canonical(sorted(rows)))


def _note(folder: Path, note: Path, found: Digest) -> None:
    document = {"boot": _boot(), "contents": str(found), "seen": str(seen(folder))}
    write_atomic(note, jsontext.encode_canonical(document))


def _untouched(folder: Path, note: Path) -> bool:
    """Whether it looks as it was made. Nothing of a root is forced to disk: after a restart every byte is read."""
    try:
        said = jsontext.decode_plain(note.read_bytes(), where=str(note))
        if said["seen"] != str(seen(folder)):
            return False
        if said["boot"] != _boot():
            if said["contents"] != str(contents(folder)):
                return False
            _note(folder, note, Digest.parse(said["contents"]))
        return True
    except (OSError, FormatError, KeyError, TypeError):
        return False


def _boot() -> str:
    """Another one after each start of the machine (random(4))."""
    return _BOOT.read_text().strip() if _BOOT.exists() else ""


def _read(store: Store, locked: LockedInput) -> bytes:
    (package,) = locked.files
    try:
        return store.read(package.digest)
    except MissingError as exc:
        name, version = package_of(locked)
        hint = "run the build again, without --offline"
        raise MissingError("a package of the build root was not fetched", where=f"{name}={version}", hint=hint) from exc


def _with_parents(paths: Sequence[str] | Mapping[str, str], *, inner: bool = False) -> set[str]:
    """Paths and the folders above them; with `inner` the folders alone."""
    found: set[str] = set() if inner else set(paths)
    for path in paths:
        while path := path.rpartition("/")[0]:
            found.add(path)
    return found


def _write(path: Path, content: bytes, mode: int) -> None:
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, mode)
    with open(fd, "wb") as file:
        file.write(content)
        os.fchmod(fd, mode)


def _settle(folder: Path, tree: Tree) -> None:
    """One time for all; folders last, because what is made in them changes theirs."""
    for path in (*tree.files, *tree.links, *ETC):
        os.utime(folder / path, (TIME, TIME), follow_symlinks=False)
    for path, _, _ in os.walk(folder, topdown=False):
        os.chmod(path, 0o755)
        os.utime(path, (TIME, TIME))
