"""Random damage of any archive ends in an error of ours or in the right files, never in anything else."""

import gzip
import random
import shutil
from pathlib import Path

import pytest
from backports import zstd

from bundles.digest import Digest
from bundles.errors import SealiftError
from tests.support import tars
from tests.support.foreign import NAME, World
from tests.support.tars import ELF_AMD64, member, pax, symlink, tar

PROGRAM = ELF_AMD64 + b"program" * 100
LAYER = tar(member("bin/x", PROGRAM), symlink("bin/y", "x"), pax({"path": "bin/" + "z" * 120}), member("z", b"z"))
ARCHIVES = {
    "a.tar": tars.new_docker(tars.image(LAYER, compress="gzip"), NAME),
    "b.tar": tars.old_docker(tars.image(LAYER, LAYER), [NAME]),
    "c.tar.gz": gzip.compress(tars.new_docker(tars.image(LAYER), NAME), mtime=0),
    "d.tar.zst": zstd.compress(tars.new_docker(tars.image(LAYER), NAME)),
}


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("name", ARCHIVES)
def test_random_damage_is_an_error_or_harmless(name: str, seed: int, tmp_path: Path) -> None:
    rng = random.Random(f"{name} {seed}")
    world = World(tmp_path)
    for _ in range(25):
        data = bytearray(ARCHIVES[name])
        for _ in range(rng.choice((1, 1, 3))):
            data[rng.randrange(len(data))] ^= 1 << rng.randrange(8)
        if rng.random() < 0.2:
            del data[rng.randrange(len(data)) :]
        world.put(bytes(data), name)
        try:
            report = world.extract()
        except SealiftError:
            world.assert_nothing_was_written()
            continue
        finally:
            world.assert_nothing_escaped()
        assert {file.digest for file in report.files} == {Digest.of(PROGRAM), Digest.of(b"z")}
        for folder in ("bin", "charts"):
            shutil.rmtree(world.staging / folder)
