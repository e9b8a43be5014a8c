"""A machine without a bundle gets its server's: the same gate as staging, and nothing that a bad server can do."""

import asyncio
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from bundles.errors import FormatError, LimitError, MissingError, SealiftError, TrustError
from bundles.platform import Platform
from bundles.talk import SilentProgress
from runtime import admitted
from runtime.commands import pull as command
from runtime.joining import pulling
from runtime.joining.artifact import read_artifact
from runtime.joining.supervisor import NotYetError
from runtime.layout import NodeLayout
from runtime.trusting import audit
from runtime.trusting.places import TrustPlaces
from tests.support import trusting
from tests.support.bundles import CORE, tree
from tests.support.hostileregistry import Handler, Liar, plain
from tests.support.nodedirs import TestNode
from tests.support.supervisors import Site

MACHINE = Platform.parse("linux/amd64")


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return trusting.bundle(tmp_path_factory.mktemp("usb"), "release")


@pytest.fixture(scope="module")
def unsigned(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return trusting.bundle(tmp_path_factory.mktemp("usb"))


class Agent:
    """A machine with an empty data directory."""

    def __init__(self, folder: Path, site: Site) -> None:
        self.layout = NodeLayout.at(folder / "agent" / "rke2")
        self.layout.data.mkdir(parents=True)
        self.folder, self.site, self.said = folder, site, list[str]()
        self.token = site.token().text
        self.clock: Callable[[], float] = time.monotonic

    def pull(self, port: int) -> str:
        file = self.folder / "token"
        file.write_text(self.token + "\n")
        given = pulling.Given(
            url=f"https://127.0.0.1:{port}",
            token_file=file,
            layout=self.layout,
            now=trusting.NOW,
            clock=self.clock,
            sleep=lambda seconds: None,
            progress=SilentProgress(),
            say=self.said.append,
        )
        return pulling.pull_bundle(given).bundle

    def policy(self, run: trusting.Run, **changes: Any) -> None:
        path = trusting.write_policy(self.folder / "policy", **changes)
        assert run("policy", "update", path, "--data-dir", self.layout.data)[0] == 0

    @property
    def trust(self) -> str:
        record = admitted.read(self.layout.admitted)
        assert record is not None and record.decided is not None
        return record.decided.trust

    @property
    def log(self) -> list[tuple[str, str]]:
        return [(entry.event, entry.result) for entry in audit.read(TrustPlaces.of(self.layout).audit)]


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> trusting.Run:
    def call(*arguments: object) -> tuple[int, str, str]:
        from runtime import cli

        code = cli.run(list(map(str, arguments)))
        return code, *capsys.readouterr()

    return call


def from_server(tmp_path: Path, bundle: Path, work: Callable[[Agent, Site], Any]) -> tuple[Agent, Any]:
    """Runs `work` while a real supervisor serves the bundle."""
    node = TestNode(tmp_path / "server")
    node.stage(bundle)
    site = Site(tmp_path, layout=node.layout)
    agent = Agent(tmp_path, site)

    async def serve() -> Any:
        async with site.open():
            return await asyncio.to_thread(work, agent, site)

    return agent, asyncio.run(serve())


def pull(agent: Agent, site: Site) -> str:
    return agent.pull(site.port)


def test_an_empty_machine_has_its_server_s_bundle_byte_for_byte_afterwards(tmp_path: Path, unsigned: Path) -> None:
    agent, name = from_server(tmp_path, unsigned, pull)
    kept = agent.layout.bundles / name
    assert name == unsigned.name and tree(kept) == tree(unsigned)
    assert (agent.layout.images / Path(CORE).name).samefile(kept / CORE)
    assert not agent.layout.pulled.exists()


def test_that_a_server_s_word_was_enough_is_recorded_and_told(tmp_path: Path, unsigned: Path) -> None:
    agent, _ = from_server(tmp_path, unsigned, pull)
    assert (agent.trust, agent.log) == ("server", [("pull", "admitted")])
    assert any("no policy is in force" in line for line in agent.said)


def test_a_policy_in_force_decides_and_its_signers_count(tmp_path: Path, bundle: Path, run: trusting.Run) -> None:
    def work(agent: Agent, site: Site) -> str:
        agent.policy(run)
        return agent.pull(site.port)

    agent, _ = from_server(tmp_path, bundle, work)
    assert agent.trust == "policy" and agent.log[-1] == ("pull", "admitted")


def test_what_the_policy_refuses_is_refused_once_and_before_its_archives_are_fetched(
    tmp_path: Path, unsigned: Path, run: trusting.Run
) -> None:
    site = Site(tmp_path)
    agent = Agent(tmp_path, site)
    agent.policy(run)
    with Liar.of(site, unsigned).listening() as server:
        for _ in range(3):
            with pytest.raises(TrustError, match="not signed"):
                agent.pull(server.port)
        assert [name for name, _ in server.asked] == ["bundle.json"]
    assert agent.log.count(("pull", "refused")) == 1
    assert admitted.read(agent.layout.admitted) is None


def test_a_token_without_a_hash_brings_no_bundle_unless_a_policy_decides(
    tmp_path: Path, bundle: Path, run: trusting.Run
) -> None:
    def work(agent: Agent, site: Site) -> str:
        agent.token = site.token().secret
        with pytest.raises(TrustError, match="names no authority"):
            agent.pull(site.port)
        agent.policy(run)
        return agent.pull(site.port)

    assert from_server(tmp_path, bundle, work)[1] == bundle.name


def test_a_server_of_another_cluster_gives_nothing(tmp_path: Path, bundle: Path) -> None:
    def work(agent: Agent, site: Site) -> None:
        agent.token = f"K10{'0' * 64}::node:secret"
        with pytest.raises(TrustError, match="another authority"):
            agent.pull(site.port)

    from_server(tmp_path, bundle, work)


def test_a_wrong_token_is_refused_in_words(tmp_path: Path, bundle: Path) -> None:
    def work(agent: Agent, site: Site) -> None:
        agent.token = site.token(secret="wrong").text
        with pytest.raises(TrustError, match="refuses the token"):
            agent.pull(site.port)

    from_server(tmp_path, bundle, work)


def test_a_bundle_for_another_machine_is_not_fetched(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    arm = trusting.bundle(tmp_path / "arm", platform="linux/arm64")
    site = Site(tmp_path)
    agent = Agent(tmp_path, site)
    (arm / "sha256sum-amd64.txt").unlink()
    with Liar.of(site, arm).listening() as server:
        with pytest.raises(FormatError, match="for another platform"):
            agent.pull(server.port)
        assert [name for name, _ in server.asked] == ["bundle.json"]


def test_a_server_without_a_bundle_is_asked_again_later(tmp_path: Path) -> None:
    site = Site(tmp_path)
    agent = Agent(tmp_path, site)

    async def serve() -> None:
        async with site.open():
            with pytest.raises(NotYetError, match="no such file"):
                await asyncio.to_thread(agent.pull, site.port)

    asyncio.run(serve())


# What a bad server can do.


def lied(tmp_path: Path, bundle: Path) -> tuple[Agent, Liar]:
    site = Site(tmp_path)
    return Agent(tmp_path, site), Liar.of(site, bundle)


def refused(agent: Agent, liar: Liar, error: type[SealiftError], words: str) -> None:
    with liar.listening() as server, pytest.raises(error, match=words):
        agent.pull(server.port)
    assert admitted.read(agent.layout.admitted) is None
    assert not list(agent.layout.images.glob("*")) and not list(agent.layout.bundles.glob("*"))


def test_other_bytes_than_promised_are_not_taken(tmp_path: Path, bundle: Path) -> None:
    agent, liar = lied(tmp_path, bundle)
    liar.answers[CORE] = lambda handler, data: plain(handler, data[:-1] + bytes([data[-1] ^ 1]))
    refused(agent, liar, FormatError, "other bytes than it said")


def test_other_files_than_bundle_json_lists_are_not_fetched(tmp_path: Path, bundle: Path) -> None:
    """The server's manifest is consistent with what it sends: it is bundle.json that says otherwise."""
    agent, liar = lied(tmp_path, bundle)
    liar.files[CORE] += bytes(1024)
    refused(agent, liar, FormatError, "another file than bundle.json says")
    assert CORE not in [name for name, _ in liar.asked]


@pytest.mark.parametrize(
    "name", ["../../etc/cron.d/x", "/etc/passwd", "images/../../x", "a//b", ".hidden", "a\nb", "a/b/c/d/e/f/g/h/i"]
)
def test_no_file_comes_to_lie_elsewhere(tmp_path: Path, bundle: Path, name: str) -> None:
    agent, liar = lied(tmp_path, bundle)
    liar.files[name] = b"x"
    refused(agent, liar, FormatError, "not a path in a bundle")


def test_unlisted_and_missing_files_are_refused_before_anything_large(tmp_path: Path, bundle: Path) -> None:
    agent, liar = lied(tmp_path, bundle)
    liar.files["images/more.tar"] = b"x"
    refused(agent, liar, FormatError, "not listed in bundle.json")
    del liar.files["images/more.tar"], liar.files[CORE]
    refused(agent, liar, MissingError, "missing from the bundle")


def test_a_file_that_never_ends_is_not_read_on(tmp_path: Path, bundle: Path) -> None:
    sent = []

    def endless(handler: Handler, data: bytes) -> None:
        handler.send_response(200)
        handler.end_headers()
        while True:
            sent.append(handler.wfile.write(bytes(1 << 16)))

    agent, liar = lied(tmp_path, bundle)
    for name in ("", CORE):
        liar.answers = {name: endless}
        refused(agent, liar, FormatError, "does not end" if not name else "another size")
    assert sum(sent) < 32 << 20


def test_more_bytes_behind_a_right_length_are_never_read(tmp_path: Path, bundle: Path) -> None:
    def more(handler: Handler, data: bytes) -> None:
        plain(handler, data)
        handler.wfile.write(bytes(1 << 20))

    agent, liar = lied(tmp_path, bundle)
    liar.answers = {CORE: more}
    with liar.listening() as server:
        assert agent.pull(server.port) == bundle.name


@pytest.mark.parametrize("name", ["bundle.json", "bundle.json.sig", "sbom.spdx.sigstore.json"])
def test_sizes_are_bounded_before_anything_is_fetched(tmp_path: Path, bundle: Path, name: str) -> None:
    agent, liar = lied(tmp_path, bundle)
    liar.files.setdefault(name, b"x")
    liar.layers = lambda layers: [
        layer | {"size": 1 << 40} if name in layer["annotations"].values() else layer for layer in layers
    ]
    refused(agent, liar, LimitError, "too large")
    assert liar.asked == []


def test_a_cut_connection_goes_on_where_it_ended(tmp_path: Path, bundle: Path) -> None:
    agent, liar = lied(tmp_path, bundle)
    half = len(liar.files[CORE]) // 2

    def cut(handler: Handler, data: bytes) -> None:
        liar.answers.pop(CORE)
        handler.send_response(200)
        handler.send_header("Content-Length", str(len(data)))
        handler.end_headers()
        handler.wfile.write(data[:half])

    liar.answers = {CORE: cut}
    with liar.listening() as server:
        agent.pull(server.port)
    assert [found for name, found in liar.asked if name == CORE] == ["", f"bytes={half}-"]


def test_what_was_fetched_before_the_end_of_the_process_is_not_fetched_again(tmp_path: Path, bundle: Path) -> None:
    agent, liar = lied(tmp_path, bundle)
    half = len(liar.files[CORE]) // 2

    def gone(handler: Handler, data: bytes) -> None:
        handler.send_response(200 if not handler.headers.get("Range") else 503)
        handler.send_header("Content-Length", str(len(data)))
        handler.end_headers()
        handler.wfile.write(data[:half])

    liar.answers = {CORE: gone}
    refused(agent, liar, NotYetError, "busy")
    liar.answers, liar.asked = {}, []
    with liar.listening() as server:
        agent.pull(server.port)
    ranges = dict(liar.asked)
    assert ranges[CORE] == f"bytes={half}-" and "bundle.json" not in ranges


def test_a_server_that_sends_the_whole_again_instead_of_the_rest_is_not_mixed_up(tmp_path: Path, bundle: Path) -> None:
    agent, liar = lied(tmp_path, bundle)

    def forgetful(handler: Handler, data: bytes) -> None:
        handler.send_response(200)
        handler.send_header("Content-Length", str(len(data)))
        handler.end_headers()
        handler.wfile.write(data[: len(data) // 2])

    liar.answers = {CORE: forgetful}
    refused(agent, liar, FormatError, "does not send parts of files")


def test_a_server_that_drips_is_hung_up_on_and_what_came_stays(tmp_path: Path, bundle: Path) -> None:
    agent, liar = lied(tmp_path, bundle)
    moments = iter(range(0, 10**9, 40))
    agent.clock = lambda: float(next(moments))

    def drip(handler: Handler, data: bytes) -> None:
        write = handler.wfile.write

        def slowly(piece: bytes) -> int:
            for at in range(0, len(piece), 400):
                write(piece[at : at + 400])
                time.sleep(0.01)
            return len(piece)

        handler.wfile.write = slowly  # type: ignore[assignment, method-assign]
        plain(handler, data)

    liar.answers = {"bundle.json": drip}
    with liar.listening() as server:
        assert agent.pull(server.port) == bundle.name
    assert len([name for name, _ in liar.asked if name == "bundle.json"]) > 1
    assert any("too slow" in line for line in agent.said)


def test_another_bundle_in_the_middle_begins_anew(tmp_path: Path, bundle: Path) -> None:
    agent, liar = lied(tmp_path, bundle)
    liar.answers = {CORE: lambda handler, data: handler.send_error(404)}
    refused(agent, liar, NotYetError, "another bundle now")
    other = trusting.bundle(tmp_path / "other", version="v1.34.5-rke2r1")
    fresh = Liar.of(agent.site, other)
    with fresh.listening() as server:
        assert agent.pull(server.port) == other.name
    assert tree(agent.layout.bundles / other.name) == tree(other)


def test_a_bundle_that_is_staged_meanwhile_stays(tmp_path: Path, bundle: Path, unsigned: Path) -> None:
    agent, liar = lied(tmp_path, bundle)
    node = TestNode(tmp_path / "agent")
    other = trusting.bundle(tmp_path / "other", version="v1.34.5-rke2r1")

    def meanwhile(handler: Handler, data: bytes) -> None:
        node.stage(other)
        plain(handler, data)

    liar.answers = {CORE: meanwhile}
    with liar.listening() as server, pytest.raises(SealiftError, match="staged meanwhile"):
        agent.pull(server.port)
    record = admitted.read(agent.layout.admitted)
    assert record is not None and record.bundle == other.name


@pytest.mark.parametrize("data", [b"", b"[]", b"{}", b"null", b'{"schemaVersion":2}', b"\xff", b"{" * 100])
def test_what_is_no_manifest_is_an_error_in_words(data: bytes) -> None:
    with pytest.raises(SealiftError):
        read_artifact(data, where="test")


def test_the_command_says_where_the_bundle_is(tmp_path: Path, bundle: Path, run: trusting.Run) -> None:
    def work(agent: Agent, site: Site) -> tuple[int, str, str]:
        (tmp_path / "token").write_text(agent.token)
        words = ("--server", f"https://127.0.0.1:{site.port}", "--token-file", tmp_path / "token")
        return run(command.pull.name, *words, "--data-dir", agent.layout.data, "--json")

    agent, (code, out, err) = from_server(tmp_path, bundle, work)
    assert (code, json.loads(out)["bundle"]) == (0, bundle.name)
    assert agent.site.token().secret not in out + err
