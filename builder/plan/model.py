"""Steps, receipts and outputs.

A step's content id is the digest of its canonical description: kind, step version, options, tools, and the content
ids (or digests) of its inputs. Never our own version or commit: a change of Sealift recompiles no kubelet. A step
whose id has a receipt in the store is not run again.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from bundles import jsontext
from bundles.digest import Digest


@dataclass(frozen=True, kw_only=True, slots=True)
class Output:
    """A file a step made: it lies in the store under `digest`; `mode` is octal, `size` in bytes."""

    digest: Digest
    size: int
    mode: int = 0o644


@dataclass(frozen=True, kw_only=True, slots=True)
class Receipt:
    """What a finished step leaves: named outputs and JSON facts (no floats)."""

    outputs: Mapping[str, Output]
    facts: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True, slots=True)
class Step:
    """One step of the plan.

    `name` is unique in a plan and readable: `component runc`, `layer rke2-runtime 2`. `needs` are names of steps.
    `description` is everything that decides the output (plain JSON values); `seconds` and `size` are estimates.
    """

    name: str
    kind: str
    version: int
    description: Mapping[str, Any]
    needs: tuple[str, ...] = ()
    seconds: int = 1
    size: int = 0


def content_id(step: Step, needed: Mapping[str, Digest]) -> Digest:
    """Step and the content ids of its needs (by step name) -> its content id.

    Left out on purpose: `name` of the step, its estimates, the names of its needs, our own version, the machine.
    """
    document = {
        "kind": step.kind,
        "version": step.version,
        "description": dict(step.description),
        "needs": [str(needed[name]) for name in step.needs],
    }
    return Digest.of(jsontext.encode_canonical(document))
