"""kill -9 at random moments of real commands: nothing half is visible, and the next run gives the same bytes.

The seed is printed; SEALIFT_SEED=N plays it again.
"""

import os
import random
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support.disk import read_disk
from tests.support.disk_images import materialise, whole
from tests.support.recording_build import Build
from tests.support.recording_commands import Command, build_command, extract_command, run, stage_command, start
from tests.support.recording_node import NodeFlow, node_flows

NODE = node_flows()


def build_flow(home: Path) -> tuple[Build, Command]:
    flow = Build(home)
    flow.prepare()
    return flow, build_command(flow.recipe, flow.root)


def stage_flow(home: Path) -> tuple[NodeFlow, Command]:
    flow = NODE["stage an upgrade"](home)
    flow.prepare()
    return flow, stage_command(flow.new, flow.node.layout.data)


def extract_flow(home: Path) -> tuple[NodeFlow, Command]:
    flow = NODE["extract an upgrade"](home)
    flow.prepare()
    return flow, extract_command(flow.node.layout.data, flow.node.shims)


@pytest.mark.parametrize(("make", "rounds"), [(build_flow, 18), (stage_flow, 16), (extract_flow, 16)])
def test_killed_at_a_random_moment_the_next_run_gives_the_same_bytes(
    make: Callable[[Path], tuple[Build | NodeFlow, Command]], rounds: int, tmp_path: Path
) -> None:
    seed = int(os.environ.get("SEALIFT_SEED", random.SystemRandom().randrange(1 << 32)))
    print(f"SEALIFT_SEED={seed}")
    moments = random.Random(seed)
    flow, command = make(tmp_path)
    before = whole(read_disk(flow.root))
    began = time.monotonic()
    run(command)
    lasts, result, killed = time.monotonic() - began, flow.result(), 0
    for number in range(rounds):
        materialise(before, flow.root)
        process = start(command)
        time.sleep(moments.uniform(0, lasts))
        process.kill()
        process.communicate()
        killed += process.returncode == -9
        flow.check()
        run(command)
        assert flow.result() == result, f"round {number}"
        assert not flow.left(), f"round {number}"
    print(f"{killed} of {rounds} were killed before they were done")
    assert killed
