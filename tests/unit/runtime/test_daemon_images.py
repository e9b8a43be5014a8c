"""The stages `archives` and `images` against a ctr that keeps its images in a file."""

import asyncio
import bz2
import gzip
import os
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from backports import zstd

from bundles import ustar
from bundles.errors import SealiftError
from runtime.daemon.actions import images
from runtime.daemon.actions.images import check_archives, import_images
from runtime.daemon.archives import Expected, Problem
from runtime.daemon.context import Node
from runtime.daemon.ctr import parse_images
from runtime.daemon.runner import Control
from runtime.daemon.stamps import read_stamps, stamps_path
from tests.support.daemons import FAKE_CTR, make_test_node
from tests.support.nodedirs import TestNode
from tests.support.releases import release


@dataclass
class Machine:
    """A staged node with a fake ctr."""

    node: Node
    images: Path
    store: Path
    said: list[str] = field(default_factory=list)

    def run(self, *, allow_unlisted: bool = False) -> str:
        """One start: both stages."""
        node = make_test_node(self.node.layout.data, self.node.bin, say=self.said.append, allow_unlisted=allow_unlisted)
        control = Control(up=lambda _: None, told=lambda _: None)

        async def both() -> str:
            await check_archives(node, control)
            return await import_images(node, control)

        self.last = node
        return asyncio.run(both())

    @property
    def calls(self) -> list[str]:
        path = self.store / "calls"
        lines = path.read_text().splitlines() if path.exists() else []
        return [line for line in lines if line.startswith(("import", "label", "tag"))]

    def forget_calls(self) -> None:
        (self.store / "calls").unlink()


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    staged = TestNode(tmp_path)
    staged.stage(release(tmp_path / "bundles"))
    programs, store = tmp_path / "bin", tmp_path / "store"
    programs.mkdir()
    store.mkdir()
    (programs / "ctr").write_text(FAKE_CTR.format(store=str(store)))
    (programs / "ctr").chmod(0o755)
    node = make_test_node(staged.layout.data, programs)
    return Machine(node=node, images=staged.layout.images, store=store)


def archive_of(machine: Machine) -> Path:
    """The archive that has more than the runtime image."""
    return next(path for path in sorted(machine.images.iterdir()) if "runtime" not in path.name)


def test_admitted_archives_are_imported_pinned_and_named_once(machine: Machine) -> None:
    words = machine.run()
    imports = [call for call in machine.calls if call.startswith("import")]
    assert imports == ["import --local --all-platforms --no-unpack -"]
    assert any(call.startswith("label") and "io.cri-containerd.pinned=pinned" in call for call in machine.calls)
    assert any(call.startswith("tag") and "@sha256:" in call for call in machine.calls)
    assert [stamp.name for stamp in read_stamps(machine.node.layout)] == [archive_of(machine).name]
    assert "of 1 archives" in words and not machine.last.found.problems
    machine.forget_calls()
    assert "unchanged" in machine.run()
    assert machine.calls == [], "the second start touches nothing"


def test_a_damaged_archive_is_named_and_not_imported(machine: Machine) -> None:
    path = archive_of(machine)
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    os.unlink(path)
    path.write_bytes(data)
    machine.run()
    assert machine.calls == []
    assert list(machine.last.found.problems) == [path.name] and "damaged" in machine.last.found.problems[path.name]
    assert any(path.name in line for line in machine.said)


def test_a_foreign_archive_is_named_and_imported_only_when_allowed(machine: Machine) -> None:
    foreign = machine.images / "foreign.tar"
    foreign.write_bytes(archive_of(machine).read_bytes())
    machine.run()
    assert machine.last.found.problems == {"foreign.tar": "no admitted bundle lists it"}
    assert len([call for call in machine.calls if call.startswith("import")]) == 1
    machine.forget_calls()
    machine.run(allow_unlisted=True)
    assert [call.split()[0] for call in machine.calls if call.startswith("import")] == ["import"]
    assert not machine.last.found.problems
    machine.forget_calls()
    machine.run(allow_unlisted=True)
    assert machine.calls == []


@pytest.mark.parametrize(
    ("suffix", "pack"), [(".tar.gz", gzip.compress), (".tbz", bz2.compress), (".tzst", zstd.compress)]
)
def test_packed_foreign_archives_are_unpacked_on_the_way(
    machine: Machine, suffix: str, pack: Callable[[bytes], bytes]
) -> None:
    (machine.images / f"foreign{suffix}").write_bytes(pack(archive_of(machine).read_bytes()))
    machine.run(allow_unlisted=True)
    assert not machine.last.found.problems
    assert len([call for call in machine.calls if call.startswith("import")]) == 2


def test_an_unreadable_foreign_archive_does_not_keep_the_others_from_coming(machine: Machine) -> None:
    (machine.images / "broken.tar").write_bytes(b"no tar at all")
    machine.run(allow_unlisted=True)
    assert list(machine.last.found.problems) == ["broken.tar"]
    assert [stamp.name for stamp in read_stamps(machine.node.layout)] == ["rke2-images-core.linux-amd64.tar"]


