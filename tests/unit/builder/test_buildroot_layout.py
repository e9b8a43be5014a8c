"""Packages into one tree: what Debian's packages have is put together, what none has is refused."""

import io
import lzma
import os
import tarfile
from collections.abc import Mapping
from pathlib import Path

import pytest

from builder.buildroot.layout import merge
from builder.buildroot.unpack import ETC, PLACES, TIME, seen, write_root
from builder.steps.debfile import DebEntry
from bundles.errors import FormatError

Entries = dict[str, DebEntry]


def file(mode: int = 0o644) -> DebEntry:
    return DebEntry(kind="file", mode=mode)


def link(target: str) -> DebEntry:
    return DebEntry(kind="symlink", mode=0o777, target=target)


FOLDER = DebEntry(kind="folder", mode=0o755)


def test_bin_sbin_and_lib_go_below_usr() -> None:
    tree = merge({"a": {"bin/sh": link("dash"), "bin/dash": file(0o755), "lib/x86_64-linux-gnu/libc.so.6": file()}})
    assert tree.files["usr/bin/dash"].executable and tree.files["usr/bin/dash"].path == "bin/dash"
    assert "usr/lib/x86_64-linux-gnu/libc.so.6" in tree.files
    assert {name: tree.links[name] for name in ("bin", "lib64", "usr/bin/sh")} == {
        "bin": "usr/bin",
        "lib64": "usr/lib64",
        "usr/bin/sh": "dash",
    }


def test_alternatives_are_linked_where_nothing_else_has_the_name() -> None:
    tree = merge({"gcc": {"usr/bin/gcc": link("gcc-12"), "usr/bin/gcc-12": file(0o755)}, "m": {"usr/bin/mawk": file()}})
    assert tree.links["usr/bin/cc"] == "gcc" and tree.links["usr/bin/awk"] == "mawk"
    assert "usr/bin/c++" not in tree.links
    assert "usr/bin/awk" not in merge({"a": {"usr/bin/awk": file(), "usr/bin/mawk": file()}}).links


def test_documentation_stays_out_and_folders_of_several_packages_are_one() -> None:
    entries: Entries = {"": FOLDER, "usr/share/doc/x/copyright": file(), "usr/share/man/man1/x.1.gz": file()}
    tree = merge({"a": entries, "b": {"usr/share": FOLDER, "usr/share/x": file()}})
    assert list(tree.files) == ["usr/share/x"]


@pytest.mark.parametrize(
    ("packages", "words"),
    [
        ({"a": {"usr/x": file()}, "b": {"usr/x": file()}}, "two packages have it"),
        ({"a": {"bin/x": file()}, "b": {"usr/bin/x": file()}}, "two packages have it"),
        ({"a": {"usr/x": link("/etc")}, "b": {"usr/x/passwd": file()}}, "where another package has a folder"),
        ({"a": {"usr/x": link("y")}, "b": {"usr/x": link("z")}}, "two packages have it"),
        ({"a": {"usr/x": file()}, "b": {"usr/x": FOLDER}}, "where another package has a folder"),
        ({"a": {"bin": link("/etc")}}, "two packages have it|where another package"),
        ({"a": {"../x": file()}}, "leaves the package"),
        ({"a": {"usr/../../x": file()}}, "leaves the package"),
        ({"a": {"/etc/passwd": file()}}, "leaves the package"),
        ({"a": {"usr/x": DebEntry(kind="other", mode=0o666)}}, "neither file, folder nor symlink"),
    ],
)
def test_what_no_debian_package_has_is_refused(packages: dict[str, Entries], words: str) -> None:
    with pytest.raises(FormatError, match=words):
        merge(packages)


def deb(files: Mapping[str, bytes | str]) -> bytes:
    """A package: text is a symlink's target, bytes are an executable's."""
    data = io.BytesIO()
    with tarfile.open(fileobj=data, mode="w") as archive:
        for path, content in files.items():
            member = tarfile.TarInfo(f"./{path}")
            member.mode, member.mtime = 0o6755, 1
            if isinstance(content, str):
                member.type, member.linkname = tarfile.SYMTYPE, content
            else:
                member.size = len(content)
            archive.addfile(member, io.BytesIO(content) if isinstance(content, bytes) else None)
    made = b"!<arch>\n"
    for name, part in (("debian-binary", b"2.0\n"), ("data.tar.xz", lzma.compress(data.getvalue()))):
        made += (
            f"{name:16}{0:<12}{0:<6}{0:<6}{0o100644:<8o}{len(part):<10}`\n".encode() + part + b"\n" * (len(part) % 2)
        )
    return made


def test_a_root_has_one_time_no_setuid_programs_and_the_places_to_mount_on(tmp_path: Path) -> None:
    write_root(tmp_path / "root", {"su.deb": deb({"bin/su": b"program", "usr/bin/link": "../../etc/x"})})
    root = tmp_path / "root"
    assert (root / "usr/bin/su").stat().st_mode & 0o7777 == 0o755
    assert os.readlink(root / "usr/bin/link") == "../../etc/x" and os.readlink(root / "bin") == "usr/bin"
    assert all((root / place).is_dir() for place in PLACES)
    assert (root / "etc/passwd").read_text() == ETC["etc/passwd"]
    assert {path.lstat().st_mtime for path in root.rglob("*")} == {TIME}


def test_two_roots_of_the_same_packages_look_the_same_whatever_the_umask(tmp_path: Path) -> None:
    packages = {"b.deb": deb({"bin/b": b"2"}), "a.deb": deb({"bin/a": b"1", "usr/lib/l": "/usr/bin/a"})}
    write_root(tmp_path / "one", packages)
    before = os.umask(0o077)
    try:
        write_root(tmp_path / "two", dict(reversed(packages.items())))
    finally:
        os.umask(before)
    assert seen(tmp_path / "one") == seen(tmp_path / "two")


@pytest.mark.parametrize("change", ["content", "mode", "new", "gone", "time"])
def test_a_root_that_somebody_was_at_looks_different(tmp_path: Path, change: str) -> None:
    write_root(tmp_path / "root", {"a.deb": deb({"bin/a": b"1", "bin/b": b"2"})})
    before, path = seen(tmp_path / "root"), tmp_path / "root/usr/bin/a"
    if change == "content":
        path.write_bytes(b"333")
    elif change == "mode":
        path.chmod(0o700)
    elif change == "new":
        (tmp_path / "root/usr/bin/new").write_bytes(b"")
    elif change == "gone":
        path.unlink()
    else:
        os.utime(path, (TIME + 1, TIME + 1))
    assert seen(tmp_path / "root") != before


def test_a_header_of_one_package_in_two_architectures_must_be_the_same(tmp_path: Path) -> None:
    header = {"usr/include/z.h": b"one"}
    both = {"libz-dev_1_amd64.deb": deb(header), "libz-dev_1_arm64.deb": deb(header)}
    write_root(tmp_path / "same", both)
    assert (tmp_path / "same/usr/include/z.h").read_bytes() == b"one"
    with pytest.raises(FormatError, match="other bytes"):
        write_root(tmp_path / "other", both | {"libz-dev_1_arm64.deb": deb({"usr/include/z.h": b"two"})})
    with pytest.raises(FormatError, match="two packages have it"):
        write_root(tmp_path / "newer", {"libz-dev_1_amd64.deb": deb(header), "libz-dev_2_arm64.deb": deb(header)})
