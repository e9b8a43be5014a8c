"""The node's certificates as files: made at the first start, kept, and renewed when they must be.

A key is written before its certificate, each by rename, and a renewed certificate keeps its key. So a crash between
any two writes leaves a state that the next start completes, and no program ever reads a pair that does not match.
Authorities are never replaced: everything in the cluster hangs on them.
"""

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final

from cryptography import x509

from bundles.errors import SealiftError
from bundles.files import remove_abandoned
from runtime.entropy import Entropy
from runtime.folders import SECRET_MODE, ensure_folder
from runtime.nodeconf.model import NodeConfig
from runtime.nodefiles import PUBLIC_FILE, SECRET_FILE, read_file, settle, tighten
from runtime.pki.certificates import (
    Key,
    Signer,
    certificate_pem,
    key_pem,
    make_authority,
    make_leaf,
    read_chain,
    read_key,
    reason_to_renew,
)
from runtime.pki.plan import AUTHORITIES, CLIENT_CA, SERVER_CA, Authority, Leaf, agent_leaves, server_leaves

_SERIAL: Final = 16  # random bytes of a serial number
_WARN_BEFORE: Final = timedelta(days=365)

Signers = dict[Authority, Signer]


@dataclass(frozen=True, slots=True)
class Outcome:
    """What was done: `made` files, `renewed` files with the reason, `warnings` in words."""

    made: list[Path] = field(default_factory=list)
    renewed: list[tuple[Path, str]] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)


def ensure_server_pki(node: NodeConfig, *, now: datetime, entropy: Entropy, outcome: Outcome) -> Signers:
    """Everything below server/tls; returns the authorities with their keys.

    Args:
        node: a server.
        now: aware, UTC.
        entropy: for keys and serial numbers.
        outcome: is told what was done.

    Raises SealiftError for an authority without its key or with another one's, for one that has ended, and for a
    clock that is before its beginning; FormatError for files that are no certificates or keys.
    """
    tls = node.paths.tls
    for folder in (node.paths.server, tls, tls / "etcd", tls / "kube-scheduler", tls / "kube-controller-manager"):
        secret_folder(folder)
    secret_folder(tls / "temporary-certs")  # the apiserver's --cert-dir
    leaves = server_leaves(node)
    signers = {}
    for authority in AUTHORITIES:
        signed = [tls / f"{leaf.path}.crt" for leaf in leaves if leaf.authority == authority]
        signers[authority] = _authority(tls, authority, signed, now, entropy, outcome)
    for leaf in leaves:
        _leaf(tls, leaf, signers[leaf.authority], now, entropy, outcome)
    _token_keys(tls, entropy, outcome)
    return signers


def ensure_agent_pki(node: NodeConfig, signers: Signers, *, now: datetime, entropy: Entropy, outcome: Outcome) -> None:
    """Everything below agent, for the agent that runs on a server: copies of two authorities, the kubelet's
    certificates and kube-proxy's. Arguments and errors as `ensure_server_pki`.
    """
    agent = node.paths.agent
    secret_folder(agent)
    for authority in (CLIENT_CA, SERVER_CA):
        settle(agent / f"{authority.path}.crt", certificate_pem(*signers[authority].chain), PUBLIC_FILE)
    for leaf in agent_leaves(node):
        _leaf(agent, leaf, signers[leaf.authority], now, entropy, outcome)


def secret_folder(path: Path) -> None:
    """Makes a folder with mode 0700; takes others' permissions and what a crash left away from one that exists."""
    ensure_folder(path, SECRET_MODE)
    tighten(path, SECRET_MODE)
    remove_abandoned(path)


def _authority(
    tls: Path, authority: Authority, signed: list[Path], now: datetime, entropy: Entropy, outcome: Outcome
) -> Signer:
    crt, key_file = tls / f"{authority.path}.crt", tls / f"{authority.path}.key"
    found = read_file(crt)
    missing = [path for path in (crt, key_file) if not path.exists()]
    if missing and (found is not None or any(path.exists() for path in signed)):
        hint = "put it back from a backup, or reset the node"
        raise SealiftError("a part of an authority that has signed is missing", where=missing[0], hint=hint)
    chain: tuple[x509.Certificate, ...]
    key = _key(key_file, entropy, outcome)
    if found is None:
        chain = (make_authority(authority, key, now=now, serial=entropy.octets(_SERIAL)),)
        settle(crt, certificate_pem(*chain), PUBLIC_FILE)
        outcome.made.append(crt)
    else:
        chain = read_chain(found, crt)
    signer = Signer(chain=chain, key=key)
    _check_authority(signer, crt, key_file, now, outcome)
    if authority.alone:
        settle(tls / f"{authority.path}.nochain.crt", certificate_pem(signer.certificate), PUBLIC_FILE)
    return signer


def _check_authority(signer: Signer, crt: Path, key_file: Path, now: datetime, outcome: Outcome) -> None:
    certificate = signer.certificate
    begins, ends = certificate.not_valid_before_utc, certificate.not_valid_after_utc
    if certificate.public_key() != signer.key.public_key():
        raise SealiftError("not the key of this authority", where=key_file, want=f"the key of {crt}")
    if now < begins:
        hint = "set the machine's clock"
        raise SealiftError("the clock is before this authority's beginning", where=crt, got=now, want=begins, hint=hint)
    if now >= ends:
        hint = "check the machine's clock; an authority that has ended needs a new cluster"
        raise SealiftError("this authority has ended", where=crt, got=ends, want=f"after {now}", hint=hint)
    if now >= ends - _WARN_BEFORE:
        outcome.warnings.append(f"{crt}: this authority ends on {ends:%Y-%m-%d}, and all it signed with it")


def _leaf(folder: Path, leaf: Leaf, signer: Signer, now: datetime, entropy: Entropy, outcome: Outcome) -> None:
    crt = folder / f"{leaf.path}.crt"
    key = _key(folder / f"{leaf.path}.key", entropy, outcome)
    if (found := read_file(crt)) is not None:
        reason = reason_to_renew(read_chain(found, crt)[0], leaf, key, signer.certificate, now)
        if not reason:
            return
        outcome.renewed.append((crt, reason))
    else:
        outcome.made.append(crt)
    certificate = make_leaf(leaf, key.public_key(), signer, now=now, serial=entropy.octets(_SERIAL))
    settle(crt, certificate_pem(certificate, *signer.chain), PUBLIC_FILE)


def _key(path: Path, entropy: Entropy, outcome: Outcome) -> Key:
    """The key of a certificate, made when there is none."""
    if (found := read_file(path)) is not None:
        tighten(path, SECRET_FILE)
        return read_key(found, path)
    key = entropy.signing_key()
    settle(path, key_pem(key), SECRET_FILE)
    outcome.made.append(path)
    return key


def _token_keys(tls: Path, entropy: Entropy, outcome: Outcome) -> None:
    """service.key may hold older keys after the first, by which old tokens are still known; only the first signs."""
    path, current = tls / "service.key", tls / "service.current.key"
    found = read_file(path)
    if found is None:
        found = key_pem(entropy.token_key())
        settle(path, found, SECRET_FILE)
        outcome.made.append(path)
    tighten(path, SECRET_FILE)
    settle(current, key_pem(read_key(found, path)), SECRET_FILE)
