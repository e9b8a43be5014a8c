"""A node's data directory driven in-process, and what one sees of it from outside."""

import hashlib
import os
import stat
from dataclasses import dataclass, field
from pathlib import Path

from bundles.platform import Platform
from bundles.talk import SilentProgress
from bundles.trust import Trust
from runtime.extract import ExtractRequest, NodeReport, extract
from runtime.layout import NodeLayout
from runtime.stage import StageReport, stage
from tests.support.releases import AMD64

NOW = 1_800_000_000
NOBODY = Trust(kind="insecure")


@dataclass
class TestNode:
    """A data directory with a task folder of its own; `said` collects the talk."""

    __test__ = False

    root: Path
    platform: Platform = AMD64
    said: list[str] = field(default_factory=list)

    @property
    def layout(self) -> NodeLayout:
        return NodeLayout.at(self.root / "rke2")

    @property
    def shims(self) -> Path:
        folder = self.root / "shims"
        folder.mkdir(parents=True, exist_ok=True)
        return folder

    def stage(self, bundle: Path) -> StageReport:
        return stage(
            bundle,
            self.layout,
            NOBODY,
            platform=self.platform,
            now=NOW,
            progress=SilentProgress(),
            say=self.said.append,
        )

    def extract(
        self,
        *,
        runtime_image: str | None = None,
        configured_image: str | None = None,
        agent: bool = False,
        replace: bool = False,
    ) -> NodeReport:
        request = ExtractRequest(
            runtime_image=runtime_image, configured_image=configured_image, agent=agent, replace=replace
        )
        return extract(request, self.layout, platform=self.platform, say=self.said.append, shims=self.shims)


def seen(folder: Path) -> dict[str, str]:
    """Every name below `folder` -> what it is: type, mode, and content digest or target. Without the lock's pid."""
    found = {}
    for path, folders, files in os.walk(folder):
        for name in (*folders, *files):
            entry = Path(path, name)
            found[entry.relative_to(folder).as_posix()] = _one(entry)
    found.pop("sealift/lock", None)
    return found


def _one(path: Path) -> str:
    status = path.lstat()
    if stat.S_ISLNK(status.st_mode):
        return f"-> {path.readlink()}"
    mode = f"{stat.S_IMODE(status.st_mode):04o}"
    return f"dir {mode}" if path.is_dir() else f"file {mode} {hashlib.sha256(path.read_bytes()).hexdigest()}"
