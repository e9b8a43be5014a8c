import dataclasses
import json
from pathlib import Path

import msgspec
import pytest

from bundles.digest import Digest
from bundles.errors import FormatError
from runtime.prove import isolation, network
from runtime.prove.cgroups import FOLDER, Hierarchy, entering, hierarchies
from runtime.prove.mounts import PRIVATE, SYSCTLS, plan
from runtime.prove.report import (
    Bundle,
    CheckResult,
    Failure,
    ImageResult,
    MissingResult,
    NodeResult,
    OutsideResult,
    PodResult,
    Report,
    StageResult,
    decode,
    encode,
    read,
    write,
)

HYBRID = """\
31 23 0:28 / /sys/fs/cgroup rw,relatime - tmpfs tmpfs rw,mode=755
32 31 0:29 / /sys/fs/cgroup/cpu,cpuacct rw,relatime shared:9 - cgroup cgroup rw,cpu,cpuacct
34 31 0:31 / /sys/fs/cgroup/cpuset rw,relatime - cgroup cgroup rw,cpuset,clone_children
40 31 0:37 / /sys/fs/cgroup/systemd rw,relatime - cgroup cgroup rw,xattr,release_agent=/lib/agent,name=systemd
41 31 0:38 / /sys/fs/cgroup/unified rw,relatime - cgroup2 cgroup2 rw
42 31 0:31 / /sys/fs/cgroup/again rw,relatime - cgroup cgroup rw,cpuset
43 1 0:31 / /elsewhere/cpuset rw,relatime - cgroup cgroup rw,cpuset
"""
UNIFIED = "30 23 0:26 / /sys/fs/cgroup rw,nosuid - cgroup2 cgroup2 rw,nsdelegate\n"
DIGEST = Digest.of(b"image")


def test_every_hierarchy_is_found_once_with_what_mounts_it_again() -> None:
    assert [(item.mount.name, item.options, item.version) for item in hierarchies(HYBRID)] == [
        ("cpu,cpuacct", "cpu,cpuacct", 1),
        ("cpuset", "cpuset", 1),
        ("systemd", "name=systemd", 1),
        ("unified", "", 2),
    ]
    assert hierarchies(UNIFIED) == (Hierarchy(mount=FOLDER),)
    assert hierarchies("") == ()


def test_a_machine_sees_its_own_groups_private_folders_and_nothing_else_it_could_write() -> None:
    commands = [" ".join(mount.argv) for mount in plan(Path("/w"), hierarchies(HYBRID))]
    assert "mount -t cgroup -o name=systemd cgroup /sys/fs/cgroup/systemd" in commands
    assert "mount -t cgroup2 cgroup2 /sys/fs/cgroup/unified" in commands
    assert "mount -o bind /w/rancher /var/lib/rancher" in commands
    assert commands.index("mount -t tmpfs -o mode=755 tmpfs /run") < commands.index("mount -o bind /w/hosts /etc/hosts")
    shields = [command for command in commands if "/proc/sys/" in command]
    assert len(shields) == len(SYSCTLS)
    assert commands[-2:] == ["mount -o remount,bind,ro /", "mount -o rshared /"]
    assert len(set(PRIVATE.values())) == len(PRIVATE)


def test_with_version_2_alone_no_tmpfs_hides_the_groups() -> None:
    groups = [mount for mount in plan(Path("/w"), hierarchies(UNIFIED)) if mount.target == FOLDER]
    assert [mount.fstype for mount in groups] == ["cgroup2"]


def test_groups_are_entered_before_the_program_begins() -> None:
    command = entering([Path("/a/cgroup.procs"), Path("/b/cgroup.procs")], ["true", "--", "x"])
    assert command[-6:] == ("/a/cgroup.procs", "/b/cgroup.procs", "--", "true", "--", "x")


def test_the_switch_has_no_uplink_and_machines_have_a_way_to_it() -> None:
    assert "master" not in network.switch_batch(True)
    assert "route" not in network.switch_batch(True)
    assert f"route add default via {network.GATEWAY}" in network.machine_batch(network.Port(1), False)
    assert "::" not in network.machine_batch(network.Port(1), False)
    assert network.Port(1).address != network.Port(2).address
    assert network.resolver_text() == f"nameserver {network.GATEWAY}\n"


