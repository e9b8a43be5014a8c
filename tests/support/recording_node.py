"""The flows of a node that are replayed: staging, upgrading, extracting."""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bundles.digest import Digest
from bundles.files import TEMP_PREFIX
from runtime import admitted
from runtime.layout import VersionLayout
from runtime.record import State, read_record, state_of
from runtime.trusting import audit, memory
from runtime.trusting.places import TrustPlaces
from tests.support.bundles import tree
from tests.support.disk_images import Image
from tests.support.nodedirs import TestNode, seen
from tests.support.recording_build import shape
from tests.support.releases import CHART, program, release

_SECOND = "v1.34.5-rke2r1"


@dataclass
class NodeFlow:
    """A data directory, brought to where the command begins by `first`; then `command`."""

    home: Path
    first: Callable[["NodeFlow"], object]
    command: Callable[["NodeFlow"], object]
    bundles: list[dict[str, bytes]] = field(default_factory=list)

    @property
    def root(self) -> Path:
        return self.home / "live"

    @property
    def node(self) -> TestNode:
        return TestNode(self.root)

    def prepare(self) -> None:
        self.root.mkdir(parents=True)
        assert self.node.shims.is_dir()
        usb = self.home / "usb"
        more = {"rke2-images-flannel": {"flannel": program(b"f")}}
        self.old = release(usb, programs={"kubelet": program(b"1"), "ctr": program(b"c")})
        self.new = release(usb, _SECOND, programs={"kubelet": program(b"2")}, more=more, sequence=2)
        self.bundles = [tree(self.old), tree(self.new)]
        self.first(self)

    def act(self) -> None:
        self.command(self)

    def check(self) -> None:
        """What others read is whole: archives, kept bundles, records, version folders, the link, manifests."""
        layout = self.node.layout
        archives = {data for bundle in self.bundles for name, data in bundle.items() if name.startswith("images/")}
        for path in _names(layout.images):
            assert path.read_bytes() in archives, f"half an archive: {path}"
        for path in _visible(layout.bundles):
            assert tree(path) in self.bundles, f"half a bundle: {path}"
        if (record := admitted.read(layout.admitted)) is not None:
            assert (layout.bundles / record.bundle / "bundle.json").is_file(), "admitted, but not there"
            for archive in record.archives if not layout.admitting.exists() else ():
                data = (layout.images / archive.name).read_bytes()
                assert Digest.of(data) == archive.sha256, f"admitted, but not this one: {archive.name}"
        audit.read(TrustPlaces.of(layout).audit)
        memory.read(TrustPlaces.of(layout).memory)
        for path in _visible(layout.versions):
            self._check_version(VersionLayout(path))
        if layout.bin_link.is_symlink():
            assert layout.bin_link.readlink().parent.parent == layout.versions
        for path in _names(layout.manifests):
            assert path.read_bytes() == CHART, f"half a manifest: {path}"

    def _check_version(self, version: VersionLayout) -> None:
        if version.record.exists():
            for file in read_record(version).files:
                path = version.root / file.path
                found = hashlib.sha256(path.read_bytes()).hexdigest()
                assert found == file.sha256.hex and path.stat().st_mode & 0o777 == file.mode, f"half a program: {path}"
        if version.marker.exists():
            assert state_of(version) is State.OURS, f"marked, but not whole: {version.root}"
            assert version.marker.read_bytes()

    def result(self) -> Any:
        found = seen(self.node.layout.data)
        for name in ("audit.jsonl", "memory.json"):  # they count what was tried
            found.pop(f"sealift/trust/{name}", None)
        return {name: what for name, what in found.items() if TEMP_PREFIX not in name}

    def left(self) -> list[Path]:
        return list(self.root.rglob(f"{TEMP_PREFIX}*"))

    @staticmethod
    def shape(image: Image) -> Image:
        return shape(image, names=True)


def node_flows() -> dict[str, Callable[[Path], NodeFlow]]:
    """Name -> a flow below a folder."""

    def staged(flow: NodeFlow) -> None:
        flow.node.stage(flow.old)

    def extracted(flow: NodeFlow) -> None:
        staged(flow)
        flow.node.extract()

    def upgraded(flow: NodeFlow) -> None:
        extracted(flow)
        flow.node.stage(flow.new)

    def damaged(flow: NodeFlow) -> None:
        staged(flow)
        kept = flow.node.layout.bundles / flow.old.name / "sha256sum-amd64.txt"
        kept.write_bytes(b"damaged")
        flow.bundles.append(tree(kept.parent))

    def spoiled(flow: NodeFlow) -> None:
        extracted(flow)
        (flow.node.layout.bin_link / "kubelet").unlink()
        (flow.node.layout.bin_link.resolve().parent / ".extracted.json").unlink()

    return {
        "stage": lambda home: NodeFlow(home, lambda _: None, lambda flow: flow.node.stage(flow.old)),
        "stage an upgrade": lambda home: NodeFlow(home, extracted, lambda flow: flow.node.stage(flow.new)),
        "stage over damage": lambda home: NodeFlow(home, damaged, lambda flow: flow.node.stage(flow.old)),
        "extract": lambda home: NodeFlow(home, staged, lambda flow: flow.node.extract()),
        "extract an upgrade": lambda home: NodeFlow(home, upgraded, lambda flow: flow.node.extract()),
        "extract in place": lambda home: NodeFlow(home, extracted, lambda flow: flow.node.extract(replace=True)),
    }


def _names(folder: Path) -> list[Path]:
    """Hidden ones too: others watch these folders."""
    return sorted(path for path in folder.rglob("*") if path.is_file()) if folder.is_dir() else []


def _visible(folder: Path) -> list[Path]:
    return [path for path in folder.iterdir() if not path.name.startswith(TEMP_PREFIX)] if folder.is_dir() else []
