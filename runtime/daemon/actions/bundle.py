"""The stage `bundle`: a machine that joins and has no bundle gets its server's.

Fetching is a process of its own, `sealift-node pull`: it ends with the daemon's stop, and the daemon does not keep its
memory. The token goes to it through a pipe: arguments and environments are seen by others.
"""

import asyncio
import sys
from typing import Final

from bundles.errors import SealiftError, TrustError
from runtime import admitted, process
from runtime.daemon.actions.balance import client_of
from runtime.daemon.actions.inherit import server_client
from runtime.daemon.context import Node, public_environment
from runtime.daemon.runner import Control
from runtime.folders import remove
from runtime.joining.servers import first_server
from runtime.joining.supervisor import SupervisorClient

_PULL: Final = "from runtime.cli import main; main()"
_SECONDS: Final = 24 * 3600.0


async def have_bundle(node: Node, control: Control) -> str:
    """Nothing to do where one is admitted, and where no server is joined: what comes next says what is missing.

    Raises TrustError when the bundle or the token is refused, SealiftError with the words of `pull` otherwise.
    """
    record = await asyncio.to_thread(admitted.read, node.layout.admitted)
    if record is not None:
        await asyncio.to_thread(remove, node.layout.pulled)  # what was begun before somebody staged one
        return record.bundle
    if node.config.server_url is None:
        return "none is staged"
    client = _client(node)
    node.say(f"no bundle is staged here: fetching the one of {first_server(node.config.server_url)}")
    words = ["pull", "--server", client.url, "--token-file", "/dev/stdin", "--data-dir", str(node.layout.data)]
    argv = [sys.executable, "-P", "-c", _PULL, *words, "--progress", "plain"]

    def heard(line: str) -> None:
        if line.startswith("warning:"):
            node.say(line)
        control.told(line)

    output = await process.call(
        argv,
        env=public_environment(node.environment),
        feed=process.feed_bytes(client.token.text.encode()),
        timeout=_SECONDS,
        check=False,
        heard=heard,
    )
    if output.code != 0:
        complaint = output.complaint.rpartition("error: ")[2]
        raise TrustError(complaint) if output.code == TrustError.exit_code else SealiftError(complaint)
    record = await asyncio.to_thread(admitted.read, node.layout.admitted)
    return f"{record.bundle if record else 'nothing'}, fetched"


def _client(node: Node) -> SupervisorClient:
    return client_of(node) if node.config.role == "agent" else server_client(node)
