"""What a further server takes over from its cluster: authorities and keys as files, and the settings all servers share.

k3s pkg/daemons/config (ControlRuntimeBootstrap) and pkg/cluster/bootstrap.go. Files that are there already are never
replaced: either they are the cluster's own, or this machine belongs to another cluster.
"""

import base64
import binascii
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from bundles.errors import FormatError, MissingError, Problem, ProblemsError, SealiftError, TrustError
from bundles.files import os_errors
from runtime.joining.clusterdoc import cluster_document
from runtime.nodeconf.model import NodeConfig
from runtime.nodefiles import PUBLIC_FILE, SECRET_FILE, read_file, settle
from runtime.nodepaths import NodePaths
from runtime.pki.certificates import read_chain, read_key
from runtime.pki.ensure import secret_folder
from runtime.supervisor.token import AGENT_USER, SERVER_USER, JoinToken, authority_hash

# k3s' name -> file below DATA/server.
FILES: Final = {
    "ETCDServerCA": "tls/etcd/server-ca.crt",
    "ETCDServerCAKey": "tls/etcd/server-ca.key",
    "ETCDPeerCA": "tls/etcd/peer-ca.crt",
    "ETCDPeerCAKey": "tls/etcd/peer-ca.key",
    "ServerCA": "tls/server-ca.crt",
    "ServerCAKey": "tls/server-ca.key",
    "ClientCA": "tls/client-ca.crt",
    "ClientCAKey": "tls/client-ca.key",
    "RequestHeaderCA": "tls/request-header-ca.crt",
    "RequestHeaderCAKey": "tls/request-header-ca.key",
    "ServiceKey": "tls/service.key",
    "PasswdFile": "cred/passwd",
    "EncryptionConfig": "cred/encryption-config.json",
    "EncryptionHash": "cred/encryption-state.json",
}
_PASSWD: Final = "PasswdFile"
_ENCRYPTION: Final = ("EncryptionConfig", "EncryptionHash")
_ROTATED: Final = ("ServiceKey", *_ENCRYPTION)
_MAX_CONTENT: Final = 1 << 20  # bytes of one file
# Field of the cluster's document -> the setting that decides it.
SHARED: Final = {
    "ClusterIPRanges": "cluster-cidr",
    "ServiceIPRanges": "service-cidr",
    "ClusterDNSs": "cluster-dns",
    "ClusterDomain": "cluster-domain",
    "DisableKubeProxy": "disable-kube-proxy",
    "EncryptSecrets": "secrets-encryption",
    "EgressSelectorMode": "egress-selector-mode",
}


@dataclass(frozen=True, kw_only=True, slots=True)
class Inheritance:
    """A cluster's files by k3s' names, and the two secrets that machines join with."""

    contents: Mapping[str, bytes] = field(repr=False)
    server_secret: str = field(repr=False)
    agent_secret: str = field(repr=False)


def check_shared(node: NodeConfig, document: object, *, where: object) -> None:
    """Raises ProblemsError when a setting is not the cluster's; each is named with both values."""
    if not isinstance(document, dict):
        raise FormatError("not the configuration of a cluster", where=where, got=type(document).__name__)
    ours = cluster_document(node)
    hint = "every server has the same; change this machine's configuration"
    problems = [
        Problem(where=key, message=f"this server has {_words(ours[name])}, its cluster {_words(found)}", hint=hint)
        for name, key in SHARED.items()
        if (found := document.get(name)) != ours[name]
    ]
    if problems:
        raise ProblemsError(where, problems)


def read_bootstrap(document: object, *, where: object) -> Inheritance:
    """What `/v1-rke2/server-bootstrap` says -> Inheritance. Raises FormatError for what lacks or damages a file."""
    if not isinstance(document, dict):
        raise FormatError("not what servers share", where=where, got=type(document).__name__)
    contents = {}
    for name in FILES:
        try:
            content = base64.b64decode(document[name]["Content"], validate=True)
        except (KeyError, TypeError, ValueError, binascii.Error) as exc:
            hint = "is the server of another version?"
            raise FormatError(f"{name} of the cluster cannot be used", where=where, hint=hint) from exc
        if not 0 < len(content) <= _MAX_CONTENT:
            raise FormatError(f"{name} of the cluster cannot be used", where=where, got=f"{len(content)} bytes")
        _check(name, content, where)
        contents[name] = content
    secrets = _secrets(contents[_PASSWD], where)
    return Inheritance(contents=contents, server_secret=secrets[SERVER_USER], agent_secret=secrets[AGENT_USER])


