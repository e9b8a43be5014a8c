"""Small decisions of the stages."""

import json
import os
import socket
from pathlib import Path

import pytest

from bundles import index
from bundles.errors import FormatError, ProblemsError, SealiftError
from bundles.index import BundleIndex, Image
from runtime import cli
from runtime.daemon.actions.cluster import readiness
from runtime.daemon.actions.housekeeping import give_back, rotate
from runtime.daemon.actions.sandboxes import Sandbox, parse_sandboxes, stale_sandboxes
from runtime.daemon.advance import Begin, Ended, StopAsked, advance, begin
from runtime.daemon.chosen import choose_images
from runtime.daemon.context import containerd_environment, program_environment
from runtime.daemon.journal import holder, new_journal, only_daemon, read_journal, stage_records, write_journal
from runtime.daemon.leftovers import Process, of_node
from runtime.daemon.server import WORKS
from runtime.daemon.status import as_document, as_tree, read_status
from runtime.daemon.table import STAGES, table_for
from runtime.layout import NodeLayout
from tests.support.daemons import make_test_node
from tests.support.releases import release


def ready_node(status: str, beat: str) -> dict[str, object]:
    condition = {"type": "Ready", "status": status, "lastHeartbeatTime": beat, "message": "words"}
    return {"status": {"conditions": [{"type": "DiskPressure"}, condition]}}


def test_a_ready_of_the_last_run_does_not_count() -> None:
    now = 1_800_000_000.9  # 2027-01-15T08:00:00Z
    assert readiness(ready_node("True", "2027-01-15T08:00:00Z"), since=now) == "", "heartbeats have whole seconds"
    assert readiness(ready_node("True", "2027-01-15T07:59:59Z"), since=now) == "no heartbeat yet"
    assert readiness(ready_node("False", "2027-01-15T08:00:01Z"), since=now) == "words"
    assert readiness({}, since=now) == "no condition yet"


def sandbox(id: str, uid: str, created: int) -> Sandbox:
    return Sandbox(id=id, uid=uid, created=created, ready=True)


def test_only_the_latest_pod_of_the_manifest_stays() -> None:
    found = [sandbox("old", "a", 1), sandbox("first", "b", 2), sandbox("second", "b", 3)]
    assert stale_sandboxes(found, "b") == ("first", "old")
    assert stale_sandboxes(found, "new") == ("second", "first", "old")
    assert stale_sandboxes(found, None) == (), "the manifest may be about to come"


def test_sandboxes_are_read_from_crictl() -> None:
    item = {"id": "x", "metadata": {"uid": "u"}, "createdAt": "12", "state": "SANDBOX_READY"}
    assert parse_sandboxes(json.dumps({"items": [item]}).encode()) == [Sandbox(id="x", uid="u", created=12, ready=True)]
    assert parse_sandboxes(b'{"items": null}') == []
    with pytest.raises(SealiftError):
        parse_sandboxes(b"[]")


def test_a_log_is_cut_and_its_writer_goes_on(tmp_path: Path) -> None:
    log = tmp_path / "x.log"
    with log.open("ab", buffering=0) as writer:
        for number in range(4):
            writer.write(f"{number}".encode() * 100)
            assert rotate(log, bound=99, keep=3)
        writer.write(b"after")
        assert not rotate(log, bound=99, keep=3)
    assert log.read_bytes() == b"after"
    assert [Path(f"{log}.{n}").read_bytes()[:1] for n in (1, 2, 3)] == [b"3", b"2", b"1"]
    assert not rotate(tmp_path / "missing.log")
    give_back()


def bundle_index(parent: Path, *references: str) -> BundleIndex:
    found = index.decode((release(parent) / index.INDEX_NAME).read_bytes())
    template = found.images[0]
    images = [
        Image(reference=text, digest=template.digest, archive=template.archive, why="test") for text in references
    ]
    return BundleIndex(**{name: getattr(found, name) for name in found.__struct_fields__} | {"images": images})


