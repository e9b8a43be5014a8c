"""The hostile corpus: each attack is refused with an error that names it, and nothing is written anywhere."""

import bz2
import gzip
import os
import resource
import zlib
from pathlib import Path

import pytest
from backports import zstd

from bundles.errors import FormatError, LimitError, SealiftError
from bundles.extraction.model import Limits
from tests.support import tars
from tests.support.foreign import NAME, World
from tests.support.hostile import GOOD, LAYERS
from tests.support.tars import END, hardlink, header, member, pax, symlink, tar


@pytest.mark.parametrize("attack", LAYERS)
def test_a_hostile_layer_is_refused_and_nothing_is_written(attack: str, tmp_path: Path) -> None:
    layer, words = LAYERS[attack]
    world = World(tmp_path)
    world.put_layers(layer)
    with pytest.raises(FormatError, match=words):
        world.extract()
    world.assert_nothing_was_written()


@pytest.mark.parametrize("attack", ["symlink write-through", "file where a dir was", "hardlink across"])
def test_an_attack_over_two_layers_is_refused(attack: str, tmp_path: Path) -> None:
    first, second = {
        "symlink write-through": (tar(GOOD, symlink("bin/d", "/etc")), tar(member("bin/d/x", b"x"))),
        "file where a dir was": (tar(GOOD, member("bin/d", b"x")), tar(member("bin/d/x", b"x"))),
        "hardlink across": (tar(GOOD, symlink("bin/s", "/etc/passwd")), tar(hardlink("bin/h", "bin/s"))),
    }[attack]
    world = World(tmp_path)
    world.put_layers(first, second)
    with pytest.raises(FormatError, match=r"below a|hard link"):
        world.extract()
    world.assert_nothing_was_written()


@pytest.mark.parametrize("mode", [0o4755, 0o2777, 0o1777, 0o7777, 0o000, 0o222])
def test_setuid_and_write_for_others_never_reach_the_disk(mode: int, tmp_path: Path) -> None:
    world = World(tmp_path)
    world.put_layers(tar(member("bin/x", b"#!/bin/sh\n", mode=mode)))
    world.extract()
    assert (world.staging / "bin/x").stat().st_mode & 0o7777 == (mode & 0o755 or 0o755)


def test_what_lies_outside_the_wanted_directories_is_ignored(tmp_path: Path) -> None:
    world = World(tmp_path)
    outside = (header("dev/null", typeflag=b"3"), symlink("lib", "/usr/lib"), symlink("etc/x", "/etc/shadow"))
    world.put_layers(tar(GOOD, *outside, member("lib/x", b"x"), hardlink("etc/h", "etc/x")))
    assert world.extract().ignored == 5
    world.assert_nothing_escaped()
    assert os.listdir(world.staging / "bin") == ["kubelet"]


LINKS = {
    "beside": ("bin/a", "kubelet"),
    "one level down": ("bin/a", "sub/tool"),
    "one level up, inside": ("bin/sub/a", "../kubelet"),
    "through another link": ("bin/a", "s/tool"),
    "dot": ("bin/a", "./kubelet"),
    "to a directory": ("bin/a", "sub/"),
    "up from where a link led": ("bin/a", "s/../kubelet"),
}


@pytest.mark.parametrize("link", LINKS)
def test_harmless_relative_links_pass(link: str, tmp_path: Path) -> None:
    world = World(tmp_path)
    world.put_layers(tar(GOOD, member("bin/sub/tool", b"x"), symlink("bin/s", "sub"), symlink(*LINKS[link])))
    world.extract()
    path = world.staging / LINKS[link][0]
    assert path.is_symlink() and path.resolve().is_relative_to(world.staging / "bin") and path.exists()


def _bomb(size: int, name: str = "bin/x") -> bytes:
    return header(name, size=size) + bytes(size) + END


@pytest.mark.parametrize("how", ["gzip", "zstd", "zstd in many frames"])
def test_a_layer_that_unpacks_to_too_much_stops_early(how: str, tmp_path: Path) -> None:
    content = _bomb(128 << 20)
    if how == "gzip":
        packer = zlib.compressobj(9, wbits=31)
        layer = packer.compress(content) + packer.flush()
    elif how == "zstd":
        layer = zstd.compress(content, 3)
    else:
        layer = b"".join(zstd.compress(content[at : at + (4 << 20)], 1) for at in range(0, len(content), 4 << 20))
    world = World(tmp_path)
    world.put(tars.new_docker(tars.Image([layer], [content]), NAME))
    with pytest.raises(LimitError, match="unpacks to too much"):
        world.extract()
    world.assert_nothing_was_written()


@pytest.mark.parametrize("suffix", [".tar.gz", ".tar.zst", ".tar.bz2"])
def test_an_archive_that_unpacks_to_too_much_is_not_read_on(suffix: str, tmp_path: Path) -> None:
    content = _bomb(128 << 20, "x")
    packed = {
        ".tar.gz": lambda: gzip.compress(content, 1),
        ".tar.zst": lambda: zstd.compress(content, 1),
        ".tar.bz2": lambda: bz2.compress(content, 9),
    }[suffix]()
    world = World(tmp_path)
    world.put(packed, f"bomb{suffix}")
    with pytest.raises(SealiftError, match="unpacks to too much"):
        world.extract()
    world.assert_nothing_was_written()


def test_the_sum_of_all_layers_is_bounded(tmp_path: Path) -> None:
    layers = [tar(member(f"bin/{number}", bytes(100_000))) for number in range(5)]
    world = World(tmp_path)
    world.put_layers(*layers)
    with pytest.raises(LimitError, match="unpacks to too much"):
        world.extract(limits=Limits(content=450_000))
    world.assert_nothing_was_written()


def test_members_are_counted_over_all_layers(tmp_path: Path) -> None:
    layers = [tar(*(member(f"bin/{layer}-{number}") for number in range(40))) for layer in range(3)]
    world = World(tmp_path)
    world.put_layers(*layers)
    with pytest.raises(LimitError, match="too many members"):
        world.extract(limits=Limits(members=100))


def test_extension_headers_are_counted_too(tmp_path: Path) -> None:
    world = World(tmp_path)
    world.put_layers(tar(GOOD, pax({"comment": "x"}, b"g") * 400, GOOD))
    with pytest.raises(LimitError, match="too many members"):
        world.extract(limits=Limits(members=100))


def test_ten_thousand_links_in_circles_are_refused_in_bounded_work(tmp_path: Path) -> None:
    links = [symlink(f"bin/{number}", f"{(number + 1) % 9_000}/" + "./" * 40) for number in range(9_000)]
    world = World(tmp_path)
    world.put_layers(tar(GOOD, *links))
    with pytest.raises(FormatError, match="leaves /bin"):
        world.extract()


def test_memory_does_not_grow_with_the_size_of_a_file(tmp_path: Path) -> None:
    layer = _bomb(400 << 20)
    stored = b"".join(zstd.compress(layer[at : at + (4 << 20)], 1) for at in range(0, len(layer), 4 << 20))
    world = World(tmp_path)
    image = tars.Image([stored], [layer])
    del layer
    world.put(tars.new_docker(image, NAME))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(LimitError):
        world.extract()
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 150 << 10  # KiB
