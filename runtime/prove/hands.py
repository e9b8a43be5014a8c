"""How a proof reaches into its machine: the bundle's own kubectl and ctr, a page from here or from next door."""

import contextlib
import sys
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from runtime.layout import DEFAULT_DATA_DIR
from runtime.nodepaths import NodePaths
from runtime.process import Child
from runtime.prove.namespaces import Machine, Switch

PATHS: Final = NodePaths(DEFAULT_DATA_DIR)
BIN: Final = DEFAULT_DATA_DIR / "bin"
API_SOCKET: Final = Path("/run/sealift-api.sock")
_TIMEOUT: Final = 90.0  # seconds; longer than any timeout that checks give to kubectl
_FETCH: Final = """
import ssl, sys, urllib.request as web
url, host = sys.argv[1:]
opener = web.build_opener(web.ProxyHandler({}), web.HTTPSHandler(context=ssl._create_unverified_context()))
try:
    page = opener.open(web.Request(url, headers={"Host": host}), timeout=10).read(65536)
except OSError as error:
    sys.exit(f"{url} as {host}: {error}")
print(page.decode("utf-8", "replace"), end="")
"""


@dataclass(frozen=True, slots=True)
class MachineHands:
    """See checks.Hands."""

    machine: Machine
    switch: Switch

    async def kubectl(self, *arguments: str, feed: bytes | None = None) -> str:
        """See Hands."""
        output = await self.machine.call([*_kubectl(), *arguments], feed=feed, timeout=_TIMEOUT)
        return output.text

    @contextlib.asynccontextmanager
    async def forwarding(self, *arguments: str) -> AsyncIterator[None]:
        """See Hands."""
        child = await self.start_kubectl("forward", *arguments)
        try:
            yield
        finally:
            await child.stop(0.0)

    async def start_kubectl(self, name: str, *arguments: str) -> Child:
        """Starts kubectl; what it says stands in `NAME.log` of the machine's folder."""
        return await self.machine.start([*_kubectl(), *arguments], log=self.machine.home / f"{name}.log")

    async def fetch(self, url: str, *, neighbour: bool, host: str = "") -> str:
        """See Hands."""
        if host:
            return await self._fetch_as(url, host, neighbour=neighbour)
        parts = urlsplit(url)
        command = [str(BIN / "kubectl"), f"--server=http://{parts.netloc}", "--request-timeout=10s"]
        where = self.switch if neighbour else None
        output = await self.machine.call([*command, "get", "--raw", parts.path], timeout=30.0, network_of=where)
        return output.text

    async def _fetch_as(self, url: str, host: str, *, neighbour: bool) -> str:
        """kubectl cannot say another name than it connects to."""
        where = self.switch if neighbour else None
        output = await self.machine.call(
            [sys.executable, "-I", "-S", "-c", _FETCH, url, host], timeout=30.0, network_of=where
        )
        return output.text

    async def ctr(self, *arguments: str) -> str:
        """Runs ctr on the images and containers of the node -> its output. Raises SealiftError."""
        command = [str(BIN / "ctr"), "-a", str(PATHS.socket), "-n", "k8s.io"]
        return (await self.machine.call([*command, *arguments])).text


def _kubectl() -> tuple[str, ...]:
    return (str(BIN / "kubectl"), "--kubeconfig", str(PATHS.admin_kubeconfig))
