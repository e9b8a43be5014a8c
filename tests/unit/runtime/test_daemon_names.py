"""Names of machines: free once somebody deletes the Node, and never because nobody answered."""

import asyncio
import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from bundles.errors import SealiftError
from runtime.daemon.actions import names as module
from runtime.daemon.api import Answer, Identity
from runtime.supervisor import passwords
from runtime.supervisor.passwords import Secrets
from tests.support.daemons import make_test_node


@dataclass
class Api:
    """Nodes, and Secrets of their passwords."""

    nodes: set[str] = field(default_factory=lambda: {"n1", "n2"})
    secrets: set[str] = field(default_factory=lambda: {"n1", "n2", "joining"})
    status: int = 200

    async def ask(self, url: str, identity: Identity, **given: Any) -> Answer:
        if url.endswith("/api/v1/nodes"):
            body = {"items": [{"metadata": {"name": name}} for name in self.nodes]}
            return Answer(status=self.status, body=json.dumps(body).encode())
        name = url.rpartition("/")[2].removesuffix(".node-password.rke2")
        assert given["method"] == "DELETE"
        known = name in self.secrets
        self.secrets.discard(name)
        return Answer(status=200 if known else 404, body=b"{}")


def looks(tmp_path: Path, api: Api, monkeypatch: pytest.MonkeyPatch) -> tuple[Any, list[str]]:
    said: list[str] = []
    node = make_test_node(tmp_path / "rke2", tmp_path, say=said.append)
    for where in (module, passwords):
        monkeypatch.setattr(where, "ask", api.ask)
    store = Secrets(url="https://127.0.0.1:6443", identity=Identity())
    return lambda seen: asyncio.run(module.look(node, store, seen)), said


def test_a_deleted_node_s_name_is_free_and_one_that_is_joining_keeps_its_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    api = Api()
    look, said = looks(tmp_path, api, monkeypatch)
    seen = look(frozenset())
    assert api.secrets == {"n1", "n2", "joining"}
    api.nodes.remove("n2")
    assert look(seen) == {"n1"}
    assert api.secrets == {"n1", "joining"} and said == ["n2 was deleted: another machine may have the name now"]


def test_another_server_may_have_been_faster(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    api = Api(nodes={"n1"}, secrets={"n1"})
    look, said = looks(tmp_path, api, monkeypatch)
    assert look(frozenset({"n1", "n2"})) == {"n1"} and said == []


def test_no_answer_frees_no_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    api = Api(nodes=set(), status=503)
    look, _ = looks(tmp_path, api, monkeypatch)
    with pytest.raises(SealiftError, match="cannot be listed"):
        look(frozenset({"n1", "n2"}))
    assert api.secrets == {"n1", "n2", "joining"}


@pytest.mark.parametrize("document", [None, {}, {"items": [{}]}, [], {"items": 3}])
def test_what_is_no_list_of_nodes_frees_no_name(document: Any) -> None:
    with pytest.raises(SealiftError, match="not a list"):
        module.read_names(document)
