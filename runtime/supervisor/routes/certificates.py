"""For agents: certificates for keys that never leave their machine.

k3s pkg/server/handlers: the body of a POST is a certificate request in DER (PKCS #10). Only its key counts; the names
are those of the node that the password proved. A request without one would get a key that all nodes share: refused.
"""

import ipaddress
from collections.abc import Mapping
from http import HTTPStatus

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from bundles.errors import FormatError
from runtime.nodeconf.parse import NODE_NAME
from runtime.pki.certificates import Signer, certificate_pem, make_leaf
from runtime.pki.plan import CLIENT_CA, SERVER_CA, Leaf
from runtime.supervisor.facts import Facts
from runtime.supervisor.messages import Request, Response, refusal

NAME_HEADER = "rke2-node-name"
PASSWORD_HEADER = "rke2-node-password"
ADDRESS_HEADER = "rke2-node-ip"
_LOOPBACKS = ("127.0.0.1", "::1")
_MAX_ADDRESSES = 8
_LEAST_RSA = 2048  # bits


def serving_kubelet(request: Request, facts: Facts) -> Response:
    """What the kubelet of the node serves with."""
    name = node_name(request.headers)
    try:
        addresses = _addresses(request.headers.get(ADDRESS_HEADER, ""))
    except ValueError:
        return refusal(HTTPStatus.BAD_REQUEST, "not an address of a node")
    leaf = Leaf(
        path="serving-kubelet",
        authority=SERVER_CA,
        common_name=name,
        names=(name, "localhost"),
        addresses=tuple(dict.fromkeys((*addresses, *_LOOPBACKS))),
        server=True,
    )
    return _signed(request, leaf, facts.servers, facts)


def client_kubelet(request: Request, facts: Facts) -> Response:
    """Who the kubelet of the node is to the apiserver."""
    name = f"system:node:{node_name(request.headers)}"
    leaf = Leaf(path="client-kubelet", authority=CLIENT_CA, common_name=name, organization="system:nodes", client=True)
    return _signed(request, leaf, facts.clients, facts)


def client_kube_proxy(request: Request, facts: Facts) -> Response:
    """Who kube-proxy is to the apiserver."""
    leaf = Leaf(path="client-kube-proxy", authority=CLIENT_CA, common_name="system:kube-proxy", client=True)
    return _signed(request, leaf, facts.clients, facts)


def node_name(headers: Mapping[str, str]) -> str:
    """The name that a node says it has. Raises FormatError for what no Node can be called."""
    name = headers.get(NAME_HEADER, "")
    if not NODE_NAME.fullmatch(name) or len(name) > 253:
        raise FormatError("not a node's name", got=repr(name[:80]))
    return name


def _addresses(header: str) -> list[str]:
    texts = [text.strip() for text in header.split(",") if text.strip()]
    if len(texts) > _MAX_ADDRESSES:
        raise ValueError("too many addresses")
    return [str(ipaddress.ip_address(text)) for text in texts]


def _signed(request: Request, leaf: Leaf, signer: Signer, facts: Facts) -> Response:
    try:
        asked = x509.load_der_x509_csr(request.body)
        key = asked.public_key()
        # Proof of possession: nobody gets a certificate for a key that is somebody else's.
        proved = asked.is_signature_valid
    except Exception:  # the parser's errors are many, and all mean the same to whoever asks
        return refusal(HTTPStatus.BAD_REQUEST, "the body is no certificate request in DER")
    if not proved or not _strong(key):
        return refusal(HTTPStatus.BAD_REQUEST, "a key that is not proved, or too weak")
    assert isinstance(key, (ec.EllipticCurvePublicKey, rsa.RSAPublicKey))
    certificate = make_leaf(leaf, key, signer, now=facts.now, serial=facts.serial)
    return Response(body=certificate_pem(certificate, *signer.chain))


def _strong(key: object) -> bool:
    if isinstance(key, rsa.RSAPublicKey):
        return key.key_size >= _LEAST_RSA
    return isinstance(key, ec.EllipticCurvePublicKey) and isinstance(key.curve, (ec.SECP256R1, ec.SECP384R1))
