from pathlib import Path

import pytest

from bundles.errors import SealiftError
from runtime.folders import ensure_folder
from runtime.images import FileId, apply_images, file_id, plan_images, present_files
from runtime.layout import NodeLayout

NEW, OLD, THEIRS = FileId(1, 10), FileId(1, 20), FileId(1, 30)


def test_nothing_changes_when_all_is_linked() -> None:
    plan = plan_images(wanted={"a.tar": NEW}, present={"a.tar": NEW}, kept=[NEW], admitted=["a.tar"])
    assert (plan.link, plan.retire) == ((), ())


def test_files_of_others_are_never_touched() -> None:
    plan = plan_images(wanted={"a.tar": NEW}, present={"mine.tar": THEIRS, "x.txt": THEIRS}, kept=[NEW], admitted=[])
    assert (plan.link, plan.retire) == (("a.tar",), ())


def test_somebody_elses_file_under_a_wanted_name_is_refused_by_name() -> None:
    with pytest.raises(SealiftError, match=r"a\.tar"):
        plan_images(wanted={"a.tar": NEW, "b.tar": OLD}, present={"a.tar": THEIRS}, kept=[NEW, OLD], admitted=[])


def test_archives_of_the_former_bundle_are_replaced_and_retired() -> None:
    present = {"a.tar": OLD, "gone.tar": FileId(1, 21)}
    plan = plan_images(wanted={"a.tar": NEW}, present=present, kept=[NEW, OLD], admitted=["a.tar", "gone.tar"])
    assert (plan.link, plan.retire) == (("a.tar",), ("gone.tar",))


def test_links_of_a_run_that_was_killed_before_its_record_are_retired_too() -> None:
    plan = plan_images(
        wanted={"a.tar": OLD}, present={"late.tar": NEW, "a.tar": OLD}, kept=[NEW, OLD], admitted=["a.tar"]
    )
    assert plan.retire == ("late.tar",)


def test_an_admitted_name_is_ours_also_when_a_restored_copy_is_another_file() -> None:
    plan = plan_images(wanted={"a.tar": NEW}, present={"a.tar": THEIRS}, kept=[NEW], admitted=["a.tar"])
    assert plan.link == ("a.tar",)


def test_links_appear_complete_and_no_other_name_is_ever_seen_in_the_folder(tmp_path: Path) -> None:
    layout = NodeLayout.at(tmp_path)
    ensure_folder(layout.images)
    ensure_folder(layout.ours)
    source = layout.ours / "a"
    source.write_bytes(b"archive")
    (layout.images / "a.tar").write_bytes(b"older")
    (layout.images / "link.tar").symlink_to(source)
    plan = plan_images(
        wanted={"a.tar": file_id(source)}, present=present_files(layout.images), kept=[], admitted=["a.tar"]
    )
    apply_images(plan, {"a.tar": source}, layout)
    assert (layout.images / "a.tar").samefile(source)
    assert sorted(p.name for p in layout.images.iterdir()) == ["a.tar", "link.tar"]
    assert sorted(p.name for p in layout.ours.iterdir()) == ["a"]
    apply_images(plan, {"a.tar": source}, layout)  # again: rename(2) of two links of one file does nothing
    assert sorted(p.name for p in layout.ours.iterdir()) == ["a"]
