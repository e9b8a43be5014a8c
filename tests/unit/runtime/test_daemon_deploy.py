"""The deploy controller against a kubectl that keeps its cluster in a folder, and an API that may come later."""

import asyncio
import http.server
import json
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from bundles.digest import Digest
from bundles.errors import FormatError
from runtime.daemon.actions import deploy as module
from runtime.daemon.actions.deploy import _Memory, _pass, stamped_files
from runtime.daemon.context import Node
from runtime.daemon.deployed import read_deployed
from runtime.daemon.holders import Book, Held, Holders, read_book
from tests.support.daemons import FAKE_KUBECTL, make_test_node
from tests.support.programs import SYSTEM_PATH

MAP = "{{apiVersion: v1, kind: ConfigMap, metadata: {{name: {0}, namespace: kube-system}}, data: {{v: '{1}'}}}}\n"
HELM = "{apiVersion: helm.cattle.io/v1, kind: HelmChart, metadata: {name: chart, namespace: kube-system}, spec: {}}\n"


@dataclass
class Cluster:
    """A node whose kubectl writes objects as files NAMESPACE.KIND.NAME."""

    node: Node
    store: Path
    said: list[str]
    book: "Books"
    memory: _Memory = field(init=False)

    def __post_init__(self) -> None:
        self.restart()

    def restart(self) -> None:
        self.memory = _Memory(read_deployed(self.node.layout))

    def look(self) -> None:
        asyncio.run(_pass(self.node, self.memory))

    def write(self, name: str, text: str) -> None:
        path = self.node.layout.manifests / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)

    @property
    def objects(self) -> set[str]:
        return {path.name for path in self.store.iterdir() if path.name.count(".") == 2}

    def calls(self) -> int:
        path = self.store / "calls"
        return len(path.read_text().splitlines()) if path.exists() else 0


