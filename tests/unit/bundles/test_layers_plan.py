import io
import itertools
import tarfile

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bundles import ustar
from bundles.digest import Digest
from bundles.errors import FormatError
from bundles.layers import plan as plans
from bundles.layers.members import arrange
from bundles.layers.model import BIG_BODY, MAX_FRAME, TAIL, LayerEntry
from bundles.layers.plan import BodyPiece, LayerPlan, Segment, SharedFrame, Slice, plan_layer
from tests.support.sealed import EPOCH

SIZES = st.one_of(
    st.integers(0, 2000),
    st.sampled_from([BIG_BODY - 1, BIG_BODY, BIG_BODY + 1, TAIL, MAX_FRAME, MAX_FRAME + TAIL, MAX_FRAME + TAIL + 1]),
    st.integers(0, 3 * MAX_FRAME),
)
PATHS = st.lists(st.sampled_from(["a", "b", "bin", "ü", "long" * 30]), min_size=1, max_size=4).map("/".join)


def file(path: str, size: int) -> LayerEntry:
    digest = Digest.of(path.encode()) if size else Digest.of(b"")
    return LayerEntry(path=path, kind="file", mode=0o644, size=size, digest=digest)


@st.composite
def entry_lists(draw: st.DrawFn) -> list[LayerEntry]:
    files = draw(st.dictionaries(PATHS.map(lambda path: f"{path}/file"), SIZES, max_size=12))
    links = draw(st.lists(PATHS.map(lambda path: f"{path}/link"), unique=True, max_size=3))
    found = [file(path, size) for path, size in files.items()]
    found += [LayerEntry(path=path, kind="symlink", mode=0o777, target="t" * 120) for path in links]
    return draw(st.permutations(found))


def segments(plan: LayerPlan) -> list[tuple[int, Segment]]:
    """Every segment with its offset in the tar."""
    found, at = [], 0
    for piece in plan.pieces:
        for segment in piece.slices() if isinstance(piece, BodyPiece) else piece.segments:
            found.append((at, segment))
            at += plans.length_of(segment)
    return found


def frame_starts(plan: LayerPlan) -> list[int]:
    starts, at = [], 0
    for piece in plan.pieces:
        sizes = [part.length for part in piece.slices()] if isinstance(piece, BodyPiece) else [piece.size]
        for size in sizes:
            starts.append(at)
            at += size
    return starts


def tar_of(plan: LayerPlan) -> bytes:
    return b"".join(segment if isinstance(segment, bytes) else bytes(segment.length) for _, segment in segments(plan))


@settings(deadline=None)
@given(entry_lists())
def test_the_plan_covers_each_body_exactly_once_and_in_order(entries: list[LayerEntry]) -> None:
    plan = plan_layer(entries, EPOCH)
    read: dict[Digest, int] = {}
    for _, segment in segments(plan):
        if isinstance(segment, Slice):
            assert segment.start == read.get(segment.digest, 0)
            read[segment.digest] = segment.start + segment.length
    assert read == {entry.digest: entry.size for entry in entries if entry.size}


@settings(deadline=None)
@given(entry_lists())
def test_frames_are_bounded_and_never_empty(entries: list[LayerEntry]) -> None:
    plan = plan_layer(entries, EPOCH)
    starts = [*frame_starts(plan), plan.content_size]
    assert all(0 < after - before <= MAX_FRAME for before, after in itertools.pairwise(starts))


@settings(deadline=None, max_examples=40)
@given(entry_lists())
def test_no_frame_but_the_first_starts_at_a_member(entries: list[LayerEntry]) -> None:
    plan = plan_layer(entries, EPOCH)
    with tarfile.open(fileobj=io.BytesIO(tar_of(plan))) as tar:
        members = tar.getmembers()
    borders = {member.offset for member in members} | {plan.content_size - len(plans.END)}
    bodies = [(member.offset_data, member.offset_data + member.size) for member in members if member.size]
    for start in frame_starts(plan)[1:]:
        assert start not in borders
        assert any(first <= start < end for first, end in bodies)