WHOLE = (
    "docker.io/rancher/hardened-etcd:v3",
    "docker.io/rancher/hardened-kubernetes:v1.34.4",
    "docker.io/rancher/mirrored-pause:3.10.1",
    "docker.io/rancher/klipper-helm:v1",
    "docker.io/rancher/helm-controller:v1",
    "docker.io/rancher/hardened-coredns:v1",
)


def test_images_are_the_bundles_by_their_names(tmp_path: Path) -> None:
    config = make_test_node(tmp_path / "rke2", tmp_path).config
    images = choose_images(config, bundle_index(tmp_path, *WHOLE))
    assert images.etcd.name == WHOLE[0] and images.proxy.name == WHOLE[1] and images.helm_job.name == WHOLE[3]


def test_the_configuration_chooses_first_and_the_systems_registry_is_prepended_to_the_others(tmp_path: Path) -> None:
    flags = (("etcd-image", "example.test/etcd:mine"), ("system-default-registry", "registry.test:5000"))
    config = make_test_node(tmp_path / "rke2", tmp_path, flags=flags).config
    images = choose_images(config, bundle_index(tmp_path, *WHOLE))
    assert images.etcd.name == "example.test/etcd:mine"
    assert images.pause.name == "registry.test:5000/rancher/mirrored-pause:3.10.1"


def test_missing_and_ambiguous_images_are_named_together(tmp_path: Path) -> None:
    config = make_test_node(tmp_path / "rke2", tmp_path).config
    several = bundle_index(tmp_path, *WHOLE[1:], "docker.io/other/pause:1", "docker.io/other/kubernetes:1")
    with pytest.raises(ProblemsError) as caught:
        choose_images(config, several)
    text = str(caught.value)
    assert "etcd-image" in text and "no image called etcd" in text and "several images could be meant" in text
    with pytest.raises(ProblemsError, match="8 problems"):
        choose_images(config, None)


def test_programs_get_our_environment_without_what_is_private_to_the_daemon() -> None:
    ours = {"PATH": "/bin", "NOTIFY_SOCKET": "/run/x", "INVOCATION_ID": "1", "CONTAINERD_HTTPS_PROXY": "http://p"}
    env = program_environment(ours, Path("/data/KEY/bin"))
    assert env["PATH"] == "/data/KEY/bin:/bin" and "NOTIFY_SOCKET" not in env and env["INVOCATION_ID"] == "1"
    assert containerd_environment(env)["HTTPS_PROXY"] == "http://p"
    assert "CONTAINERD_HTTPS_PROXY" not in containerd_environment(env)


def test_leftovers_are_found_by_the_file_they_run_and_by_nothing_else(tmp_path: Path) -> None:
    from pathlib import PurePosixPath

    layout = NodeLayout.at(tmp_path)
    paths = (f"{tmp_path}/data/v1-a/bin/kubelet", "/usr/bin/kubelet", f"{tmp_path}/data/v1-a/bin/ctr")
    found = [Process(pid=n, parent=1, program=PurePosixPath(path)) for n, path in enumerate(paths)]
    other = Process(pid=9, parent=1, program=PurePosixPath(f"{tmp_path}-other/data/v1-a/bin/kubelet"))
    assert [p.pid for p in of_node(iter([*found, other]), layout, {"kubelet"})] == [0]


def test_every_stage_has_its_work() -> None:
    assert set(WORKS) == {stage.name for stage in STAGES}


def journal_of(layout: NodeLayout, *, began: float = 1000.0, pid: int = 1) -> None:
    table = table_for("server")
    state, _ = advance(table, begin(table), Begin(0.0))
    state, _ = advance(table, state, Ended(0.5, "bundle", 1))
    state, _ = advance(table, state, Ended(2.5, "content", 1, reason="unpacked"))
    state, _ = advance(table, state, Ended(3.0, "archives", 1, error="no space"))
    state, _ = advance(table, state, StopAsked(4.0, "asked"))
    journal = new_journal(
        pid=pid,
        version="1",
        bundle="",
        role="server",
        node="node1",
        began=began,
        stages=stage_records(table, state, began),
    )
    layout.admitted.parent.mkdir(parents=True, exist_ok=True)
    write_journal(layout, journal)


