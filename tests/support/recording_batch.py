"""Documents and receipts that a store keeps in one batch, replayed: no receipt names what is not there."""

from dataclasses import dataclass
from pathlib import Path

from builder.plan.model import Output, Receipt
from builder.store import Store
from bundles import jsontext
from bundles.digest import Digest
from tests.support.disk_images import Image

_COUNT = 3


@dataclass
class Batched:
    """A few documents, and a receipt for each."""

    home: Path

    @property
    def root(self) -> Path:
        return self.home / "live"

    def prepare(self) -> None:
        Store(self.root)

    def act(self) -> None:
        store = Store(self.root)
        store.tidy()
        with store.batch() as batch:
            for number in range(_COUNT):
                digest = batch.put(b"document %d" % number)
                batch.finish(Digest.of(b"step %d" % number), Receipt(outputs={"it": Output(digest=digest, size=10)}))

    def check(self) -> None:
        for path in (self.root / "blobs/sha256").iterdir():
            assert Digest.of(path.read_bytes()).hex == path.name, "half a document"
        for path in (self.root / "steps").iterdir():
            plain = jsontext.decode_plain(path.read_bytes(), where=path)
            name = plain["outputs"]["it"]["digest"].removeprefix("sha256:")
            assert (self.root / "blobs/sha256" / name).is_file(), "a receipt of what is not there"

    def result(self) -> dict[str, bytes]:
        return {str(path.relative_to(self.root)): path.read_bytes() for path in self.root.rglob("*") if path.is_file()}

    def left(self) -> list[Path]:
        return list((self.root / "tmp").iterdir())

    @staticmethod
    def shape(image: Image) -> Image:
        return image
