"""The foreign profile: archives of other tools, found and extracted; nothing may be written outside."""

import bz2
import gzip
import os
import shutil
import tempfile
from pathlib import Path
from typing import Final

from backports import zstd

from bundles import framed
from bundles.extraction.extract import extract_image
from bundles.foreign.find import find_image
from tests.fuzz import examples, modes, repair
from tests.fuzz.model import Target, taken
from tests.support import tars
from tests.support.foreign import AMD64, NAME
from tests.support.hostile import LAYERS

framed.RATIO_FLOOR = 1 << 20  # type: ignore[misc] # bytes: bombs must stay cheap here
_LARGEST: Final = 48 << 10  # bytes of a hostile layer that is worth a seed


def _extract(data: bytes, suffix: str = ".tar") -> bool:
    root = Path(tempfile.mkdtemp())
    try:
        for name in ("images", "node"):
            (root / name).mkdir()
        (root / "images" / f"a{suffix}").write_bytes(data)
        done = taken(lambda: _found(root))
        _nothing_escaped(root, done is not None)
        return done is not None
    finally:
        shutil.rmtree(root)


def _found(root: Path) -> bool:
    from bundles.reference import Reference

    with find_image(root / "images", Reference.parse(NAME), platform=AMD64, scratch=root) as found:
        places = {"/bin": root / "node" / "bin", "/charts": root / "node" / "charts"}
        report = extract_image(found, places)
    assert report.files or report.links
    return True


def _nothing_escaped(root: Path, done: bool) -> None:
    assert sorted(os.listdir(root)) == ["images", "node"] and len(os.listdir(root / "images")) == 1
    assert set(os.listdir(root / "node")) <= {"bin", "charts"}
    for folder, _, names in os.walk(root / "node"):
        for name in names:
            path = os.path.join(folder, name)
            assert done, f"{path} was written although the image was refused"
            assert Path(os.path.realpath(path)).is_relative_to(root / "node"), f"{path} leads out"


def _layer(data: bytes) -> bool:
    """The input is the layer itself: every mutation reaches the flattening."""
    return _extract(tars.new_docker(tars.image(repair.checksums(data)), NAME))


READERS: Final[dict[str, modes.Reader]] = {
    "as it is": _extract,
    "mended": lambda data: _extract(repair.archive(data)),
    "layer": _layer,
    "gzip": lambda data: _extract(data, ".tar.gz"),
    "zstd": lambda data: _extract(data, ".tar.zst"),
    "bzip2": lambda data: _extract(data, ".tar.bz2"),
}
_WHOLE: Final = list(examples.foreign().values())

TARGET: Final = Target(
    read=modes.by_first_byte(READERS),
    seeds=lambda: modes.seeds(
        READERS,
        {
            "as it is": _WHOLE,
            "mended": _WHOLE,
            "layer": [examples.plain_layer(), *(layer for layer, _ in LAYERS.values() if len(layer) < _LARGEST)],
            "gzip": [gzip.compress(_WHOLE[0], mtime=0)],
            "zstd": [zstd.compress(_WHOLE[0])],
            "bzip2": [bz2.compress(_WHOLE[0])],
        },
    ),
    least=10,
)