def test_status_tells_the_last_run_as_a_tree_and_as_a_document(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    layout = NodeLayout.at(tmp_path)
    assert "this node never ran" in as_tree(read_status(layout))
    assert cli.run(["status", "--data-dir", str(tmp_path)]) == 1
    journal_of(layout)
    assert read_journal(layout) is not None
    document = as_document(read_status(layout))
    content = next(stage for stage in document["stages"] if stage["name"] == "content")
    assert content["seconds"] == 2.5 and content["phase"] == "done" and content["detail"] == "unpacked"
    assert document["running"] is False and document["ready"] is False
    tree = as_tree(read_status(layout))
    assert any("✓ content" in line and "2.50 s" in line for line in tree)
    assert any("no space" in line for line in tree)
    assert (
        sum(line.lstrip(" ✓…·●○!").startswith(stage.name) for line in tree for stage in table_for("server").stages)
        >= 20
    )
    capsys.readouterr()
    assert cli.run(["status", "--json", "--data-dir", str(tmp_path)]) == 1
    assert json.loads(capsys.readouterr().out)["stages"]


def test_what_the_run_before_reached_is_nothing_that_a_new_daemon_reached(tmp_path: Path) -> None:
    layout = NodeLayout.at(tmp_path)
    journal_of(layout)  # process 1 wrote it, and died
    with only_daemon(layout):
        status = read_status(layout)
        assert (status.pid, status.ready) == (os.getpid(), False)
        assert as_document(status)["stages"] == []
        assert as_tree(status)[-1] == "the daemon begins"
        layout.admitted.with_name("daemon.lock").write_text("")  # it holds the lock and has not said its number yet
        assert read_status(layout).pid == 0 and not read_status(layout).ready
        journal_of(layout, pid=os.getpid())
        layout.admitted.with_name("daemon.lock").write_text(f"{os.getpid()}\n")
        assert as_document(read_status(layout))["stages"], "its own words"
    journal_of(layout)
    assert as_document(read_status(layout))["stages"], "the last run's, when nobody runs"


def test_only_one_daemon_runs_in_a_data_directory(tmp_path: Path) -> None:
    layout = NodeLayout.at(tmp_path)
    assert holder(layout) is None
    with only_daemon(layout):
        assert holder(layout) == os.getpid()
        with pytest.raises(SealiftError, match="a daemon runs here already"), only_daemon(layout):
            pass
    assert holder(layout) is None


def test_a_journal_of_another_version_is_refused(tmp_path: Path) -> None:
    layout = NodeLayout.at(tmp_path)
    journal_of(layout)
    path = layout.admitted.with_name("daemon.json")
    path.write_text(path.read_text().replace('"format":"1.0"', '"format":"9.0"'))
    with pytest.raises(FormatError):
        read_status(layout)


def test_the_service_manager_is_told_once(tmp_path: Path) -> None:
    import asyncio

    from runtime.daemon.actions.cluster import announce
    from runtime.daemon.runner import Control

    control = Control(up=lambda _: None, told=lambda _: None)
    assert asyncio.run(announce(make_test_node(tmp_path / "rke2", tmp_path), control)) == "nobody asked"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listener:
        listener.bind(str(tmp_path / "n"))
        node = make_test_node(tmp_path / "rke2", tmp_path, environment={"NOTIFY_SOCKET": str(tmp_path / "n")})
        assert asyncio.run(announce(node, control)) == "told"
        assert listener.recv(100) == b"READY=1\n"


def test_env_names_the_bundles_programs_and_files(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.run(["env", "--data-dir", str(tmp_path)]) == 1
    (tmp_path / "bin").symlink_to(tmp_path / "data/KEY/bin")
    capsys.readouterr()
    assert cli.run(["env", "--data-dir", str(tmp_path)]) == 0
    out = capsys.readouterr().out
    assert f'export PATH={tmp_path}/data/KEY/bin:"$PATH"' in out
    assert f"export CRI_CONFIG_FILE={tmp_path}/agent/etc/crictl.yaml" in out
