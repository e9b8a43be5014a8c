"""The command `pull`: from a token and a server's address to an admitted bundle."""

import asyncio
import contextlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from bundles.digest import Digest
from bundles.errors import TrustError
from bundles.files import write_atomic
from bundles.talk import Progress
from runtime.folders import SECRET_MODE, ensure_folder
from runtime.host import platform
from runtime.joining.artifact import MAX_MANIFEST
from runtime.joining.pull import Pull
from runtime.joining.registry import Registry
from runtime.joining.servers import first_server
from runtime.joining.supervisor import SupervisorClient
from runtime.layout import NodeLayout
from runtime.nodeconf.model import Token
from runtime.nodefiles import SECRET_FILE, read_file
from runtime.stage import StageReport
from runtime.supervisor.token import AGENT_USER, JoinToken
from runtime.tokens import configured
from runtime.trusting import policies
from runtime.trusting.gate import Asked, passing
from runtime.trusting.places import TrustPlaces

_REFUSED: Final = "refused"


@dataclass(frozen=True, kw_only=True, slots=True)
class Given:
    """What the command line gives: `url` of a server, the join token's file, the data directory.

    `now` in epoch seconds, `clock` seconds that never go back, `sleep` waits for seconds.
    """

    url: str
    token_file: Path
    layout: NodeLayout
    now: int
    clock: Callable[[], float]
    sleep: Callable[[float], None]
    progress: Progress
    say: Callable[[str], None]


def pull_bundle(given: Given) -> StageReport:
    """Trusts the server as far as the token goes, then fetches and admits.

    Raises UsageError and FormatError for address and token, TrustError when nobody vouches for the server or the
    bundle is refused, NotYetError for a server that does not answer.
    """
    url = f"https://{first_server(given.url)}"
    token = configured(Token(file=given.token_file), default_user=AGENT_USER)
    assert token is not None
    refuse_unpinned(given.layout, token)
    folder = given.layout.pulled
    ensure_folder(folder, SECRET_MODE)
    authority = folder / "server-ca.crt"
    asyncio.run(SupervisorClient(url=url, authority=authority, token=token).trust())
    registry = Registry(url=url, authority=authority, token=token, clock=given.clock)
    manifest = registry.manifest(MAX_MANIFEST)
    with (
        _remembering(given.layout, manifest),
        passing(given.layout, Asked(server=True), event="pull", what=url, now=given.now, say=given.say) as gate,
    ):
        if gate.trust.kind == "server":
            given.say("warning: no policy is in force: the bundle is believed because the cluster's server gives it")
        work = Pull(
            registry=registry,
            manifest=manifest,
            layout=given.layout,
            gate=gate,
            platform=platform(),
            progress=given.progress,
            say=given.say,
            sleep=given.sleep,
        )
        return work.run()


@contextlib.contextmanager
def _remembering(layout: NodeLayout, manifest: bytes) -> Iterator[None]:
    """A refused bundle is refused once: who asks every minute must not fill the audit log, nor fetch it again.

    Raises TrustError for a bundle that was refused under the same policy.
    """
    standing = policies.installed(TrustPlaces.of(layout))
    key = f"{Digest.of(manifest)} {standing.policy.digest if standing else '-'}"
    path = layout.pulled / _REFUSED
    before, _, words = (read_file(path) or b"").decode("utf-8", "replace").partition("\n")
    if before == key:
        hint = f"run `sealift-node stage` with a bundle that is to run here, or remove {path} to ask again"
        raise TrustError(words or "refused before", where=layout.data, hint=hint)
    try:
        yield
    except TrustError as exc:
        write_atomic(path, f"{key}\n{exc.message}".encode(), mode=SECRET_FILE)
        raise


def refuse_unpinned(layout: NodeLayout, token: JoinToken) -> None:
    """Raises TrustError for a token without a hash where no policy is in force: anybody could give the bundle."""
    if token.authority is None and policies.installed(TrustPlaces.of(layout)) is None:
        hint = "copy the whole line of server/node-token (K10...), or put a policy in force, or stage a bundle"
        raise TrustError("the token names no authority: a bundle of whoever answers is not taken", hint=hint)
