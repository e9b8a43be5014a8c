"""The keys of a cluster, by hand: five authorities, what they sign, and the kubeconfigs that name it all."""

import ipaddress
import json
from base64 import b64encode
from datetime import UTC, datetime, timedelta
from pathlib import Path
from secrets import token_bytes
from typing import NamedTuple

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, load_pem_private_key
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from bench.handmade.settings import AGENT, API, CRED, TLS, Settings, write

BEGIN = datetime.now(UTC) - timedelta(minutes=1)
CLUSTER_NAMES = ("kubernetes", "kubernetes.default", "kubernetes.default.svc", "kubernetes.default.svc.cluster.local")
HERE = ("localhost", "127.0.0.1", "::1")


class Authority(NamedTuple):
    """A certificate that signs."""

    certificate: x509.Certificate
    key: ec.EllipticCurvePrivateKey


def _pem(key: ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey) -> bytes:
    return key.private_bytes(Encoding.PEM, PrivateFormat.TraditionalOpenSSL, NoEncryption())


def _name(common: str, organization: str = "") -> x509.Name:
    parts = [x509.NameAttribute(NameOID.ORGANIZATION_NAME, organization)] if organization else []
    return x509.Name([*parts, x509.NameAttribute(NameOID.COMMON_NAME, common)])


def _usage(*, signs: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=True,
        content_commitment=False,
        key_encipherment=True,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=signs,
        crl_sign=False,
        encipher_only=False,
        decipher_only=False,
    )


def _begun(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePrivateKey, days: int
) -> x509.CertificateBuilder:
    builder = x509.CertificateBuilder().subject_name(subject).issuer_name(issuer).public_key(key.public_key())
    builder = builder.serial_number(x509.random_serial_number())
    return builder.not_valid_before(BEGIN).not_valid_after(BEGIN + timedelta(days=days))


def _authority(path: Path) -> Authority:
    key, name = ec.generate_private_key(ec.SECP256R1()), _name(f"by-hand-{path.name}@{int(BEGIN.timestamp())}")
    builder = _begun(name, name, key, days=3650).add_extension(_usage(signs=True), critical=True)
    builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
    builder = builder.add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
    certificate = builder.sign(key, hashes.SHA256())
    write(path.with_name(f"{path.name}.crt"), certificate.public_bytes(Encoding.PEM), 0o644)
    write(path.with_name(f"{path.name}.key"), _pem(key))
    return Authority(certificate, key)


def _leaf(signer: Authority, path: Path, common: str, organization: str = "", *, names: tuple[str, ...] = ()) -> None:
    """A certificate for a client; with `names` for a server as well."""
    key = ec.generate_private_key(ec.SECP256R1())
    builder = _begun(_name(common, organization), signer.certificate.subject, key, days=365)
    builder = builder.add_extension(_usage(signs=False), critical=True)
    uses = [ExtendedKeyUsageOID.CLIENT_AUTH, *([ExtendedKeyUsageOID.SERVER_AUTH] if names else [])]
    builder = builder.add_extension(x509.ExtendedKeyUsage(uses), critical=False)
    if names:
        builder = builder.add_extension(x509.SubjectAlternativeName([*map(_alternative, names)]), critical=False)
    chain = [builder.sign(signer.key, hashes.SHA256()), signer.certificate]
    pem = b"".join(certificate.public_bytes(Encoding.PEM) for certificate in chain)
    write(path.with_name(f"{path.name}.crt"), pem, 0o644)
    write(path.with_name(f"{path.name}.key"), _pem(key))


def _alternative(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)


def _kubeconfig(path: Path, folder: Path, stem: str, api: str = API) -> None:
    cluster = {"server": api, "certificate-authority": str(folder / "server-ca.crt")}
    user = {"client-certificate": str(folder / f"{stem}.crt"), "client-key": str(folder / f"{stem}.key")}
    document = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "default", "cluster": cluster}],
        "users": [{"name": "default", "user": user}],
        "contexts": [{"name": "default", "context": {"cluster": "default", "user": "default"}}],
        "current-context": "default",
    }
    write(path, json.dumps(document))


