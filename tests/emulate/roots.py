"""The images of a bundle as folders, and the programs in them."""

import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from builder.facts.elf import elf_facts
from bundles.framed import ZstdLayer
from bundles.region import Region, open_region
from bundles.sealed.read import OpenedImage, SealedLayer, read_sealed
from tests.support.emulated import ARM64, QEMU
from tests.support.node import PROGRAMS

_LIBRARIES: Final = ("lib/", "usr/lib/")


@dataclass(frozen=True, kw_only=True, slots=True)
class Root:
    """An image's files below `folder`; `programs`: paths in it; `foreign`: they are for arm64."""

    folder: Path
    programs: tuple[str, ...]
    foreign: bool

    def command(self, path: str, *words: str | Path) -> list[str | Path]:
        """How to start a program of the image: with the libraries of its own root, whosever machine it is."""
        program = self.folder / path
        if self.foreign:
            return [QEMU, "-L", self.folder, program, *words]
        loader = next(self.folder.glob("lib/*/ld-linux-*"), None)
        facts = elf_facts(program.read_bytes())
        if facts is None or facts.static or loader is None:
            return [program, *words]
        return [loader, "--library-path", _libraries(self.folder), program, *words]


def roots_of(bundle: Path, target: Path) -> dict[str, Root]:
    """Verifies a bundle and lays its images out; by repository, so that bundles of two platforms compare."""
    subprocess.run([PROGRAMS / "sealift", "verify", bundle, "--insecure-no-signature"], check=True, capture_output=True)
    found = {}
    for archive in sorted((bundle / "images").glob("*.tar")):
        with open_region(archive) as region:
            for image in read_sealed(region).images:
                name = image.reference.repository.rpartition("/")[2]
                found[name] = _root(region, image, target / name)
    return found


def _root(region: Region, image: OpenedImage, folder: Path) -> Root:
    folder.mkdir(parents=True)
    for layer in image.layers:
        _unpack(region, layer, folder)
    machine = image.platform.elf_machine
    programs = dict(sorted(_programs(folder)))
    strange = [path for path, found in programs.items() if found != machine]
    assert not strange, f"{image.reference.name}: for another machine: {', '.join(strange)}"
    return Root(folder=folder, programs=tuple(programs), foreign=machine == ARM64.elf_machine)


def _unpack(region: Region, layer: SealedLayer, folder: Path) -> None:
    """A layer that was verified, over those below it; images that are built here delete nothing."""
    command: list[str | Path] = ["tar", "-x", "--no-same-owner", "-C", folder]
    with subprocess.Popen(command, stdin=subprocess.PIPE) as tar:
        assert tar.stdin is not None
        for piece in ZstdLayer(region.chunks(layer.entry.offset, layer.entry.size), region.where).content():
            tar.stdin.write(piece)
        tar.stdin.close()
        assert tar.wait() == 0


def _programs(folder: Path) -> Iterator[tuple[str, int]]:
    """(path, machine) of what can be started; libraries are needed by programs, they are none."""
    for path in folder.rglob("*"):
        name = str(path.relative_to(folder))
        if path.is_symlink() or not path.is_file() or not path.stat().st_mode & 0o111 or name.startswith(_LIBRARIES):
            continue
        if (facts := elf_facts(path.read_bytes())) is not None:
            yield name, facts.machine


def _libraries(folder: Path) -> str:
    return ":".join(str(path) for part in _LIBRARIES for path in (folder / part).glob("*-linux-gnu"))
