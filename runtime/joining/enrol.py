"""An agent's files below DATA/agent: authorities, and certificates for keys that are made here and stay here.

k3s pkg/agent/config. Certificates are asked for again when what the server would sign has changed, or when they near
their end; those that are good are kept, so that an agent starts while its servers are down.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from http import HTTPStatus
from pathlib import Path
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding

from bundles.errors import FormatError
from runtime.entropy import Entropy
from runtime.joining.supervisor import SupervisorClient
from runtime.nodeconf.model import NodeConfig, joined
from runtime.nodefiles import PUBLIC_FILE, SECRET_FILE, read_file, settle, tighten
from runtime.pki.certificates import Key, key_pem, read_chain, read_key, reason_to_renew
from runtime.pki.ensure import secret_folder
from runtime.pki.plan import Leaf, agent_leaves

AUTHORITY: Final = "server-ca.crt"
CLIENT_AUTHORITY: Final = "client-ca.crt"
_OK: Final = HTTPStatus.OK


@dataclass(frozen=True, kw_only=True, slots=True)
class Enrolment:
    """What joining needs: the machine's `password`, the time (aware, UTC), randomness, and words for the journal."""

    node: NodeConfig
    client: SupervisorClient
    password: str = field(repr=False)
    now: datetime
    entropy: Entropy
    say: Callable[[str], None]

    async def run(self) -> int:
        """Brings all files to what they have to be; returns how many certificates were issued.

        Raises TrustError for a refusal, NotYetError for a server that is not ready, FormatError for an answer that is
        none.
        """
        agent = self.node.paths.agent
        secret_folder(agent)
        authority = await self.client.get(CLIENT_AUTHORITY)
        read_chain(authority, f"{self.client.url}: {CLIENT_AUTHORITY}")
        settle(agent / CLIENT_AUTHORITY, authority, PUBLIC_FILE)
        issued = 0
        for leaf in agent_leaves(self.node):
            reason = reason_for(agent, leaf, self.now)
            if reason:
                await self._issue(leaf)
                issued += 1
                if reason != _ABSENT:
                    self.say(f"renewed {agent / leaf.path}.crt: {reason}")
        return issued

    async def _issue(self, leaf: Leaf) -> None:
        agent = self.node.paths.agent
        key = self._key(agent / f"{leaf.path}.key")
        headers = {
            "rke2-Node-Name": self.node.node_name,
            "rke2-Node-Password": self.password,
            "rke2-Node-IP": joined(self.node.node_ips),
        }
        data = await self.client.post(f"{leaf.path}.crt", _request(key), headers)
        where = f"{self.client.url}: {leaf.path}.crt"
        certificate = read_chain(data, where)[0]
        if reason := _unusable(agent, certificate, leaf, key, self.now):
            raise FormatError("the server issued another certificate than was asked for", where=where, got=reason)
        settle(agent / f"{leaf.path}.crt", data, PUBLIC_FILE)

    def _key(self, path: Path) -> Key:
        if (found := read_file(path)) is not None:
            tighten(path, SECRET_FILE)
            return read_key(found, path)
        key = self.entropy.signing_key()
        settle(path, key_pem(key), SECRET_FILE)
        return key


_ABSENT: Final = "not there"


def reason_for(agent: Path, leaf: Leaf, now: datetime) -> str:
    """Why the certificate of `leaf` in the folder `agent` has to be asked for; empty when it is good."""
    crt, key = (read_file(agent / f"{leaf.path}.{suffix}") for suffix in ("crt", "key"))
    if crt is None or key is None:
        return _ABSENT
    return _unusable(agent, read_chain(crt, f"{leaf.path}.crt")[0], leaf, read_key(key, f"{leaf.path}.key"), now)


def has_all(node: NodeConfig, now: datetime) -> bool:
    """Whether everything an agent needs is there and good: it may start without asking anybody."""
    try:
        return not any(reason_for(node.paths.agent, leaf, now) for leaf in agent_leaves(node))
    except FormatError:
        return False


def _unusable(agent: Path, certificate: x509.Certificate, leaf: Leaf, key: Key, now: datetime) -> str:
    name = f"{leaf.authority.path}.crt"
    authority = read_file(agent / name)
    if authority is None:
        return _ABSENT
    return reason_to_renew(certificate, leaf, key, read_chain(authority, agent / name)[0], now)


def _request(key: Key) -> bytes:
    """PKCS #10 in DER, without a name: the server knows whom it talks to."""
    builder = x509.CertificateSigningRequestBuilder().subject_name(x509.Name([]))
    return builder.sign(key, hashes.SHA256()).public_bytes(Encoding.DER)
