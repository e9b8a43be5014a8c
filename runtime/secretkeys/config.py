"""The apiserver's encryption configuration as keys, first the one that writes. Pure.

k3s pkg/secretsencrypt; the form is kube-apiserver's EncryptionConfiguration, as `runtime.configs.apiserver` makes it.
"""

import base64
import binascii
import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

from bundles.errors import FormatError

PREFIX: Final = "aescbckey"
OCTETS: Final = 32
START: Final = "start"
PREPARE: Final = "prepare"
ROTATE: Final = "rotate"
FINISHED: Final = "reencrypt_finished"
CONFIG: Final = "EncryptionConfig"
STATE: Final = "EncryptionHash"
_IN_FORCE: Final = re.compile(
    r'apiserver_encryption_config_controller_last_config_info\{[^}]*\bhash="sha256:([0-9a-f]{64})"[^}]*\} 1\b'
)


@dataclass(frozen=True, kw_only=True, slots=True)
class SecretKey:
    """A key of AES-CBC by its name; `octets` is kept out of `repr`."""

    name: str
    octets: bytes = field(repr=False)


def read_keys(data: bytes, *, where: object) -> tuple[SecretKey, ...]:
    """The keys, the writing one first. Raises FormatError for a configuration that is none of ours."""
    try:
        providers: Any = json.loads(data)["resources"][0]["providers"]
        rows = providers[0]["aescbc"]["keys"]
        keys = tuple(
            SecretKey(name=str(row["name"]), octets=base64.b64decode(row["secret"], validate=True)) for row in rows
        )
    except (ValueError, KeyError, IndexError, TypeError, binascii.Error) as exc:
        hint = "only keys of AES-CBC are rotated here"
        raise FormatError("not an encryption configuration of this kind", where=where, hint=hint) from exc
    if not keys or any(len(key.octets) != OCTETS for key in keys) or len({key.name for key in keys}) < len(keys):
        raise FormatError("an encryption configuration with keys that cannot be", where=where)
    return keys


def write_keys(keys: Sequence[SecretKey]) -> bytes:
    """The configuration: the first key writes, all read, and what was never encrypted stays readable."""
    rows = [{"name": key.name, "secret": base64.b64encode(key.octets).decode()} for key in keys]
    document = {
        "kind": "EncryptionConfiguration",
        "apiVersion": "apiserver.config.k8s.io/v1",
        "resources": [{"resources": ["secrets"], "providers": [{"aescbc": {"keys": rows}}, {"identity": {}}]}],
    }
    return json.dumps(document, separators=(",", ":")).encode()


def state_of(config: bytes, stage: str) -> bytes:
    """The state beside a configuration: STAGE and its sha256."""
    return f"{stage}-{digest_of(config)}".encode()


def read_state(data: bytes | None) -> tuple[str, str]:
    """Stage and hash; empty ones for what is none."""
    stage, _, digest = (data or b"").decode("ascii", "replace").strip().rpartition("-")
    return stage, digest


def keys_in(document: Mapping[str, Any], *, where: object) -> tuple[bytes, bytes]:
    """What servers share (k3s' names) -> configuration and state. Raises FormatError."""
    try:
        found = [base64.b64decode(document[name]["Content"], validate=True) for name in (CONFIG, STATE)]
    except (KeyError, TypeError, ValueError, binascii.Error) as exc:
        raise FormatError("no encryption configuration among what servers share", where=where) from exc
    return found[0], found[1]


def with_keys(document: Mapping[str, Any], config: bytes, state: bytes, now: datetime) -> dict[str, Any]:
    """What servers share, with another configuration and state; `now` in UTC."""
    written = now.replace(microsecond=0).isoformat().replace("+00:00", "Z")
    contents = {CONFIG: config, STATE: state}
    return dict(document) | {
        name: {"Timestamp": written, "Content": base64.b64encode(content).decode()}
        for name, content in contents.items()
    }


def digest_of(config: bytes) -> str:
    """As state files and apiservers' metrics have it: sha256 in hexadecimal digits."""
    return hashlib.sha256(config).hexdigest()


def in_force(metrics: str) -> str | None:
    """The digest of the configuration that an apiserver has read last, by its metrics; None when they do not tell.

    `apiserver_encryption_config_controller_last_config_info` (kube-apiserver 1.34), told from its start on.
    """
    found = [match[1] for line in metrics.splitlines() if (match := _IN_FORCE.match(line))]
    return found[-1] if found else None
