"""Files swapped while they are read: what was checked is what is kept, or nothing is."""

import os
import shutil
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from bundles.errors import SealiftError
from tests.hostile.readers_under_attack import RUNTIME
from tests.support import tars
from tests.support.bundles import CORE, LIST, make_bundle, tree
from tests.support.hostile import GOOD
from tests.support.nodedirs import TestNode
from tests.support.tars import member, tar

ROUNDS = 12


@contextmanager
def swapping(flip: Callable[[int], None]) -> Iterator[None]:
    """Another process in miniature: does `flip` over and over while the block runs."""
    stop = threading.Event()

    def work() -> None:
        number = 0
        while not stop.is_set():
            flip(number)
            number += 1

    thread = threading.Thread(target=work)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()


@pytest.mark.parametrize("name", [LIST, CORE, "bundle.json"])
def test_a_file_that_is_a_link_at_times_is_never_followed(tmp_path: Path, name: str) -> None:
    bundle = make_bundle(tmp_path, big=1000)
    good, right = tree(bundle), (bundle / name).read_bytes()
    secret = tmp_path / "secret"
    secret.write_bytes(right[:-1] + b"?")
    # Swapped beside the bundle, so that the folder itself holds what it lists at every moment.
    parked = tmp_path / "parked"
    parked.mkdir()

    def flip(number: int) -> None:
        temp = parked / str(number % 2)
        temp.unlink(missing_ok=True)
        if number % 2:
            temp.symlink_to(secret)
        else:
            temp.write_bytes(right)
        os.replace(temp, bundle / name)

    for number in range(ROUNDS):
        node = TestNode(tmp_path / f"node{number}")
        with swapping(flip):
            try:
                report = node.stage(bundle)
            except SealiftError:
                kept = node.layout.bundles
                assert not kept.is_dir() or [name for name in os.listdir(kept) if not name.startswith(".")] == []
                continue
        assert tree(report.folder) == good
    assert secret.read_bytes() == right[:-1] + b"?"


def test_an_archive_swapped_for_another_is_one_of_them_whole_or_refused(tmp_path: Path) -> None:
    """Same size, same name, other programs: a mixture of both would be a third image that nobody made."""
    contents = [
        tar(GOOD, member("bin/x", letter * 300_000), member("bin/y", letter * 300_000)) for letter in (b"A", b"B")
    ]
    archives = [tars.new_docker(tars.image(content), RUNTIME) for content in contents]
    assert len(archives[0]) == len(archives[1])
    node = TestNode(tmp_path)
    images = node.layout.images
    images.mkdir(parents=True)
    target = images / "runtime.tar"
    target.write_bytes(archives[0])
    parked = tmp_path / "parked"
    parked.mkdir()

    def flip(number: int) -> None:
        temp = parked / "next"
        temp.write_bytes(archives[number % 2])
        os.replace(temp, target)

    for _ in range(ROUNDS):
        with swapping(flip):
            try:
                report = node.extract(runtime_image=RUNTIME, replace=True)
            except SealiftError:
                continue
        found = {(report.folder / "bin" / name).read_bytes()[:1] for name in ("x", "y")}
        assert found in ({b"A"}, {b"B"})
        shutil.rmtree(report.folder)


def test_an_archive_overwritten_in_place_is_one_of_them_whole_or_refused(tmp_path: Path) -> None:
    contents = [
        tar(GOOD, member("bin/x", letter * 300_000), member("bin/y", letter * 300_000)) for letter in (b"A", b"B")
    ]
    archives = [tars.new_docker(tars.image(content), RUNTIME) for content in contents]
    node = TestNode(tmp_path)
    images = node.layout.images
    images.mkdir(parents=True)
    target = images / "runtime.tar"
    target.write_bytes(archives[0])

    def flip(number: int) -> None:
        with target.open("r+b") as file:
            file.write(archives[number % 2])

    for _ in range(ROUNDS):
        with swapping(flip):
            try:
                report = node.extract(runtime_image=RUNTIME, replace=True)
            except SealiftError:
                continue
        found = {(report.folder / "bin" / name).read_bytes()[:1] for name in ("x", "y")}
        assert found in ({b"A"}, {b"B"})
        shutil.rmtree(report.folder)
