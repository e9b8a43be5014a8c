"""Two commands at once on one store, one output, one data directory: one waits or refuses, and both end right."""

import fcntl
import os
import threading
import time
from pathlib import Path

from builder.deliver import _temporary
from bundles.files import atomic_writer, remove_abandoned
from runtime import admitted
from runtime.admission import finish_alone
from runtime.exclusive import exclusive
from tests.support.bundles import tree
from tests.support.recipes import tiny_recipe
from tests.support.recording_build import check_store, plain_recipe, run_build
from tests.support.recording_commands import build_command, extract_command, run, sealift, stage_command, start
from tests.support.recording_node import NodeFlow, node_flows


def staged(home: Path, name: str = "stage an upgrade") -> NodeFlow:
    flow = node_flows()[name](home)
    flow.prepare()
    return flow


def test_two_builds_of_one_recipe_into_one_folder_give_one_bundle(tmp_path: Path) -> None:
    recipe = tiny_recipe(tmp_path / "recipe")
    want = tree(run_build(recipe, tmp_path / "alone"))
    both = [start(build_command(recipe, tmp_path)) for _ in range(3)]
    for process in both:
        _, said = process.communicate(timeout=120)
        assert process.returncode == 0, said
    (folder,) = (tmp_path / "out").iterdir()
    assert tree(folder) == want and not list((tmp_path / "store/tmp").iterdir())
    check_store(tmp_path / "store")


def test_a_build_that_begins_does_not_take_away_what_another_one_has_just_begun(tmp_path: Path) -> None:
    """Between making its folder and locking it, a build looked like one that had been killed."""
    failed: list[Exception] = []

    def deliver() -> None:
        try:
            for _ in range(50):
                with _temporary(tmp_path, "x-v1") as folder:
                    (folder / "half.tar").write_text("half")
        except Exception as exc:
            failed.append(exc)

    threads = [threading.Thread(target=deliver) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failed and not list(tmp_path.iterdir())


def test_cleaning_the_store_beside_a_build_waits_or_refuses_and_both_end_right(tmp_path: Path) -> None:
    recipe, other = tiny_recipe(tmp_path / "recipe"), plain_recipe(tmp_path / "other")
    want = tree(run_build(recipe, tmp_path / "alone"))
    run_build(other, tmp_path)
    building = start(build_command(recipe, tmp_path, "--replace"))
    refused = 0
    while building.poll() is None:
        cleaning = start(sealift("store", "--clean", recipe, "--store", tmp_path / "store"))
        _, said = cleaning.communicate(timeout=60)
        assert cleaning.returncode in (0, 1), said
        if cleaning.returncode:
            assert "in use by another sealift" in said and "do: wait" in said
            refused += 1
    _, said = building.communicate(timeout=60)
    assert building.returncode == 0, said
    folders = [folder for folder in (tmp_path / "out").iterdir() if tree(folder) == want]
    assert len(folders) == 1
    check_store(tmp_path / "store")
    print(f"cleaning was refused {refused} times")


def test_a_build_says_that_it_waits_for_a_store_that_is_cleaned(tmp_path: Path) -> None:
    recipe = plain_recipe(tmp_path / "recipe")
    run_build(recipe, tmp_path)
    held = os.open(tmp_path / "store/locks/store", os.O_RDWR)
    fcntl.flock(held, fcntl.LOCK_EX)
    building = start(build_command(recipe, tmp_path, "--progress", "plain"))
    assert building.stderr is not None
    said = building.stderr.readline()
    assert "waiting" in said and str(tmp_path / "store") in said
    os.close(held)
    assert building.wait(timeout=60) == 0
    building.communicate()


def test_stages_and_an_extraction_at_once_end_as_if_one_came_after_the_other(tmp_path: Path) -> None:
    flow = staged(tmp_path)
    data, shims = flow.node.layout.data, flow.node.shims
    commands = [stage_command(flow.new, data), extract_command(data, shims), stage_command(flow.old, data)]
    for process in [start(command) for command in commands]:
        _, said = process.communicate(timeout=120)
        assert process.returncode == 0, said
    flow.check()
    record = admitted.read(flow.node.layout.admitted)
    assert record is not None and not flow.node.layout.admitting.exists() and not flow.left()
    kept = {path.name: path.read_bytes() for path in (flow.node.layout.bundles / record.bundle / "images").iterdir()}
    assert {path.name: path.read_bytes() for path in flow.node.layout.images.iterdir()} == kept
    run(extract_command(data, shims))
    flow.check()


def test_whoever_needs_the_node_waits_for_a_stage_and_says_so(tmp_path: Path) -> None:
    flow = staged(tmp_path)
    layout = flow.node.layout
    admitted.write(layout.admitting, admitted.read(layout.admitted))  # type: ignore[arg-type] # it was staged
    said: list[str] = []
    with exclusive(layout, said.append):
        starting = threading.Thread(target=finish_alone, args=(layout, said.append))
        starting.start()
        for _ in range(500):
            if said:
                break
            time.sleep(0.01)
        assert said == [f"waiting: another sealift-node (process {os.getpid()}) is at work in {layout.data}"]
    starting.join()
    assert not layout.admitting.exists()


def test_staging_leaves_the_files_alone_that_a_running_daemon_is_writing(tmp_path: Path) -> None:
    flow = staged(tmp_path)
    folder = flow.node.layout.admitted.parent
    left = folder / ".sealift-imported.json.left"
    left.write_text("half")
    with atomic_writer(folder / "imported.json") as writer:
        writer.write(b"{}")
        flow.node.stage(flow.new)
    assert (folder / "imported.json").read_bytes() == b"{}" and not left.exists()


def test_a_temporary_file_in_use_is_told_from_one_that_was_left(tmp_path: Path) -> None:
    (tmp_path / ".sealift-b.left").write_text("half")
    (tmp_path / ".sealift-link").symlink_to("nowhere")
    with atomic_writer(tmp_path / "a") as writer:
        writer.write(b"a")
        remove_abandoned(tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == [".sealift-link", "a"]


def test_two_recipes_are_built_in_one_store_at_once(tmp_path: Path) -> None:
    recipes = [plain_recipe(tmp_path / "one"), tiny_recipe(tmp_path / "two")]
    for recipe, process in [
        (recipe, start(build_command(recipe, recipe, "--store", str(tmp_path / "store")))) for recipe in recipes
    ]:
        _, said = process.communicate(timeout=120)
        assert process.returncode == 0, (recipe, said)
    check_store(tmp_path / "store")
