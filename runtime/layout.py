"""Where everything of a node lies below its data directory: RKE2's own names, and the three places that are ours.

RKE2 v1.34, pkg/bootstrap/bootstrap.go: `binDirForDigest`, `chartsDirForDigest`, `manifestsDir`, `imagesDir`,
`symlinkBinDir`. Pure: names only, nothing is read.
"""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Final

DEFAULT_DATA_DIR: Final = Path("/var/lib/rancher/rke2")
# Where containerd of RKE2 keeps one folder per running container (k3s pkg/agent/containerd, `State`).
DEFAULT_SHIM_DIR: Final = Path("/run/k3s/containerd/io.containerd.runtime.v2.task/k8s.io")
MARKER_NAME: Final = ".extracted"
RECORD_NAME: Final = ".extracted.json"


@dataclass(frozen=True, slots=True)
class NodeLayout:
    """Paths below `data`, which is absolute: the `bin` link and processes name it."""

    data: Path

    @classmethod
    def at(cls, data_dir: str | os.PathLike[str]) -> "NodeLayout":
        """A data directory as typed -> its layout; relative paths count from the working directory."""
        return cls(Path(os.path.abspath(data_dir)))

    @property
    def images(self) -> Path:
        """`agent/images`, on servers too: everything here is read by RKE2 or imported into containerd."""
        return self.data / "agent" / "images"

    @property
    def admitted(self) -> Path:
        """`agent/sealift/admitted.json`, the bundle this node runs from."""
        return self.data / "agent" / "sealift" / "admitted.json"

    @property
    def admitting(self) -> Path:
        """`agent/sealift/admitting.json`, the bundle that is about to be; there only in between."""
        return self.admitted.with_name("admitting.json")

    @property
    def ours(self) -> Path:
        """`sealift`: kept bundles, the lock, files on their way."""
        return self.data / "sealift"

    @property
    def bundles(self) -> Path:
        """`sealift/bundles`: one folder per kept bundle."""
        return self.ours / "bundles"

    @property
    def pulled(self) -> Path:
        """`sealift/pulled`, 0700: what was fetched of a server's bundle, on the filesystem of the kept ones."""
        return self.ours / "pulled"

    @property
    def lock(self) -> Path:
        """`sealift/lock`: held while something changes."""
        return self.ours / "lock"

    @property
    def versions(self) -> Path:
        """`data`: one folder per runtime image."""
        return self.data / "data"

    @property
    def bin_link(self) -> Path:
        """`bin`, a symlink into the version in use."""
        return self.data / "bin"

    @property
    def server(self) -> Path:
        """`server`, mode 0700."""
        return self.data / "server"

    @property
    def manifests(self) -> Path:
        """`server/manifests`, mode 0700: the deploy controller applies whatever is here."""
        return self.server / "manifests"

    def version(self, key: str) -> "VersionLayout":
        """The folder of one runtime image, by its data key."""
        return VersionLayout(self.versions / key)


@dataclass(frozen=True, slots=True)
class VersionLayout:
    """`data/KEY`, what one runtime image unpacks to."""

    root: Path

    @property
    def bin(self) -> Path:
        """The programs."""
        return self.root / "bin"

    @property
    def charts(self) -> Path:
        """The HelmCharts; must exist even when empty."""
        return self.root / "charts"

    @property
    def marker(self) -> Path:
        """RKE2's marker: extraction is complete when bin, charts and this exist."""
        return self.root / MARKER_NAME

    @property
    def record(self) -> Path:
        """Our record beside the marker: the image's digest and the files it gave."""
        return self.root / RECORD_NAME
