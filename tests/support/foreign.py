"""Finds and extracts in one call, as a node does, and looks at what became of the world outside."""

import os
from pathlib import Path

from bundles.extraction.extract import DEFAULT_LIMITS, extract_image
from bundles.extraction.model import ExtractReport, Limits
from bundles.foreign.find import find_image
from bundles.platform import Platform
from bundles.reference import Reference
from tests.support import tars

AMD64 = Platform(os="linux", architecture="amd64")
NAME = "docker.io/rancher/rke2-runtime:v1.34.4-rke2r1"


class World:
    """A node's directories below a temporary one: `images`, `staging` (with bin and charts) and a `secret` outside."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.images = root / "images"
        self.staging = root / "node" / "staging"
        self.images.mkdir()
        self.staging.mkdir(parents=True)
        self.secret = root / "secret"
        self.secret.write_text("untouched")
        self.staging.with_name("sibling").mkdir()

    def put(self, data: bytes, name: str = "runtime.tar") -> Path:
        path = self.images / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
        return path

    def put_layers(self, *layers: bytes, name: str = "runtime.tar") -> Path:
        return self.put(tars.new_docker(tars.image(*layers), NAME), name)

    def extract(self, reference: str | None = NAME, limits: Limits = DEFAULT_LIMITS) -> ExtractReport:
        wanted = Reference.parse(reference) if reference else None
        with find_image(self.images, wanted, platform=AMD64, scratch=self.root) as found:
            destinations = {"/bin": self.staging / "bin", "/charts": self.staging / "charts"}
            return extract_image(found, destinations, limits=limits)

    def assert_nothing_escaped(self) -> None:
        """Nothing but the two destinations and what the test itself put there."""
        assert self.secret.read_text() == "untouched"
        assert os.listdir(self.staging.with_name("sibling")) == []
        assert sorted(os.listdir(self.root)) == ["images", "node", "secret"]
        assert sorted(os.listdir(self.root / "node")) == ["sibling", "staging"]
        assert set(os.listdir(self.staging)) <= {"bin", "charts"}

    def assert_nothing_was_written(self) -> None:
        self.assert_nothing_escaped()
        for folder in ("bin", "charts"):
            if (self.staging / folder).exists():
                assert os.listdir(self.staging / folder) == []
