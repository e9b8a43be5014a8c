"""The apiserver's small configuration files. k3s pkg/daemons/control/deps/deps.go, RKE2 pkg/rke2/psp. Pure."""

import base64
import hashlib
import json
from typing import Final

from runtime.yamltext import yaml_text

ENCRYPTION_KEY: Final = 32  # bytes, AES-256


def encryption_config(key: bytes) -> bytes:
    """How secrets are encrypted in etcd: AES-CBC with `key` (32 bytes); old plain ones stay readable."""
    if len(key) != ENCRYPTION_KEY:
        raise ValueError("an AES-256 key has 32 bytes")
    secret = base64.b64encode(key).decode()
    document = {
        "kind": "EncryptionConfiguration",
        "apiVersion": "apiserver.config.k8s.io/v1",
        "resources": [
            {
                "resources": ["secrets"],
                "providers": [{"aescbc": {"keys": [{"name": "aescbckey", "secret": secret}]}}, {"identity": {}}],
            }
        ],
    }
    return json.dumps(document, separators=(",", ":")).encode()


def encryption_state(config: bytes) -> bytes:
    """The state beside a configuration that was never rotated: `start-` and its sha256."""
    return f"start-{hashlib.sha256(config).hexdigest()}".encode()


def egress_selector() -> bytes:
    """The apiserver reaches kubelets, pods and services directly."""
    connection = {"proxyProtocol": "Direct"}
    document = {
        "kind": "EgressSelectorConfiguration",
        "apiVersion": "apiserver.k8s.io/v1beta1",
        "egressSelections": [{"name": "cluster", "connection": connection}],
    }
    return json.dumps(document, separators=(",", ":")).encode()


def pod_security() -> str:
    """Pod security as RKE2 has it without a profile: nothing is enforced, namespaces may say otherwise."""
    modes = {f"{mode}{end}": value for mode in ("enforce", "audit", "warn") for end, value in _LEVEL}
    configuration = {
        "apiVersion": "pod-security.admission.config.k8s.io/v1",
        "kind": "PodSecurityConfiguration",
        "defaults": modes,
        "exemptions": {"usernames": [], "runtimeClasses": [], "namespaces": []},
    }
    return yaml_text(
        {
            "apiVersion": "apiserver.config.k8s.io/v1",
            "kind": "AdmissionConfiguration",
            "plugins": [{"name": "PodSecurity", "configuration": configuration}],
        }
    )


_LEVEL: Final = (("", "privileged"), ("-version", "latest"))
