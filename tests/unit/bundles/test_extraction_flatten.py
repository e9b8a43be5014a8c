"""Layers become one tree as the OCI image spec says, with RKE2's modes, and nothing appears before all was right."""

import os
from pathlib import Path

import pytest

from bundles.digest import Digest
from bundles.errors import FormatError, MissingError, SealiftError, UsageError
from tests.support import tars
from tests.support.foreign import NAME, World
from tests.support.tars import ELF_AMD64, folder, hardlink, member, pax, symlink, tar

GOOD = member("bin/kubelet", ELF_AMD64, mode=0o755)


def names(world: World) -> list[str]:
    found = []
    for path, folders, files in os.walk(world.staging):
        found += [os.path.relpath(os.path.join(path, name), world.staging) for name in folders + files]
    return sorted(found)


CASES: dict[str, tuple[list[bytes], list[str]]] = {
    "whiteout hides a lower file": (
        [tar(GOOD, member("bin/old", b"x")), tar(member("bin/.wh.old"))],
        ["bin/kubelet"],
    ),
    "whiteout hides a lower directory": (
        [tar(GOOD, member("bin/d/e/x", b"x")), tar(member("bin/.wh.d"))],
        ["bin/kubelet"],
    ),
    "whiteout of nothing is fine": ([tar(GOOD, member("bin/.wh.none"))], ["bin/kubelet"]),
    "whiteout does not touch its own layer, whatever the order": (
        [tar(GOOD, member("bin/a", b"1")), tar(member("bin/a", b"2"), member("bin/.wh.a"))],
        ["bin/a", "bin/kubelet"],
    ),
    "whiteout of /bin itself": ([tar(member("bin/a", b"x")), tar(member(".wh.bin"), GOOD)], ["bin/kubelet"]),
    "opaque directory hides all of the lower one": (
        [tar(GOOD, member("bin/d/a", b"x")), tar(member("bin/d/b", b"x"), member("bin/d/.wh..wh..opq"))],
        ["bin/d", "bin/d/b", "bin/kubelet"],
    ),
    "opaque /bin": ([tar(member("bin/a", b"x")), tar(member("bin/.wh..wh..opq"), GOOD)], ["bin/kubelet"]),
    "opaque root": (
        [tar(member("bin/a", b"x"), member("charts/c", b"x")), tar(member(".wh..wh..opq"), GOOD)],
        ["bin/kubelet"],
    ),
    "file replaces a directory": (
        [tar(GOOD, member("bin/d/x", b"x")), tar(member("bin/d", b"x"))],
        ["bin/d", "bin/kubelet"],
    ),
    "directory replaces a file": (
        [tar(GOOD, member("bin/d", b"x")), tar(folder("bin/d"), member("bin/d/x", b"x"))],
        ["bin/d", "bin/d/x", "bin/kubelet"],
    ),
    "directory replaces a symlink": (
        [tar(GOOD, symlink("bin/d", "kubelet")), tar(folder("bin/d"), member("bin/d/x", b"x"))],
        ["bin/d", "bin/d/x", "bin/kubelet"],
    ),
    "file replaces an escaping symlink of a lower layer": (
        [tar(GOOD, symlink("bin/d", "/etc")), tar(member("bin/d", b"x"))],
        ["bin/d", "bin/kubelet"],
    ),
    "names with ./ in front": ([tar(folder("."), folder("./bin"), member("./bin/kubelet", b"x"))], ["bin/kubelet"]),
    "long names by PAX": (
        [tar(GOOD, pax({"path": "bin/" + "n" * 200}), member("x", b"x"))],
        ["bin/kubelet", "bin/" + "n" * 200],
    ),
    "long names by GNU": (
        [tar(GOOD, tars.gnu_long(b"bin/" + b"n" * 200), member("x", b"x", magic=b"ustar  \x00"))],
        ["bin/kubelet", "bin/" + "n" * 200],
    ),
    "long link targets by GNU": (
        [tar(GOOD, tars.gnu_long(b"./" * 100 + b"kubelet", b"K"), symlink("bin/l", "x"))],
        ["bin/kubelet", "bin/l"],
    ),
    "ustar prefix": ([tar(GOOD, member("x", b"x", prefix=b"bin/sub"))], ["bin/kubelet", "bin/sub", "bin/sub/x"]),
    "empty directories stay": ([tar(GOOD, folder("charts/empty"))], ["bin/kubelet", "charts/empty"]),
    "an empty layer": ([tar(GOOD), tar()], ["bin/kubelet"]),
    "the same layer twice": ([tar(GOOD), tar(GOOD)], ["bin/kubelet"]),
}


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("compress", ["", "gzip"])
def test_layers_are_flattened(case: str, compress: str, tmp_path: Path) -> None:
    layers, want = CASES[case]
    world = World(tmp_path)
    world.put(tars.new_docker(tars.image(*layers, compress=compress), NAME))
    world.extract()
    assert names(world) == sorted({"bin", "charts", *want})
    world.assert_nothing_escaped()