def test_a_tar_reader_finds_the_members_with_fixed_times_and_owners() -> None:
    long = "d" * 90 + "/" + "f" * 120
    entries = [
        file("bin/kubelet", 5 << 20),
        file("bin/ü", 3),
        file(long, 70_000),
        LayerEntry(path="bin/kubectl", kind="symlink", mode=0o777, target="../" * 50 + "kubelet"),
        LayerEntry(path="charts", kind="dir", mode=0o700),
    ]
    with tarfile.open(fileobj=io.BytesIO(tar_of(plan_layer(entries, EPOCH)))) as tar:
        members = tar.getmembers()
    names = ["bin", "bin/kubectl", "bin/kubelet", "bin/ü", "charts", "d" * 90, long]
    assert [member.name for member in members] == names
    assert {(member.mtime, member.uid, member.gid, member.uname) for member in members} == {(EPOCH, 0, 0, "")}
    assert [member.size for member in members if member.isfile()] == [5 << 20, 3, 70_000]
    assert members[1].linkname == "../" * 50 + "kubelet"
    assert [oct(member.mode) for member in members if member.isdir()] == ["0o755", "0o700", "0o755"]


def test_the_order_of_entries_does_not_matter() -> None:
    entries = [file("bin-x", 5), file("bin/a", 100_000), file("a", 0)]
    assert plan_layer(entries, EPOCH) == plan_layer(reversed(entries), EPOCH)
    assert [entry.path for entry in arrange(entries)] == ["a", "bin", "bin-x", "bin/a"]


def test_a_big_body_has_frames_that_depend_on_it_alone() -> None:
    pieces = [
        [piece for piece in plan_layer(entries, mtime).pieces if isinstance(piece, BodyPiece)]
        for entries, mtime in (
            ([file("kubelet", 20 << 20)], 0),
            ([file("kubelet", 20 << 20), file("a", 60_000), file("b", BIG_BODY - 1)], EPOCH),
        )
    ]
    assert pieces[0] == pieces[1]
    assert [part.length for part in pieces[0][0].slices()] == [MAX_FRAME, MAX_FRAME, (4 << 20) - TAIL]


def test_the_tail_of_a_big_body_lies_in_the_frame_of_what_follows() -> None:
    plan = plan_layer([file("a", BIG_BODY), file("b", 10)], EPOCH)
    head, body, rest = plan.pieces
    assert isinstance(head, SharedFrame) and head.size == ustar.BLOCK
    assert isinstance(body, BodyPiece) and body.size == BIG_BODY - TAIL
    assert isinstance(rest, SharedFrame)
    first = rest.segments[0]
    assert isinstance(first, Slice) and (first.start, first.length) == (BIG_BODY - TAIL, TAIL)


def test_many_small_bodies_are_cut_inside_a_body() -> None:
    plan = plan_layer([file(f"{number:05}", 60_000) for number in range(600)], EPOCH)
    assert len(plan.pieces) == 5
    for piece in plan.pieces[1:]:
        assert isinstance(piece, SharedFrame)
        first = piece.segments[0]
        assert isinstance(first, Slice) and first.start > 0


def test_many_members_without_a_body_are_cut_inside_a_header() -> None:
    entries = [LayerEntry(path=f"{number:06}", kind="dir", mode=0o755) for number in range(40_000)]
    plan = plan_layer(entries, EPOCH)
    assert len(plan.pieces) == 3
    assert [start % ustar.BLOCK for start in frame_starts(plan)] == [0, 256, 256]
    assert tar_of(plan) == b"".join(
        ustar.encode(ustar.Header(name=f"{entry.path}/", mode=0o755, size=0, mtime=EPOCH, typeflag=b"5"))
        for entry in entries
    ) + bytes(1024)


def test_an_empty_layer_is_two_zero_blocks() -> None:
    assert tar_of(plan_layer([], EPOCH)) == bytes(1024)


@pytest.mark.parametrize(
    "path", ["", "/bin", "bin/", "a//b", ".", "a/../b", "a/./b", "nul\0", "bin/.wh.x", ".wh..wh..opq"]
)
def test_paths_that_leave_the_layer_or_delete_are_refused(path: str) -> None:
    with pytest.raises(FormatError):
        plan_layer([file(path, 1)], EPOCH)


@pytest.mark.parametrize(
    "entries",
    [
        [file("a", 1), file("a", 2)],
        [file("a", 1), file("a/b", 2)],
        [LayerEntry(path="a", kind="symlink", mode=0o777, target="b"), file("a/b", 2)],
        [LayerEntry(path="a", kind="file", mode=0o644, size=1)],
        [LayerEntry(path="a", kind="file", mode=0o644, size=0, digest=Digest.of(b"x"))],
        [LayerEntry(path="a", kind="symlink", mode=0o777)],
        [file("a", 8 << 30)],
    ],
)
def test_entries_that_readers_would_differ_on_are_refused(entries: list[LayerEntry]) -> None:
    with pytest.raises(FormatError):
        plan_layer(entries, EPOCH)
