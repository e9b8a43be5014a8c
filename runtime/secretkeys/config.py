"""The apiserver's encryption configuration as keys, first the one that writes. Pure.

k3s pkg/secretsencrypt; the form is kube-apiserver's EncryptionConfiguration, as `runtime.configs.apiserver` makes it.
"""

import base64
import binascii
import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from bundles.errors import FormatError

PREFIX: Final = "aescbckey"
OCTETS: Final = 32
FINISHED: Final = "reencrypt_finished"


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
    return f"{stage}-{hashlib.sha256(config).hexdigest()}".encode()


def read_state(data: bytes | None) -> tuple[str, str]:
    """Stage and hash; empty ones for what is none."""
    stage, _, digest = (data or b"").decode("ascii", "replace").strip().rpartition("-")
    return stage, digest


def reloads(metrics: str) -> int:
    """How often an apiserver has taken a changed configuration, by its metrics."""
    total = 0.0
    for line in metrics.splitlines():
        name, _, value = line.rpartition(" ")
        if (
            name.startswith("apiserver_encryption_config_controller_automatic_reloads_total")
            and 'status="success"' in name
        ):
            total += float(value)
    return int(total)
