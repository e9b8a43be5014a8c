"""Policies and keys for tests."""

import json
from collections.abc import Mapping
from functools import cache
from typing import Any

from bundles.policy import model
from bundles.signing.keys import PrivateKey, generate


@cache
def key(name: str) -> PrivateKey:
    """The same key for the same name, all through a run."""
    return generate("ed25519" if name.startswith("ed") else "ecdsa-p256")


def document(**changes: Any) -> dict[str, Any]:
    """A small policy: `release` signs rke2 bundles, `root` signs the policy; all three keys are known."""
    return {
        "format": "1.0",
        "name": "fleet",
        "sequence": 1,
        "keys": pems("release", "builder", "root"),
        "update": {"signers": ["root"]},
        "bundles": [{"names": ["rke2-*"], "signers": ["release"]}],
        **changes,
    }


def pems(*names: str) -> dict[str, str]:
    """Keys as a policy writes them."""
    return {name: key(name).public.pem.decode() for name in names}


def encode(value: Mapping[str, Any]) -> bytes:
    """A policy's file."""
    return json.dumps(value, indent=2).encode()


def policy(**changes: Any) -> model.Policy:
    """`document`, parsed."""
    return model.parse(encode(document(**changes)), where="policy.json")
