"""A real supervisor on a loopback port, with authorities of its own, and clients for it."""

import asyncio
import base64
import contextlib
import ssl
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding

from bundles.errors import SealiftError
from runtime.entropy import SystemEntropy
from runtime.layout import NodeLayout
from runtime.pki.certificates import Signer, certificate_pem, key_pem, make_authority, make_leaf
from runtime.pki.plan import CLIENT_CA, SERVER_CA, Leaf
from runtime.supervisor import token
from runtime.supervisor.bootstraps import BootstrapToken
from runtime.supervisor.callers import Secrets
from runtime.supervisor.catalogue import read_catalogue
from runtime.supervisor.facts import Facts
from runtime.supervisor.limits import Limits
from runtime.supervisor.passwords import NodePasswords
from runtime.supervisor.serve import Supervisor, listening, server_context
from runtime.supervisor.table import Route

NOW = datetime(2026, 11, 21, tzinfo=UTC)
SERIAL = b"s" * 16
SERVER_SECRET = "the-server-secret"
AGENT_SECRET = "the-agent-secret"


@dataclass(slots=True)
class MemoryPasswords:
    """A PasswordStore in memory; `broken` answers nothing, as a cluster that is not up."""

    hashes: dict[str, str] = field(default_factory=dict)
    broken: bool = False

    async def get(self, node: str) -> str | None:
        await asyncio.sleep(0)
        self._refuse()
        return self.hashes.get(node)

    async def create(self, node: str, stored: str) -> bool:
        await asyncio.sleep(0)
        self._refuse()
        return self.hashes.setdefault(node, stored) == stored

    def _refuse(self) -> None:
        if self.broken:
            raise SealiftError("no answer")


@dataclass(slots=True)
class Site:
    """Authorities, a supervisor's files in `folder`, and what it knows."""

    folder: Path
    servers: Signer = field(init=False)
    clients: Signer = field(init=False)
    passwords: MemoryPasswords = field(default_factory=MemoryPasswords)
    ready: bool = True
    said: list[str] = field(default_factory=list)
    port: int = 0
    layout: NodeLayout | None = None
    itself: dict[str, str] = field(default_factory=dict)
    bootstraps: dict[str, BootstrapToken] = field(default_factory=dict)

    def __post_init__(self) -> None:
        entropy = SystemEntropy()
        now = datetime.now(UTC)
        for name, authority in (("servers", SERVER_CA), ("clients", CLIENT_CA)):
            key = entropy.signing_key()
            chain = (make_authority(authority, key, now=now, serial=SERIAL),)
            setattr(self, name, Signer(chain=chain, key=key))
        leaf = Leaf(
            path="s", authority=SERVER_CA, common_name="s", names=("localhost",), addresses=("127.0.0.1",), server=True
        )
        key = entropy.signing_key()
        certificate = make_leaf(leaf, key.public_key(), self.servers, now=now, serial=b"t" * 16)
        (self.folder / "s.crt").write_bytes(certificate_pem(certificate))
        (self.folder / "s.key").write_bytes(key_pem(key))
        (self.folder / "client-ca.crt").write_bytes(certificate_pem(*self.clients.chain))
        (self.folder / "server-ca.crt").write_bytes(self.authority)

    @property
    def authority(self) -> bytes:
        return certificate_pem(*self.servers.chain)

    def token(self, user: str = "node", secret: str = AGENT_SECRET) -> token.JoinToken:
        return token.JoinToken(authority=token.authority_hash(self.authority), user=user, secret=secret)

    def facts(self) -> Facts:
        return Facts(
            server_authority=self.authority,
            client_authority=certificate_pem(*self.clients.chain),
            servers=self.servers,
            clients=self.clients,
            now=datetime.now(UTC),
            serial=SystemEntropy().octets(16),
            ready=self.ready,
            apiservers=("127.0.0.1:6443",),
            config={"ClusterDomain": "cluster.local"},
            bootstrap={"ServerCA": "x"},
            members={"members": []},
            metrics=b"sealift_up 1\n",
            catalogue=read_catalogue(self.layout) if self.layout else None,
        )

    async def bootstrap(self, identity: str) -> BootstrapToken | None:
        await asyncio.sleep(0)
        if self.passwords.broken:
            raise SealiftError("no answer")
        return self.bootstraps.get(identity)

    @contextlib.asynccontextmanager
    async def open(self, limits: Limits | None = None) -> AsyncIterator["Site"]:
        async def facts(route: Route) -> Facts:
            return self.facts()

        gate = asyncio.Semaphore(1)
        supervisor = Supervisor(
            secrets=lambda: Secrets(server=SERVER_SECRET, agent=AGENT_SECRET),
            facts=facts,
            passwords=NodePasswords(
                store=self.passwords,
                octets=SystemEntropy().octets,
                gate=gate,
                itself=lambda name: self.itself.get(name),
            ),
            say=self.said.append,
            limits=limits or Limits(),
            bootstraps=self.bootstrap,
        )
        names = (self.folder / "s.crt", self.folder / "s.key", self.folder / "client-ca.crt")
        async with listening(supervisor, "127.0.0.1", 0, server_context(*map(str, names))) as server:
            self.port = server.sockets[0].getsockname()[1]
            yield self

    def client_context(self) -> ssl.SSLContext:
        return ssl.create_default_context(cafile=str(self.folder / "server-ca.crt"))

    def node_certificate(self, name: str = "node-1", group: str = "system:nodes") -> tuple[Path, Path]:
        """A certificate of a node that has joined, or of another group."""
        leaf = Leaf(
            path="n",
            authority=CLIENT_CA,
            common_name=f"system:node:{name}",
            organization=group,
            client=True,
        )
        key = SystemEntropy().signing_key()
        certificate = make_leaf(leaf, key.public_key(), self.clients, now=datetime.now(UTC), serial=b"u" * 16)
        crt, key_file = self.folder / f"{name}.crt", self.folder / f"{name}.key"
        crt.write_bytes(certificate_pem(certificate))
        key_file.write_bytes(key_pem(key))
        return crt, key_file


def basic(user: str, secret: str) -> dict[str, str]:
    """The header of HTTP's Basic scheme."""
    return {"Authorization": "Basic " + base64.b64encode(f"{user}:{secret}".encode()).decode()}


AGENT = basic("node", AGENT_SECRET)


def csr(key: ec.EllipticCurvePrivateKey | None = None) -> bytes:
    """A certificate request in DER, with a name that must not count."""
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "system:admin")])
    request = x509.CertificateSigningRequestBuilder().subject_name(name)
    return request.sign(key or ec.generate_private_key(ec.SECP256R1()), hashes.SHA256()).public_bytes(Encoding.DER)
