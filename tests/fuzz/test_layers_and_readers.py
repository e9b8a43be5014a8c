"""Writers and readers, ours and others': whatever is written, all of them read the same."""

import io
import tarfile
import tempfile
from pathlib import Path

import pytest
from backports import zstd
from hypothesis import given, settings
from hypothesis import strategies as st

from bundles import pack, ustar
from bundles.errors import FormatError
from bundles.extraction.extract import extract_image
from bundles.foreign.find import find_image
from bundles.foreign.tarreader import RegionSource, StreamSource, TarReader
from bundles.framed import ZstdLayer
from bundles.reference import Reference
from bundles.sealed.entries import EntryScan
from bundles.sealed.verify import verify_archive
from bundles.source import PackedSource, open_source
from tests.fuzz import examples
from tests.fuzz.strategies import MODES, PATHS, trees
from tests.fuzz.tar_readers import READERS
from tests.support import tars
from tests.support.foreign import AMD64, NAME
from tests.support.releases import program, release
from tests.support.sealed import EPOCH, Content, make_archive, make_layer

HALF = settings(max_examples=settings().max_examples // 2)
LINKS = st.sampled_from(["kubelet", "./kubelet", "sub/../kubelet"])


@given(trees(), st.integers(2, 5), st.integers(1, 3000))
def test_every_reader_finds_what_was_put_into_a_layer(files: dict[str, Content], workers: int, step: int) -> None:
    layer, stored = make_layer(files)
    assert make_layer(files, workers=workers)[1] == stored
    pieces = (stored[at : at + step] for at in range(0, len(stored), step))
    content = b"".join(ZstdLayer(pieces, "layer").content())
    assert content == zstd.decompress(stored) and len(content) == layer.content_size
    scan = EntryScan(62, "layer")
    if not any(path.partition("/")[0] in ("bin", "charts") for path in files):  # programs and links have rules there
        scan.feed(content)
        scan.finish()
    assert written(files) == seen_by_us(content) == seen_by_python(content)


def written(files: dict[str, Content]) -> dict[str, object]:
    """Path -> what the readers must find."""
    found: dict[str, object] = {}
    for path in files:
        parents = path.split("/")[:-1]
        found |= {"/".join(parents[: number + 1]): ("dir", 0o755) for number in range(len(parents))}
    for path, content in files.items():
        if content is None:
            found[path] = ("dir", 0o755)
        elif isinstance(content, str):
            found[path] = ("symlink", content)
        else:
            assert isinstance(content, tuple)
            found[path] = ("file", content[1], content[0])
    return found


def seen_by_us(content: bytes) -> dict[str, object]:
    """By our reader of foreign archives, from a file and from a stream."""
    found: dict[str, object] = {}
    with examples.region_of(content) as region:
        for source in (RegionSource(region), StreamSource(iter([content]), "layer")):
            reader = TarReader(source, "layer", max_members=1_000, leading_dot=False)
            before, found = found, {}
            for member in reader:
                body = b"".join(map(bytes, reader.body()))
                if member.kind == "file":
                    found[member.name] = ("file", member.mode, body)
                else:
                    found[member.name] = (member.kind, member.target if member.kind == "symlink" else member.mode)
            assert not before or before == found
    return found


def seen_by_python(content: bytes) -> dict[str, object]:
    """By tarfile."""
    found: dict[str, object] = {}
    with tarfile.open(fileobj=io.BytesIO(content), mode="r:") as archive:
        for member in archive:
            assert (member.uid, member.gid, member.mtime) == (0, 0, EPOCH)
            file = archive.extractfile(member) if member.isreg() else None
            if file is not None:
                found[member.name] = ("file", member.mode, file.read())
            elif member.issym():
                found[member.name] = ("symlink", member.linkname)
            else:
                found[member.name] = ("dir", member.mode)
    return found


@HALF
@given(
    st.dictionaries(st.sampled_from(["a", "b", "sub/c"]), st.tuples(st.binary(max_size=99_999), MODES), max_size=3),
    st.none() | LINKS,
)
def test_what_goes_into_a_sealed_archive_comes_out_on_a_node(
    files: dict[str, tuple[bytes, int]], link: str | None
) -> None:
    programs = {f"bin/{name}": (program(body), mode) for name, (body, mode) in files.items()}
    tree: dict[str, Content] = {**programs, "bin/kubelet": program(), "charts/a.yaml": b"kind: x\n", "etc/no": b""}
    if link is not None:
        tree |= {"bin/link": link, "bin/sub": None}
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        (root / "images").mkdir()
        made = make_archive(root / "images" / "a.tar", {NAME: tree})
        report = verify_archive(made.path, expected=made.index_archive())
        assert set(report.programs) == {"bin/kubelet", *programs}
        with find_image(root / "images", Reference.parse(NAME), platform=AMD64, scratch=root) as found:
            extract_image(found, {"/bin": root / "bin", "/charts": root / "charts"})
        for path, (body, mode) in programs.items():
            assert (root / path).read_bytes() == body
            assert (root / path).stat().st_mode & 0o7777 == (mode & 0o755 or 0o755)
        assert link is None or (root / "bin" / "link").readlink() == Path(link)
        assert not (root / "etc").exists()


SEALED = (examples.sealed_framed(), examples.sealed_plain())


@HALF
@given(st.sampled_from(SEALED), st.integers(0), st.integers(1, 255))
def test_no_byte_of_a_sealed_archive_can_change_unnoticed(good: bytes, place: int, change: int) -> None:
    at = place % len(good)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "a.tar")
        path.write_bytes(good[:at] + bytes([good[at] ^ change]) + good[at + 1 :])
        with pytest.raises(FormatError):
            verify_archive(path)