def test_the_upper_file_wins_and_a_hard_link_keeps_the_lower_one(tmp_path: Path) -> None:
    world = World(tmp_path)
    world.put_layers(tar(GOOD, member("bin/a", b"lower"), hardlink("bin/b", "bin/a")), tar(member("bin/a", b"upper")))
    world.extract()
    assert (world.staging / "bin/a").read_bytes() == b"upper"
    assert (world.staging / "bin/b").read_bytes() == b"lower"


def test_a_hard_link_reaches_into_a_lower_layer(tmp_path: Path) -> None:
    world = World(tmp_path)
    world.put_layers(tar(GOOD), tar(hardlink("bin/kubectl", "bin/kubelet")))
    world.extract()
    assert (world.staging / "bin/kubectl").samefile(world.staging / "bin/kubelet")


def test_the_report_names_every_file_with_its_digest(tmp_path: Path) -> None:
    world = World(tmp_path)
    big = os.urandom(3 << 20)
    world.put_layers(
        tar(member("bin/big", big, mode=0o700), member("charts/c.yaml", b"c", mode=0o644), member("etc/x"))
    )
    report = world.extract()
    assert [(file.path, file.size, file.mode) for file in report.files] == [
        ("/bin/big", len(big), 0o700),
        ("/charts/c.yaml", 1, 0o644),
    ]
    assert [file.digest for file in report.files] == [Digest.of(big), Digest.of(b"c")]
    assert report.ignored == 1
    for file in report.files:
        path = world.staging / file.path[1:]
        assert Digest.of(path.read_bytes()) == file.digest and path.stat().st_mode & 0o7777 == file.mode


@pytest.mark.parametrize("umask", [0o000, 0o077])
def test_directories_are_0755_whatever_the_umask_and_the_layer_say(umask: int, tmp_path: Path) -> None:
    world = World(tmp_path)
    world.put_layers(tar(GOOD, tars.header("bin/d/", typeflag=b"5", mode=0o7777), member("bin/d/e/x", b"x")))
    before = os.umask(umask)
    try:
        world.extract()
    finally:
        os.umask(before)
    for name in ("bin", "bin/d", "bin/d/e", "charts"):
        assert (world.staging / name).stat().st_mode & 0o7777 == 0o755, name


def _damage(lie: str) -> bytes:
    """An archive whose layer is not what the documents say."""
    good, other = tar(GOOD), tar(member("bin/kubelet", ELF_AMD64 + b"other"))
    if lie == "diff id":
        return tars.new_docker(tars.Image([good], [other]), NAME)
    files = tars.documents(tars.image(good), [NAME])
    name = f"blobs/sha256/{tars.sha256(good)}"
    files[name] = {"digest": good.replace(b"kubelet", b"kubelex", 1), "size": good + bytes(512)}[lie]
    return tars.archive(files)


@pytest.mark.parametrize("lie", ["diff id", "digest", "size"])
def test_a_layer_that_is_not_what_was_promised_leaves_nothing_behind(lie: str, tmp_path: Path) -> None:
    world = World(tmp_path)
    world.put(_damage(lie))
    with pytest.raises(
        SealiftError, match={"size": "wrong size", "digest": "checksum|digest"}.get(lie, "wrong diff id")
    ):
        world.extract()
    world.assert_nothing_was_written()


@pytest.mark.parametrize("name", ["runtime.tar", "runtime.tar.gz"])
def test_every_damaged_byte_of_a_gzip_layer_is_noticed(name: str, tmp_path: Path) -> None:
    import gzip

    world = World(tmp_path)
    image = tars.image(tar(GOOD, member("bin/x", os.urandom(700))), compress="gzip")
    data = bytearray(tars.new_docker(image, NAME))
    start = data.find(image.layers[0])
    for offset in range(start, start + len(image.layers[0]), 37):
        data[offset] ^= 0x10
        world.put(gzip.compress(data) if name.endswith("gz") else bytes(data), name)
        with pytest.raises(FormatError):
            world.extract()
        world.assert_nothing_was_written()
        data[offset] ^= 0x10


def test_a_destination_that_is_not_empty_is_left_alone(tmp_path: Path) -> None:
    world = World(tmp_path)
    world.put_layers(tar(GOOD))
    (world.staging / "bin").mkdir()
    (world.staging / "bin/precious").write_text("mine")
    with pytest.raises(UsageError, match="empty directory"):
        world.extract()
    assert (world.staging / "bin/precious").read_text() == "mine"


def test_a_destination_that_is_a_symlink_is_refused(tmp_path: Path) -> None:
    world = World(tmp_path)
    world.put_layers(tar(GOOD))
    (world.staging / "bin").symlink_to(world.staging.with_name("sibling"))
    with pytest.raises(SealiftError):
        world.extract()
    assert os.listdir(world.staging.with_name("sibling")) == []


def test_no_images_directory_is_said_plainly(tmp_path: Path) -> None:
    world = World(tmp_path)
    world.images.rmdir()
    with pytest.raises(MissingError, match="no such directory"):
        world.extract()
