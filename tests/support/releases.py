"""Small whole bundles of successive releases, for what a node does with them."""

import struct
from collections.abc import Mapping
from pathlib import Path

from bundles import index
from bundles.datakey import data_key
from bundles.digest import Digest
from bundles.index import BundleIndex, File, Image, Runtime, Sha256
from bundles.platform import Platform, from_machine
from bundles.reference import Reference
from tests.support.sealed import EPOCH, Content, MadeArchive, make_archive

AMD64 = from_machine("Linux", "x86_64")
FIRST = "v1.34.4-rke2r1"
CHART = b"apiVersion: helm.cattle.io/v1\nkind: HelmChart\nmetadata:\n  name: small\n"


def program(text: bytes = b"", platform: Platform = AMD64) -> bytes:
    """An ELF header of the platform (System V ABI, chapter 4: 64 bit, executable, no program headers), and `text`."""
    ident = b"\x7fELF\x02\x01\x01" + bytes(9)
    return ident + struct.pack("<HHIQQQIHHHHHH", 2, platform.elf_machine or 0, 1, 0, 0, 0, 0, 64, 0, 0, 0, 0, 0) + text


def release(
    parent: Path,
    version: str = FIRST,
    *,
    programs: Mapping[str, bytes] | None = None,
    files: Mapping[str, Content] | None = None,
    more: Mapping[str, Mapping[str, Content]] | None = None,
    sequence: int = 1,
    platform: Platform = AMD64,
) -> Path:
    """Writes a classic bundle into a folder of its own name below `parent`.

    The runtime image has `programs` in /bin (kubelet and containerd by default), one chart, and `files`. `more` are
    archives of one image each: archive name -> the image's files.
    """
    name = index.folder_name(name="rke2", version=version, flavour="classic", platform=str(platform))
    folder = parent / name
    for part in ("images", "lists"):
        (folder / part).mkdir(parents=True)
    default = {"kubelet": program(b"kubelet " + version.encode()), "containerd": program(b"containerd")}
    content: dict[str, Content] = {"charts/small.yaml": CHART}
    content |= {f"bin/{key}": value for key, value in (default if programs is None else programs).items()}
    runtime = f"docker.io/rancher/rke2-runtime:{version}-classic"
    images = {"rke2-runtime": (runtime, content | dict(files or {}))}
    for archive, inside in ({"rke2-images-core": {"pause": program(b"pause")}} if more is None else more).items():
        images[archive] = (f"docker.io/rancher/{archive}:{version}", dict(inside))
    made = {
        archive: make_archive(
            folder / f"images/{archive}.{platform.dashed}.tar", {reference: inside}, platform=platform
        )
        for archive, (reference, inside) in images.items()
    }
    describe(folder, version, made, sequence, platform)
    return folder


def describe(folder: Path, version: str, made: Mapping[str, MadeArchive], sequence: int, platform: Platform) -> None:
    """Index, lists and sums of archives that were written, each of one image; one is called `rke2-runtime`."""
    lists = []
    for archive, one in made.items():
        if archive != "rke2-runtime":
            path = f"lists/{archive}.{platform.dashed}.txt"
            data = f"{one.images[0].reference.name}\n".encode()
            (folder / path).write_bytes(data)
            lists.append(File(path=path, size=len(data), sha256=Digest.of(data)))
    runtime = made["rke2-runtime"].images[0]
    document = BundleIndex(
        format=index.FORMAT,
        name="rke2",
        version=version,
        flavour="classic",
        sequence=sequence,
        created=EPOCH,
        platform=str(platform),
        lock=Sha256(sha256=Digest.of(version.encode())),
        runtime=Runtime(
            reference=runtime.reference.name,
            digest=Digest.of(runtime.manifest),
            key=data_key(Reference.parse(runtime.reference.familiar)),
        ),
        archives=[one.index_archive(folder) for one in made.values()],
        images=[
            Image(
                reference=one.images[0].reference.name,
                digest=Digest.of(one.images[0].manifest),
                archive=one.path.relative_to(folder).as_posix(),
                why="test",
            )
            for one in made.values()
        ],
        charts=[],
        files=lists,
    )
    sums = {index.INDEX_NAME: Digest.of(index.encode(document))}
    sums |= {archive.path: archive.sha256 for archive in document.archives}
    sums |= {file.path: file.sha256 for file in document.files}
    if not lists:
        (folder / "lists").rmdir()
    (folder / index.INDEX_NAME).write_bytes(index.encode(document))
    text = "".join(f"{digest.hex}  {path}\n" for path, digest in sorted(sums.items()))
    (folder / index.sums_name(document.platform)).write_text(text)