class Books:
    """The ConfigMap of holders, and the Nodes of the cluster, in memory."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.book, self.nodes = Book(files={}), frozenset({"node1", "other"})

        async def read(holders: Holders) -> Book:
            return self.book

        async def write(holders: Holders, book: Book) -> bool:
            self.book = Book(files=book.files, version="1")
            return True

        async def names(node: Node) -> frozenset[str]:
            return self.nodes

        monkeypatch.setattr(Holders, "read", read)
        monkeypatch.setattr(Holders, "write", write)
        monkeypatch.setattr(module, "node_names", names)

    def of_other(self, path: str, text: str) -> None:
        """Another server has applied this."""
        held = Held(node="other", sha256=str(Digest.of(text.encode())))
        self.book = Book(files={**self.book.files, path: held}, version="1")

    def holder(self, path: str) -> str:
        return self.book.files[path].node


@pytest.fixture
def cluster(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Cluster:
    programs, store = tmp_path / "bin", tmp_path / "store"
    programs.mkdir()
    store.mkdir()
    (programs / "kubectl").write_text(FAKE_KUBECTL.format(store=str(store)))
    (programs / "kubectl").chmod(0o755)
    said: list[str] = []
    flags = (("disable", "unwanted"),)
    node = make_test_node(tmp_path / "rke2", programs, say=said.append, flags=flags, environment={"PATH": SYSTEM_PATH})
    node.layout.admitted.parent.mkdir(parents=True)
    node.layout.manifests.mkdir(parents=True)

    async def no_api(url: str, identity: object) -> bool:
        return (store / "helm").exists()

    monkeypatch.setattr(module, "is_healthy", no_api)
    book = Books(monkeypatch)
    return Cluster(node, store, said, book)


def test_files_are_applied_once_and_again_when_they_change(cluster: Cluster) -> None:
    cluster.write("a.yaml", MAP.format("one", 1) + "---\n" + MAP.format("two", 1))
    cluster.look()
    assert cluster.objects == {"kube-system.ConfigMap.one", "kube-system.ConfigMap.two"}
    calls = cluster.calls()
    cluster.look()
    assert cluster.calls() == calls
    cluster.write("a.yaml", MAP.format("one", 22) + "---\n" + MAP.format("two", 1))
    cluster.look()
    assert json.loads((cluster.store / "kube-system.ConfigMap.one").read_text())["data"] == {"v": "22"}


def test_what_a_file_no_longer_holds_is_removed_even_after_a_restart(cluster: Cluster) -> None:
    cluster.write("a.yaml", MAP.format("one", 1) + "---\n" + MAP.format("two", 1))
    cluster.look()
    cluster.restart()
    cluster.write("a.yaml", MAP.format("two", 1))
    cluster.look()
    assert cluster.objects == {"kube-system.ConfigMap.two"}
    cluster.write("a.yaml", "# a.yaml has been removed\n")
    cluster.look()
    assert cluster.objects == set()


def test_an_object_that_moved_to_another_file_stays(cluster: Cluster) -> None:
    cluster.write("a.yaml", MAP.format("one", 1))
    cluster.look()
    cluster.write("a.yaml", "# moved\n")
    cluster.write("b.yaml", MAP.format("one", 1))
    for _ in range(2):
        cluster.look()
    assert cluster.objects == {"kube-system.ConfigMap.one"}


def test_a_file_that_vanished_removes_nothing(cluster: Cluster) -> None:
    cluster.write("a.yaml", MAP.format("one", 1))
    cluster.look()
    (cluster.node.layout.manifests / "a.yaml").unlink()
    cluster.look()
    assert cluster.objects == {"kube-system.ConfigMap.one"}


def test_disabled_and_skipped_files_are_not_applied_and_disabling_removes(cluster: Cluster) -> None:
    cluster.write("unwanted.yaml", MAP.format("one", 1))
    cluster.write("later.yaml", MAP.format("two", 1))
    cluster.write("later.yaml.skip", "")
    cluster.look()
    assert cluster.objects == set()
    (cluster.node.layout.manifests / "later.yaml.skip").unlink()
    cluster.look()
    assert cluster.objects == {"kube-system.ConfigMap.two"}


def test_charts_wait_for_the_helm_controller_and_others_do_not(cluster: Cluster) -> None:
    cluster.write("chart.yaml", HELM)
    cluster.write("plain.yaml", MAP.format("one", 1))
    cluster.look()
    assert cluster.objects == {"kube-system.ConfigMap.one"} and cluster.memory.held == {"chart.yaml"}
    (cluster.store / "helm").touch()
    cluster.look()
    assert "kube-system.HelmChart.chart" in cluster.objects and not cluster.memory.held


def test_a_file_that_fails_is_named_tried_again_and_keeps_no_other_back(cluster: Cluster) -> None:
    cluster.write("bad.yaml", "not: [yaml")
    cluster.write("refused.yaml", MAP.format("refuse-me", 1))
    cluster.write("good.yaml", MAP.format("one", 1))
    cluster.look()
    assert cluster.objects == {"kube-system.ConfigMap.one"}
    assert set(cluster.memory.failed) == {"bad.yaml", "refused.yaml"}
    assert "admission says no" in cluster.memory.failed["refused.yaml"]
    warnings = len(cluster.said)
    cluster.look()
    assert len(cluster.said) == warnings, "told once"
    cluster.write("refused.yaml", MAP.format("fine", 1))
    cluster.look()
    assert set(cluster.memory.failed) == {"bad.yaml"}


def test_an_interrupted_change_is_known_to_the_next_start(cluster: Cluster, monkeypatch: pytest.MonkeyPatch) -> None:
    """What may have come into the cluster is remembered before it does."""
    cluster.write("a.yaml", MAP.format("refuse-me", 1) + "---\n" + MAP.format("one", 1))
    cluster.look()
    cluster.restart()
    assert {key.name for key in cluster.memory.deployed["a.yaml"].held()} == {"refuse-me", "one"}


def test_folders_at_the_top_are_followed_through_links(tmp_path: Path) -> None:
    elsewhere, manifests = tmp_path / "elsewhere", tmp_path / "manifests"
    (elsewhere / "deep").mkdir(parents=True)
    (manifests / "own").mkdir(parents=True)
    (manifests / "linked").symlink_to(elsewhere)
    for path in (elsewhere / "deep/a.yaml", manifests / "own/b.yaml", manifests / "c.yaml"):
        path.write_text("")
    assert set(stamped_files(manifests)) == {"linked/deep/a.yaml", "own/b.yaml", "c.yaml"}
    assert stamped_files(tmp_path / "missing") == {}


@pytest.fixture
def server() -> Iterator[http.server.HTTPServer]:
    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200 if self.path == "/healthz" else 503)
            self.end_headers()
            self.wfile.write(b'{"health": "true"}')

        def log_message(self, format: str, *args: object) -> None:
            pass

    found = http.server.HTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=found.serve_forever)
    thread.start()
    yield found
    found.shutdown()
    thread.join()
    found.server_close()


def test_health_is_a_200_and_nothing_else(server: http.server.HTTPServer) -> None:
    from runtime.daemon.api import Identity, is_healthy

    base = f"http://127.0.0.1:{server.server_port}"
    assert asyncio.run(is_healthy(f"{base}/healthz", Identity()))
    assert not asyncio.run(is_healthy(f"{base}/other", Identity()))
    assert not asyncio.run(is_healthy("http://127.0.0.1:1/healthz", Identity()))


def test_what_another_server_has_applied_is_not_applied_again(cluster: Cluster) -> None:
    text = MAP.format("one", 1)
    cluster.book.of_other("a.yaml", text)
    cluster.write("a.yaml", text)
    cluster.look()
    cluster.restart()
    cluster.look()
    assert cluster.objects == set() and cluster.calls() == 0 and cluster.said == []
    assert cluster.book.holder("a.yaml") == "other"


def test_servers_with_different_files_do_not_fight(cluster: Cluster) -> None:
    cluster.book.of_other("a.yaml", MAP.format("one", "theirs"))
    cluster.write("a.yaml", MAP.format("one", "ours"))
    for _ in range(3):
        cluster.restart()
        cluster.look()
    assert cluster.objects == set() and cluster.book.holder("a.yaml") == "other"
    assert cluster.said[0] == "warning: not applied: a.yaml: other has applied another one; change this one to apply it"


def test_who_changes_a_file_answers_for_it_from_then_on(cluster: Cluster) -> None:
    cluster.book.of_other("a.yaml", MAP.format("one", 1))
    cluster.write("a.yaml", MAP.format("one", 1))
    cluster.look()
    cluster.write("a.yaml", MAP.format("one", 22))
    cluster.look()
    assert cluster.objects == {"kube-system.ConfigMap.one"} and cluster.book.holder("a.yaml") == "node1"
    cluster.book.of_other("a.yaml", MAP.format("one", 333))
    cluster.restart()
    calls = cluster.calls()
    cluster.look()
    assert cluster.calls() == calls, "changed elsewhere since: this server's own is the older one"


def test_a_file_that_became_empty_here_removes_what_another_server_applied(cluster: Cluster) -> None:
    cluster.write("a.yaml", MAP.format("one", 1))
    cluster.look()
    cluster.book.of_other("a.yaml", MAP.format("one", 1))
    cluster.restart()
    cluster.look()
    cluster.write("a.yaml", "# removed\n")
    cluster.look()
    assert cluster.objects == set() and cluster.book.holder("a.yaml") == "node1"


def test_a_server_that_is_gone_answers_for_nothing(cluster: Cluster) -> None:
    cluster.book.of_other("a.yaml", MAP.format("one", "theirs"))
    cluster.book.nodes = frozenset({"node1"})
    cluster.write("a.yaml", MAP.format("one", "ours"))
    cluster.look()
    assert cluster.objects == {"kube-system.ConfigMap.one"} and cluster.book.holder("a.yaml") == "node1"


def test_a_server_alone_applies_every_file_at_each_start(cluster: Cluster) -> None:
    cluster.write("a.yaml", MAP.format("one", 1))
    cluster.look()
    (cluster.store / "kube-system.ConfigMap.one").unlink()
    cluster.restart()
    cluster.look()
    assert cluster.objects == {"kube-system.ConfigMap.one"}


def test_a_spoiled_list_of_holders_counts_as_none() -> None:
    found = read_book({"metadata": {"resourceVersion": "7"}, "data": {"files.json": "{"}})
    assert (found.files, found.version) == ({}, "7")
    with pytest.raises(FormatError):
        read_book({"kind": "Status"})
