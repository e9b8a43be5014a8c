"""What a proof says of several servers: enough memory or a number, and a lost write is never passed over."""

import asyncio
from pathlib import Path

import pytest

from bundles.errors import SealiftError
from runtime.prove.checks import Check, Scene, run_checks
from runtime.prove.memory import AGENT, SERVER, available, needed, refuse_small
from runtime.prove.namespaces import Machine
from runtime.prove.places import Place, Plugged
from runtime.prove.servers import WRITES, Loss, acknowledged
from tests.unit.runtime.test_prove_checks import Clock, FakeCluster

MIB, GIB = 1 << 20, 1 << 30


def test_a_machine_with_too_little_memory_is_refused_with_the_numbers(tmp_path: Path) -> None:
    meminfo = tmp_path / "meminfo"
    meminfo.write_text("MemTotal: 4194304 kB\nMemAvailable: 3145728 kB\nSwapFree: 0 kB\n")
    refuse_small(1, 5, meminfo)
    refuse_small(3, 0, meminfo)
    with pytest.raises(SealiftError, match="not enough memory for 3 servers and 1 agent") as caught:
        refuse_small(3, 1, meminfo)
    assert (caught.value.got, caught.value.want) == ("3.2 GB free", "3.6 GB")
    assert needed(3, 1) == 3 * SERVER + AGENT == 3 * GIB + 384 * MIB


def test_a_kernel_that_does_not_tell_its_memory_refuses_nothing(tmp_path: Path) -> None:
    (tmp_path / "meminfo").write_text("MemTotal: 1 kB\n")
    assert available("MemTotal: 1 kB\n") is None
    refuse_small(7, 8, tmp_path / "meminfo")


def test_only_whole_lines_of_the_client_are_acknowledgements(tmp_path: Path) -> None:
    log = tmp_path / "written.log"
    assert acknowledged(log) == {}
    log.write_text("w1 10.500\nTraceback: w9\nw2 11.000\nw3")
    assert acknowledged(log) == {"w1": 10.5, "w2": 11.0}


def test_an_acknowledged_write_that_is_not_there_fails_the_check(tmp_path: Path) -> None:
    check, loss = lost(tmp_path, {f"w{number}": float(number) for number in range(WRITES)})
    (result,) = asyncio.run(run_checks(scene("w0 w1 w2"), Clock(), print, (check,)))
    assert not result.ok and "acknowledged writes are lost" in result.error and f"{WRITES - 3} of" in result.error
    found = loss.result()
    assert found is not None and (found.missing, found.acknowledged, found.back_seconds) == (WRITES - 3, WRITES, None)


def test_a_pause_is_the_longest_between_two_acknowledgements(tmp_path: Path) -> None:
    check, loss = lost(tmp_path, {"w0": 5.0, "w1": 1.0, "w2": 1.5})
    (result,) = asyncio.run(run_checks(scene("w0 w1 w2"), Clock(), print, (check,)))
    assert result.ok
    found = loss.result()
    assert found is not None and found.pause_seconds == 3.5


def test_a_client_that_gave_up_fails_the_check_whatever_is_there(tmp_path: Path) -> None:
    check, loss = lost(tmp_path, {"w0": 1.0})
    loss.trouble = "the client could not write everything"
    (result,) = asyncio.run(run_checks(scene("w0"), Clock(), print, (check,)))
    assert not result.ok and "could not write everything" in result.error


def lost(tmp_path: Path, written: dict[str, float]) -> tuple[Check, Loss]:
    servers = tuple(plugged(number, tmp_path) for number in (1, 2, 3))
    loss = Loss(servers, log=tmp_path / "written.log", clock=Clock(), lost=servers[0], written=written)
    return loss.checks()[0], loss


def plugged(number: int, tmp_path: Path) -> Plugged:
    async def start() -> Machine:
        raise AssertionError("nobody starts it")

    place = Place(number=number, role="server", home=tmp_path, group=None)  # type: ignore[arg-type] # not used
    return Plugged(place, None, start)  # type: ignore[arg-type] # the same


def scene(names: str) -> Scene:
    class Cluster(FakeCluster):
        async def kubectl(self, *arguments: str, feed: bytes | None = None) -> str:
            return names

    return Scene(hands=Cluster(), image="", node="", address="")
