"""The keys of Secrets travel through etcd: every server takes over what the cluster's document there says.

k3s writes them into its datastore and has the other servers restarted. Here each server looks every few seconds, and
before its apiserver starts, so that one that was away never writes with a key that the others have forgotten.
"""

import asyncio
from dataclasses import dataclass, field

from runtime.entropy import Entropy
from runtime.etcd.gateway import Gateway
from runtime.etcd.shared import SharedDocument
from runtime.nodeconf.model import NodeConfig
from runtime.nodefiles import settle
from runtime.secretkeys.config import keys_in, read_keys
from runtime.tokens import read_secrets


@dataclass(slots=True)
class Adoption:
    """What this server has taken over; opening the document costs 0.1 s, so only one that changed is opened."""

    node: NodeConfig
    gateway: Gateway
    entropy: Entropy
    last: tuple[str, bytes] | None = field(default=None, repr=False)
    missing: bool = False  # nothing stands in etcd for this server's token

    async def look(self) -> str:
        """Brings the files to what the cluster has; the writing key's name when that changed them, else empty.

        Nothing is there before a cluster's first server has put it there. Raises SealiftError when etcd does not
        answer, FormatError and TrustError for a document that must not replace anything.
        """
        secret = (await asyncio.to_thread(read_secrets, self.node)).server
        shared = SharedDocument(gateway=self.gateway, secret=secret, entropy=self.entropy)
        sealed = await shared.sealed()
        self.missing = sealed is None
        if sealed is None or self.last == (secret, sealed):
            return ""
        self.last = secret, sealed  # one that is wrong is told once, not every few seconds
        config, state = keys_in((await shared.open(sealed)).document, where="etcd")
        keys = read_keys(config, where="etcd")
        changed = await asyncio.to_thread(self._write, config, state)
        return keys[0].name if changed else ""

    def _write(self, config: bytes, state: bytes) -> bool:
        paths = self.node.paths
        return any((settle(paths.encryption_config, config), settle(paths.encryption_state, state)))