def nft(*, world: int, dns: int, wanted: list[list[object]]) -> str:
    counters = [("world", world), ("dns", dns), ("stray", 3)]
    items: list[dict[str, object]] = [{"metainfo": {}}]
    items += [{"counter": {"name": name, "packets": packets, "bytes": 1}} for name, packets in counters]
    items += [{"set": {"name": "wanted4", "elem": [{"concat": words} for words in wanted]}}, {"set": {"name": "w6"}}]
    return json.dumps({"nftables": items})


def test_counters_are_read_from_nft() -> None:
    outside = isolation.read_counters(nft(world=2, dns=4, wanted=[["192.0.2.1", "udp", 9]]))
    assert (outside.packets, outside.attempts, outside.stray) == (6, 2, 3)
    assert outside.wanted == ("192.0.2.1 udp 9",)
    with pytest.raises(FormatError, match="nft answered"):
        isolation.read_counters("{}")


def report(**changes: object) -> Report:
    good = Report(
        ready=True,
        bundle=Bundle(name="b-v1", version="v1", sha256=DIGEST),
        nodes=(NodeResult(name="prove1", role="server", ready_seconds=21.5),),
        pods=(PodResult(namespace="n", name="p", node="prove1", phase="Running", ready=True, restarts=0),),
        images=(ImageResult(reference="docker.io/a/b:1", digest=DIGEST, used_by=("Pod n/p",)),),
        unused=(),
        missing=(),
        outside=OutsideResult(attempts=0, packets=0, control=True),
        checks=(CheckResult(name="dns", ok=True, seconds=0.5),),
        stages=(StageResult(name="etcd", seconds=None),),
    )
    return msgspec.structs.replace(good, **changes)


def test_a_report_comes_back_as_it_was_written(tmp_path: Path) -> None:
    write(tmp_path / "r.json", report())
    assert read(tmp_path / "r.json") == report()
    document = json.loads(encode(report()))
    assert list(document) == [
        *("format", "ready", "bundle", "nodes", "pods", "images", "unused", "missing", "outside", "checks", "stages"),
        "choices",
    ]
    assert document["nodes"] == [{"name": "prove1", "role": "server", "ready_seconds": 21.5}]
    assert document["outside"] == {"attempts": 0, "packets": 0, "control": True}
    assert document["bundle"]["sha256"] == str(DIGEST)


def test_why_a_proof_ended_early_and_why_a_check_failed_stand_in_the_report(tmp_path: Path) -> None:
    found = report(
        bundle=Bundle(name="b-v1", version="", sha256=None),
        checks=(CheckResult(name="dns", ok=False, seconds=0.5, error="nobody answered"),),
        failure=Failure(during="stage", error="images/a.tar: damaged"),
    )
    write(tmp_path / "r.json", found)
    assert read(tmp_path / "r.json") == found
    document = json.loads(encode(found))
    assert document["failure"] == {"during": "stage", "error": "images/a.tar: damaged"}
    assert document["checks"] == [{"name": "dns", "ok": False, "seconds": 0.5, "error": "nobody answered"}]
    assert found.faults()[0] == "stage: images/a.tar: damaged"


def test_a_report_of_another_version_is_refused() -> None:
    with pytest.raises(FormatError, match="another version"):
        decode(encode(report(format="2.0")), where="r")


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({}, ()),
        ({"ready": False}, ("not everything became ready",)),
        ({"outside": OutsideResult(attempts=1, packets=0, control=True)}, ("wanted out: 1 attempts",)),
        ({"outside": OutsideResult(attempts=0, packets=2, control=True)}, ("2 packets",)),
        ({"outside": OutsideResult(attempts=0, packets=0, control=False)}, ("control packet",)),
        ({"checks": (CheckResult(name="dns", ok=False, seconds=1.0),)}, ("check dns failed",)),
        ({"missing": (MissingResult(reference="x:1", used_by=("Pod n/p",)),)}, ("x:1 is not in the bundle, Pod n/p",)),
        ({"unused": ("docker.io/a/spare:1",)}, ()),
    ],
)
def test_whatever_is_not_as_it_must_be_is_a_fault(changes: dict[str, object], words: tuple[str, ...]) -> None:
    faults = report(**changes).faults()
    assert len(faults) == len(words)
    assert all(word in fault for word, fault in zip(words, faults, strict=True))


def test_counted_values_do_not_change() -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        isolation.Outside().world = 1  # type: ignore[misc]
