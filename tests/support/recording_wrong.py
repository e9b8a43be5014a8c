"""Writers that break the rules of `bundles.files`, one each: the replay has to find out."""

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from bundles.files import TEMP_PREFIX, fsync_directory, temp_name
from tests.support.disk_images import Image

_OLD, _NEW = b"old content\n", b"new content, which is longer\n"


@dataclass
class Notes:
    """Replaces one file by `write`, which gets its path and content."""

    home: Path
    write: Callable[[Path, bytes], object]

    @property
    def root(self) -> Path:
        return self.home / "live"

    @property
    def file(self) -> Path:
        return self.root / "file"

    def prepare(self) -> None:
        self.root.mkdir()
        self.file.write_bytes(_OLD)
        self.file.chmod(0o644)

    def act(self) -> None:
        for left in self.left():
            left.unlink()
        self.write(self.file, _NEW)

    def check(self) -> None:
        assert self.file.read_bytes() in (_OLD, _NEW), "half a file"
        if (self.root / "note").exists():
            assert self.file.read_bytes() == _NEW, "noted, but not there"

    def result(self) -> dict[str, bytes]:
        return {path.name: path.read_bytes() for path in self.root.iterdir() if not path.name.startswith(TEMP_PREFIX)}

    def left(self) -> list[Path]:
        return list(self.root.glob(f"{TEMP_PREFIX}*"))

    @staticmethod
    def shape(image: Image) -> Image:
        return image


def without_fsync(path: Path, data: bytes) -> None:
    """The name may be durable before the content."""
    temp = temp_name(path)
    temp.write_bytes(data)
    os.rename(temp, path)
    fsync_directory(path.parent)


def without_fsync_of_the_folder(path: Path, data: bytes) -> None:
    """Done is said before the name is durable."""
    temp = temp_name(path)
    with open(temp, "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    os.rename(temp, path)


def without_rename(path: Path, data: bytes) -> None:
    """The old content goes before the new one is there."""
    with open(path, "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    fsync_directory(path.parent)
