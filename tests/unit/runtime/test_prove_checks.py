"""The checks of a proof against a cluster of a few lines, and the proof's own verb."""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from bundles.errors import MissingError, SealiftError
from runtime import cli
from runtime.prove import probe
from runtime.prove.across import ACROSS
from runtime.prove.api import SocketApi, look
from runtime.prove.checks import CHECKS, Check, Scene, run_checks
from runtime.prove.requirements import clean_environment
from tests.support.cluster import ApiServer


@dataclass
class FakeCluster:
    """Answers as kubectl does on a good cluster; `broken` is a word of the commands that fail."""

    broken: str = ""
    generation: int = 1
    said: list[str] = field(default_factory=list)
    fed: list[bytes] = field(default_factory=list)
    forwarded: int = 0

    async def kubectl(self, *arguments: str, feed: bytes | None = None) -> str:
        line = " ".join(arguments)
        self.said.append(line)
        self.fed += [feed] if feed is not None else []
        if self.broken and self.broken in line:
            raise SealiftError("it is broken")
        if " get service " in line:
            return json.dumps({"spec": {"clusterIP": "10.43.0.9", "ports": [{"nodePort": 30001}]}})
        if " patch " in line:
            self.generation += 1
        for words, answer in (
            (("get pods", "get --raw"), f"probe-{self.generation}"),
            (("logs",), "Starting to serve on [::]:8080"),
            (("version",), "Client Version: v1"),
            (("top nodes",), "n1 1% 1%"),
            (("top pods",), "etcd-n1 1m 1Mi"),
        ):
            if any(word in line for word in words):
                return answer
        return ""

    @contextlib.asynccontextmanager
    async def forwarding(self, *arguments: str) -> AsyncIterator[None]:
        self.forwarded += 1
        yield
        self.forwarded -= 1

    async def fetch(self, url: str, *, neighbour: bool, host: str = "") -> str:
        self.said.append(f"fetch {url} {'neighbour' if neighbour else 'node'}")
        if self.broken and self.broken in self.said[-1]:
            raise SealiftError("nobody answers")
        return f"probe-{self.generation}\n"


class Clock:
    """Half a minute passes with every look."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        self.now += 30.0
        return self.now


def outcome(cluster: FakeCluster) -> dict[str, bool]:
    said: list[str] = []
    scene = Scene(hands=cluster, image="a/b:1", node="n1", address="172.31.77.11")
    results = asyncio.run(run_checks(scene, Clock(), said.append))
    assert len(said) == len(results)
    return {result.name: result.ok for result in results}


@pytest.fixture(autouse=True)
def without_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    async def no_pause(seconds: float) -> None:
        """Time is the test's own."""

    monkeypatch.setattr(asyncio, "sleep", no_pause)


def test_a_good_cluster_passes_all_checks_in_the_table_s_order() -> None:
    cluster = FakeCluster()
    assert outcome(cluster) == {check.name: True for check in CHECKS}
    assert cluster.forwarded == 0
    assert "fetch http://172.31.77.11:30001/probe/hostname neighbour" in cluster.said
    assert any("probe.sealift-prove.svc.cluster.local" in line for line in cluster.said)


@pytest.mark.parametrize(
    ("broken", "failed"),
    [
        ("svc.cluster.local", {"dns"}),
        ("10.43.0.9", {"cluster-ip"}),
        ("30001/probe/hostname neighbour", {"node-port"}),
        (" logs ", {"logs"}),
        ("version", {"exec"}),
        ("18080", {"port-forward"}),
        ("top ", {"top"}),
        (" patch ", {"rollout"}),
    ],
)
def test_what_is_broken_fails_its_own_check_and_the_others_are_still_made(broken: str, failed: set[str]) -> None:
    found = outcome(FakeCluster(broken=broken))
    assert {name for name, ok in found.items() if not ok} == failed


def test_a_check_is_tried_again_while_its_patience_lasts() -> None:
    tries = []

    async def third_time(scene: Scene) -> None:
        tries.append(1)
        if len(tries) < 3:
            raise SealiftError("not yet")

    scene = Scene(hands=FakeCluster(), image="", node="", address="")
    check = Check(name="x", text="", work=third_time, patience=300.0)
    assert [result.ok for result in asyncio.run(run_checks(scene, Clock(), lambda line: None, [check]))] == [True]


def test_the_probe_asks_for_no_image_that_is_not_there_already() -> None:
    document = json.loads(probe.objects("index.docker.io/rancher/x:1"))
    pod = document["items"][1]["spec"]["template"]["spec"]
    assert pod["containers"][0]["image"] == "index.docker.io/rancher/x:1"
    assert pod["containers"][0]["imagePullPolicy"] == "Never"


def test_the_cluster_is_read_over_a_socket_file(tmp_path: Path) -> None:
    answers: dict[str, object] = {
        "/api/v1/nodes": {"items": [{"metadata": {"name": "n1"}}]},
        "/api/v1/pods": {"items": None},
        **{f"/apis/apps/v1/{kind}": {"items": []} for kind in ("deployments", "daemonsets", "statefulsets")},
        "/apis/batch/v1/jobs": {},
        "/api/v1/events": {"items": [{"metadata": {"name": "e"}, "reason": "Pulling", "message": 'image "x"'}]},
    }
    with ApiServer(tmp_path / "s", answers) as server:
        cluster = asyncio.run(look(SocketApi(server.path)))
        with pytest.raises(MissingError):
            asyncio.run(SocketApi(server.path)("/none"))
    assert cluster.known  # without HelmCharts: nobody defined them yet
    assert [node.metadata.name for node in cluster.nodes] == ["n1"]
    assert [event.message for event in cluster.pulls] == ['image "x"']
    assert not asyncio.run(look(SocketApi(tmp_path / "s"))).known


def test_programs_of_the_machine_hear_of_no_proxy() -> None:
    found = clean_environment({"PATH": "/bin", "HTTPS_PROXY": "x", "HOME": "/home/me", "NOTIFY_SOCKET": "x"})
    assert found == {"PATH": "/bin", "HOME": "/run/tmp", "TMPDIR": "/run/tmp", "LC_ALL": "C.UTF-8"}


def test_without_a_trust_flag_prove_is_refused_and_agents_are_counted(tmp_path: Path) -> None:
    where = [str(tmp_path / "none"), "--report", str(tmp_path / "r.json")]
    assert cli.run(["prove", *where]) == 3
    assert cli.run(["prove", *where, "--insecure-no-signature", "--agents", "-1"]) == 2
    assert cli.run(["prove", str(tmp_path), "--insecure-no-signature"]) == 2
    assert not (tmp_path / "r.json").exists()


def test_the_page_about_proofs_names_every_check() -> None:
    page = (Path(__file__).parents[3] / "docs/prove.md").read_text()
    names = [check.name for check in (*CHECKS, *ACROSS)] + ["node-loss"]
    assert [name for name in names if f"`{name}`" not in page] == []