def make(settings: Settings) -> None:
    """Everything, below server/tls, server/cred and agent."""
    client, server = _authority(TLS / "client-ca"), _authority(TLS / "server-ca")
    front = _authority(TLS / "request-header-ca")
    store, peers = _authority(TLS / "etcd/server-ca"), _authority(TLS / "etcd/peer-ca")
    for name in ("client-ca", "server-ca"):
        write(TLS / f"{name}.nochain.crt", (TLS / f"{name}.crt").read_bytes(), 0o644)
        write(AGENT / f"{name}.crt", (TLS / f"{name}.crt").read_bytes(), 0o644)
    service = _pem(rsa.generate_private_key(65537, 2048))
    for name in ("service.key", "service.current.key"):
        write(TLS / name, service)
    _clients(client, front, settings)
    own = (settings.node, settings.address)
    _leaf(server, TLS / "serving-kube-apiserver", "kube-apiserver", names=(*CLUSTER_NAMES, *HERE, *own, "10.43.0.1"))
    _leaf(server, AGENT / "serving-kubelet", settings.node, names=(*HERE, *own))
    for name in ("kube-scheduler", "kube-controller-manager"):
        _leaf(server, TLS / name / name, name, names=HERE)
    _leaf(store, TLS / "etcd/server-client", "etcd-server", names=(*HERE, *own))
    _leaf(peers, TLS / "etcd/peer-server-client", "etcd-peer", names=(*HERE, *own))
    _leaf(store, TLS / "etcd/client", "etcd-client")
    _encryption()


def make_agent(settings: Settings, api: str) -> None:
    """What a second node needs, below agent, signed with the first one's authorities, which were carried over."""
    client, server = (_carried(TLS / name) for name in ("client-ca", "server-ca"))
    for name in ("client-ca", "server-ca"):
        write(AGENT / f"{name}.crt", (TLS / f"{name}.crt").read_bytes(), 0o644)
    _leaf(server, AGENT / "serving-kubelet", settings.node, names=(*HERE, settings.node, settings.address))
    _leaf(client, AGENT / "client-kubelet", f"system:node:{settings.node}", "system:nodes")
    _leaf(client, AGENT / "client-kube-proxy", "system:kube-proxy")
    _kubeconfig(AGENT / "kubelet.kubeconfig", AGENT, "client-kubelet", api)
    _kubeconfig(AGENT / "kubeproxy.kubeconfig", AGENT, "client-kube-proxy", api)


def _carried(path: Path) -> Authority:
    certificate = x509.load_pem_x509_certificate(path.with_name(f"{path.name}.crt").read_bytes())
    key = load_pem_private_key(path.with_name(f"{path.name}.key").read_bytes(), None)
    assert isinstance(key, ec.EllipticCurvePrivateKey)
    return Authority(certificate, key)


def _clients(client: Authority, front: Authority, settings: Settings) -> None:
    masters = "system:masters"
    _leaf(client, TLS / "client-admin", "system:admin", masters)
    _leaf(client, TLS / "client-supervisor", "system:rke2-supervisor", masters)
    _leaf(client, TLS / "client-kube-apiserver", "system:apiserver", masters)
    _leaf(client, TLS / "client-controller", "system:kube-controller-manager")
    _leaf(client, TLS / "client-scheduler", "system:kube-scheduler")
    _leaf(front, TLS / "client-auth-proxy", "system:auth-proxy")
    _leaf(client, AGENT / "client-kubelet", f"system:node:{settings.node}", "system:nodes")
    _leaf(client, AGENT / "client-kube-proxy", "system:kube-proxy")
    for name in ("admin", "supervisor", "controller", "scheduler"):
        _kubeconfig(CRED / f"{name}.kubeconfig", TLS, f"client-{name}")
    _kubeconfig(AGENT / "kubelet.kubeconfig", AGENT, "client-kubelet")
    _kubeconfig(AGENT / "kubeproxy.kubeconfig", AGENT, "client-kube-proxy")


def _encryption() -> None:
    key = {"name": "first", "secret": b64encode(token_bytes(32)).decode()}
    document = {
        "apiVersion": "apiserver.config.k8s.io/v1",
        "kind": "EncryptionConfiguration",
        "resources": [{"resources": ["secrets"], "providers": [{"aescbc": {"keys": [key]}}, {"identity": {}}]}],
    }
    write(CRED / "encryption-config.json", json.dumps(document))