def take_over(paths: NodePaths, inheritance: Inheritance, *, now: int | None = None) -> int:
    """Writes the files that are not there yet; returns how many.

    The keys of Secrets may have rotated since this machine took over the rest, before it became a member: they are
    replaced. With `now` (Unix seconds, at a restore) keys that rotate are those of `inheritance` afterwards, and the
    others are kept as FILE.NOW. Raises TrustError, before anything is written, when one is there and is not the
    cluster's.
    """
    targets = {paths.server / path: name for name, path in FILES.items() if name != _PASSWD}
    ours = read_file(paths.server / FILES["ServerCAKey"]) == inheritance.contents["ServerCAKey"]
    free = _ROTATED if now is not None else _ENCRYPTION if ours else ()
    for target, name in targets.items():
        found = read_file(target)
        if found is not None and found != inheritance.contents[name] and name not in free:
            hint = "this machine has been a server of another cluster: sealift-node reset removes that"
            raise TrustError(f"not the {name} of the cluster to join", where=target, hint=hint)
    for folder in (paths.server, paths.tls, paths.tls / "etcd", paths.cred):
        secret_folder(folder)
    for target in targets:
        found = read_file(target)
        if now is not None and found is not None and found != inheritance.contents[targets[target]]:
            settle(target.with_name(f"{target.name}.{now}"), found, SECRET_FILE)
    keys_first = sorted(targets, key=lambda path: path.suffix == ".crt")
    return sum(settle(target, inheritance.contents[targets[target]], _mode(target)) for target in keys_first)


def keep_agent_secret(node: NodeConfig, inheritance: Inheritance) -> None:
    """What agents join with, where the cluster has a secret of its own for them and this machine's settings none."""
    if inheritance.agent_secret == inheritance.server_secret or node.agent_token is not None:
        return
    pinned = authority_hash(inheritance.contents["ServerCA"])
    text = JoinToken(authority=pinned, user=AGENT_USER, secret=inheritance.agent_secret).text
    secret_folder(node.paths.server)
    settle(node.paths.agent_token, f"{text}\n".encode(), SECRET_FILE)


def shared_document(paths: NodePaths) -> dict[str, Any]:
    """What this server shares: content in base64, and when each file was written (RFC 3339).

    Raises MissingError for a file that is not there.
    """
    found = {}
    for name, path in FILES.items():
        file = paths.server / path
        content = read_file(file)
        if content is None:
            raise MissingError("a file of the cluster is missing", where=file)
        with os_errors(file):
            written = datetime.fromtimestamp(int(file.stat().st_mtime), UTC).isoformat().replace("+00:00", "Z")
        found[name] = {"Timestamp": written, "Content": base64.b64encode(content).decode()}
    return found


def _mode(path: Path) -> int:
    return PUBLIC_FILE if path.suffix == ".crt" else SECRET_FILE


def _check(name: str, content: bytes, where: object) -> None:
    place = f"{where}: {name}"
    if name.endswith("CA"):
        read_chain(content, place)
    elif name.endswith("Key"):
        read_key(content, place)


def _secrets(passwd: bytes, where: object) -> dict[str, str]:
    """k3s pkg/passwd: lines `password,name,uid,groups`."""
    try:
        rows = [line.split(",") for line in passwd.decode().splitlines() if line.strip()]
        found = {row[1]: row[0] for row in rows}
        if not found[SERVER_USER] or not found[AGENT_USER]:
            raise ValueError("an empty secret")
    except (ValueError, KeyError, IndexError):
        raise SealiftError("PasswdFile of the cluster cannot be used", where=where) from None
    return found


def _words(value: Any) -> str:
    """Networks of Go's net.IPNet as people write them."""
    if isinstance(value, list):
        return ",".join(map(_words, value)) or "none"
    if isinstance(value, dict) and "IP" in value:
        try:
            mask = base64.b64decode(str(value.get("Mask", "")), validate=True)
            return f"{value['IP']}/{bin(int.from_bytes(mask, 'big')).count('1')}"
        except ValueError:
            return repr(value)[:80]
    return str(value).lower() if isinstance(value, bool) else repr(value)[:80] if value is None else str(value)[:80]
