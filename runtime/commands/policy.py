"""`sealift-node policy`: which policy is in force, and its successor."""

import json
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from runtime import options
from runtime.layout import NodeLayout

if TYPE_CHECKING:
    from runtime.trusting.policies import SignedPolicy


@click.group()
def policy() -> None:
    """Which signatures this node believes. With a policy in force nothing is staged against it."""


@policy.command("show")
@options.data_dir
@options.json_flag
@options.debug_flag
def show(data_dir: Path, as_json: bool) -> int:
    """Say which policy is in force; exit code 1 when none is."""
    from runtime.trusting.places import TrustPlaces
    from runtime.trusting.policies import installed

    found = installed(TrustPlaces.of(NodeLayout.at(data_dir)))
    if found is None:
        click.echo(json.dumps({"policy": None}) if as_json else "no policy is in force")
        return 1
    described = describe(found)
    for line in [json.dumps(described)] if as_json else _lines(described):
        click.echo(line)
    return 0


@policy.command("update")
@click.argument("file", type=options.PATH, metavar="FILE")
@options.data_dir
@options.debug_flag
def update(file: Path, data_dir: Path) -> None:
    """Put the policy FILE in force, with the signatures beside it (FILE.sigstore.json).

    The first policy is believed because an administrator installs it; it has to be signed by the update keys that it
    names. Every later one has to be signed by those of the policy in force as well, and to have a higher sequence. A
    key that was revoked never comes back.
    """
    from bundles.errors import TrustError
    from runtime.exclusive import exclusive
    from runtime.folders import ensure_folder
    from runtime.trusting import gate, policies
    from runtime.trusting.places import TrustPlaces

    layout, now = NodeLayout.at(data_dir), int(time.time())

    def say(line: str) -> None:
        click.echo(line, err=True)

    signed = policies.read_signed(file)
    name = f"{signed.policy.name} {signed.policy.sequence}"
    details = {"policy": f"{name} {signed.policy.digest}"}
    ensure_folder(layout.ours)
    with exclusive(layout, say):
        places = TrustPlaces.of(layout)
        try:
            changed = policies.admissible(places, signed, now=gate.known_time(layout, now))
        except TrustError as exc:
            details |= {"why": exc.message}
            gate.log(layout, at=now, event="policy", result="refused", details=details)
            raise
        if changed:
            gate.log(layout, at=now, event="policy", result="admitted", details=details)
            policies.put_in_force(places, signed)
    click.echo(f"{'in force' if changed else 'already in force'}: {name}")


def describe(found: "SignedPolicy") -> dict[str, Any]:
    """A policy for machines: names instead of keys' ids, and who signed it."""
    said = found.policy
    return {
        "policy": said.name,
        "sequence": said.sequence,
        "sha256": said.digest.hex,
        "expires": said.expires,
        "keys": {name: str(identity) for identity, name in sorted(said.names.items(), key=lambda pair: pair[1])},
        "revoked": sorted(map(str, said.revoked)),
        "signed_by": sorted(said.names[key] for key in found.signed_by()),
        "bundles": [
            {
                "names": list(rule.names),
                "signers": said.told(rule.quorum.signers),
                "threshold": rule.quorum.threshold,
                "lowest_sequence": rule.lowest_sequence,
                "expiry": rule.expiry,
                "attestations": [wanted.type for wanted in rule.attestations],
            }
            for rule in said.bundles
        ],
    }


def _lines(said: dict[str, Any]) -> list[str]:
    lines = [f"{said['policy']} {said['sequence']}, signed by {', '.join(said['signed_by'])}"]
    for rule in said["bundles"]:
        lines.append(f"  {', '.join(rule['names'])}: {rule['threshold']} of {rule['signers']}")
        if rule["attestations"]:
            lines.append(f"    attested: {', '.join(rule['attestations'])}")
    lines += [f"  key {name} {identity}" for name, identity in said["keys"].items()]
    return lines + [f"  revoked {identity}" for identity in said["revoked"]]