MEMBERS = st.one_of(
    st.builds(tars.member, PATHS, st.binary(max_size=600), mode=MODES),
    st.builds(tars.folder, PATHS),
    st.builds(tars.symlink, PATHS, PATHS),
    st.builds(tars.hardlink, PATHS, PATHS),
    st.builds(
        lambda path, more: tars.pax({"path": path, **more}) + tars.member("short", b"x"),
        PATHS,
        st.just({"mtime": "1.5"}),
    ),
    st.builds(lambda path: tars.gnu_long(path.encode()) + tars.member("short", b"y"), PATHS),
    st.builds(lambda path, kind: tars.header(path, typeflag=kind), PATHS, st.sampled_from([b"3", b"6", b"7", b"g"])),
)


@given(st.lists(MEMBERS, max_size=5))
def test_an_archive_that_we_take_is_the_same_archive_to_python(members: list[bytes]) -> None:
    READERS["as it is"](tars.tar(*members))


@HALF
@given(st.dictionaries(st.sampled_from(["bin/a", "bin/b"]), st.binary(max_size=3000), max_size=2))
def test_a_packed_bundle_holds_the_files_of_its_folder(programs: dict[str, bytes]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        made = release(Path(folder), programs={path[4:]: program(body) for path, body in programs.items()} or None)
        for target in ("one.sealift", "two.sealift"):
            pack.pack(made, Path(folder, target))
        data = Path(folder, "one.sealift").read_bytes()
        assert data == Path(folder, "two.sealift").read_bytes()
        files = {str(path.relative_to(made)): path.read_bytes() for path in made.rglob("*") if path.is_file()}
        with open_source(Path(folder, "one.sealift")) as source:
            assert isinstance(source, PackedSource) and source.files() == sorted(files)
            for path, content in files.items():
                with source.open(path) as region:
                    assert region.read(0, region.size) == content
        with tarfile.open(Path(folder, "one.sealift")) as archive:
            assert archive.getnames()[0] == "bundle.json" and sorted(archive.getnames()) == sorted(files)


@given(PATHS, PATHS)
def test_a_name_that_ustar_cannot_hold_is_known_before_it_is_written(name: str, link: str) -> None:
    header = ustar.Header(name=name, mode=0o644, size=0, mtime=0, typeflag=ustar.SYMLINK, linkname=link)
    if ustar.fits(name, link):
        assert ustar.parse(ustar.encode(header)) == header
    else:
        with pytest.raises(FormatError):
            ustar.encode(header)
