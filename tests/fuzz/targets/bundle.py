"""The sealed profile: archives and packed bundles, as they are and with their hashes mended."""

import os
from pathlib import Path
from typing import Final

from bundles import framed
from bundles.foreign.catalogue import open_archive
from bundles.foreign.find import read_images
from bundles.inspect import inspect, render
from bundles.region import Region
from bundles.sealed.verify import Wanted, verify_region
from bundles.talk import SilentProgress
from bundles.trust import require
from bundles.verify import verify_bundle
from tests.fuzz import examples, modes, repair
from tests.fuzz.model import Target, taken

framed.RATIO_FLOOR = 1 << 20  # type: ignore[misc] # bytes: bombs must stay cheap here
_TRUST: Final = require(insecure=True)


def _sealed(data: bytes) -> bool:
    with examples.region_of(data) as region:
        report = taken(lambda: verify_region(region, Wanted(), quick=False, progress=SilentProgress(), workers=1))
        if report is None:
            return False
        quick = verify_region(region, Wanted(), quick=True, progress=SilentProgress(), workers=1)
        assert [image.digest for image in quick.images] == [image.digest for image in report.images]
        _taken_by_the_other_reader(region)
    return True


def _taken_by_the_other_reader(region: Region) -> None:
    """What the strict profile takes, the loose one must take as well."""
    with open_archive(_path(region)) as archive:
        assert read_images(archive), "a sealed archive without images"


def _packed(data: bytes) -> bool:
    with examples.region_of(data) as region:
        path = _path(region)
        report = taken(lambda: verify_bundle(path, _TRUST, workers=1))
        seen = taken(lambda: inspect(path))
        if seen is not None:
            render(seen).encode()
        assert report is None or seen is not None
    return report is not None


def _path(region: Region) -> Path:
    return Path(f"/proc/{os.getpid()}/fd/{region.fd}")


READERS: Final[dict[str, modes.Reader]] = {
    "sealed": _sealed,
    "sealed, mended": lambda data: _sealed(repair.archive(data)),
    "packed": _packed,
    "packed, mended": lambda data: _packed(repair.bundle(data)),
}
_ARCHIVES: Final = (examples.sealed_framed(), examples.sealed_plain())
_PACKED: Final = examples.packed()[1]

TARGET: Final = Target(
    read=modes.by_first_byte(READERS),
    seeds=lambda: modes.seeds(
        READERS,
        {"sealed": _ARCHIVES, "sealed, mended": _ARCHIVES, "packed": [_PACKED], "packed, mended": [_PACKED]},
    ),
    least=20,
)