@pytest.mark.parametrize(
    "loss",
    [
        lambda machine: (machine.store / "images").unlink(),
        lambda machine: stamps_path(machine.node.layout).write_text("not JSON"),
        lambda machine: os.utime(archive_of(machine), (1, 1)),
    ],
    ids=["containerd lost its images", "the record is damaged", "the file was touched"],
)
def test_whatever_is_not_certain_is_imported_again(machine: Machine, loss: Callable[[Machine], object]) -> None:
    machine.run()
    machine.forget_calls()
    loss(machine)
    machine.run()
    assert len([call for call in machine.calls if call.startswith("import")]) == 1


def test_an_archive_that_was_damaged_after_its_import_is_not_imported_again(machine: Machine) -> None:
    """Same size, same times: only the lost images make anybody read it, and then its digest counts."""
    machine.run()
    path = archive_of(machine)
    status = path.stat()
    with path.open("r+b") as file:
        file.seek(status.st_size // 2)
        byte = file.read(1)
        file.seek(status.st_size // 2)
        file.write(bytes([byte[0] ^ 1]))
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))
    (machine.store / "images").unlink()
    machine.forget_calls()
    machine.run()
    assert machine.calls == [] and path.name in machine.last.found.problems


def test_images_of_a_retired_archive_are_unpinned(machine: Machine) -> None:
    machine.run()
    machine.forget_calls()
    os.unlink(archive_of(machine))
    machine.run()
    assert machine.calls and all(
        call.startswith("label") and call.endswith("io.cri-containerd.pinned=") for call in machine.calls
    )


def test_a_kept_bundle_that_is_not_the_admitted_one_stops_the_import(machine: Machine) -> None:
    index = next(machine.node.layout.bundles.glob("*/bundle.json"))
    index.write_bytes(index.read_bytes() + b" ")
    with pytest.raises(SealiftError, match="not the index that was admitted"):
        machine.run()


def test_the_table_of_ctr_is_read() -> None:
    digest = "sha256:" + "a" * 64
    table = (
        "REF TYPE DIGEST SIZE PLATFORMS LABELS\n"
        f"docker.io/a/b:1 application/x {digest} 294.5 KiB linux/amd64 io.a=b,io.c=d \n"
        f"sha256:{'c' * 64} application/x {digest} 1.0 MiB linux/amd64,linux/arm64 -\n"
    )
    first, second = parse_images(table)
    assert first.name == "docker.io/a/b:1" and first.labels == {"io.a": "b", "io.c": "d"}
    assert second.labels == {} and str(second.digest) == digest
    with pytest.raises(SealiftError):
        parse_images("REF\nnonsense\n")


def _other_name(data: bytes) -> bytes:
    """The same archive, but its image is called otherwise: same length, every header right."""
    return data.replace(b"docker.io/rancher/rke2-images-core:", b"docker.io/rancher/rke2-images-evil:")


def _early_end(data: bytes) -> bytes:
    """A tar that ends right after a forged index.json; the rest of the size is nobody's."""
    evil = _other_name(data)
    end = next(at for header, at in _headers(evil) if header.name.startswith("blobs/"))
    return evil[:end] + bytes(len(evil) - end)


def _pax_before(data: bytes) -> bytes:
    """A header of another type, whose body a reader of PAX understands and ours steps over."""
    evil = bytearray(_other_name(data))
    evil[:512] = ustar.encode(ustar.Header(name="x", mode=0o644, size=0, mtime=0, typeflag=ustar.PAX))
    return bytes(evil)


def _headers(data: bytes) -> list[tuple[ustar.Header, int]]:
    found, at = [], 0
    while any(data[at : at + 512]):
        header = ustar.parse(data[at : at + 512])
        found.append((header, at))
        at += 512 + header.size + ustar.padding(header.size)
    return found


@pytest.mark.parametrize("change", [_other_name, _early_end, _pax_before])
@pytest.mark.parametrize("in_place", [True, False])
def test_an_archive_changed_between_its_check_and_its_import_brings_nothing_in(
    machine: Machine, monkeypatch: pytest.MonkeyPatch, change: Callable[[bytes], bytes], in_place: bool
) -> None:
    path = archive_of(machine)
    data = change(path.read_bytes())
    assert len(data) == path.stat().st_size and data != path.read_bytes()
    check = images.damage

    def checked_then_swapped(checked: Path, expected: Expected) -> Problem | None:
        found = check(checked, expected)
        if not in_place:
            path.unlink()
        with path.open("r+b" if in_place else "wb") as file:
            file.write(data)
        return found

    monkeypatch.setattr(images, "damage", checked_then_swapped)
    machine.run()
    assert "changed after it was checked" in machine.last.found.problems[path.name]
    assert not (machine.store / "images").exists() or "rke2-images" not in (machine.store / "images").read_text()
    assert not read_stamps(machine.node.layout)
