"""An input archive being written, replayed: a second release is added to the folder that has a first."""

from dataclasses import dataclass, field
from pathlib import Path

from builder.inputs.gather import Gathered, Part
from builder.inputs.model import INDEX, SUMS, blob_path
from builder.inputs.text import parse_index
from builder.inputs.write import Target, write_inputs
from builder.sources.verified import Verified
from builder.store import Store
from bundles.digest import Digest
from bundles.files import TEMP_PREFIX
from tests.support.bundles import tree
from tests.support.disk_images import Image

_ONE, _TWO, _BOTH = b"one\n", b"two\n", b"shared\n"


@dataclass
class Keep:
    """Two releases with one blob in common, of which the folder has one."""

    home: Path
    known: set[bytes] = field(default_factory=set)

    @property
    def root(self) -> Path:
        return self.home / "live"

    def prepare(self) -> None:
        self.root.mkdir(parents=True)
        self._write("v1", _ONE)
        self.known |= set(tree(self.root).values())

    def act(self) -> None:
        self._write("v2", _TWO)

    def check(self) -> None:
        """Every file is whole, the index names what is there, and `sha256sum -c` finds nothing wrong."""
        files = {name: data for name, data in tree(self.root).items() if TEMP_PREFIX not in name}
        for name, data in files.items():
            if name.startswith("blobs/"):
                assert Digest.of(data).hex == name.rpartition("/")[2], f"half a blob: {name}"
        for line in files[SUMS].decode().splitlines():
            digest, _, name = line.partition("  ")
            assert Digest.of(files[name]).hex == digest, f"sha256sum -c fails: {name}"
        for path, file in parse_index(files[INDEX]).files().items():
            assert Digest.of(files[path]) == file.digest, f"the index names what is not there: {path}"

    def result(self) -> dict[str, bytes]:
        return tree(self.root)

    def left(self) -> list[Path]:
        return list(self.root.rglob(f"{TEMP_PREFIX}*"))

    @staticmethod
    def shape(image: Image) -> Image:
        return image

    def _write(self, version: str, own: bytes) -> None:
        gathered = [_input(data) for data in sorted((own, _BOTH))]
        target = Target(folder=self.root, verified=Verified(Store(self.home / "store")), jobs=1)
        write_inputs(f"lab@{version}", Digest.of(version.encode()), f"recipe {version}".encode(), gathered, target)


def _input(data: bytes) -> Gathered:
    digest = Digest.of(data)
    part = Part(path=blob_path(digest), origin=data, digest=digest)
    return Gathered(source=f"url:https://a.test/{digest.hex[:8]}@{digest}", parts=(part,))
