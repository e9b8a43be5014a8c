"""What is wrong, or soon will be. Pure.

Certificates: RKE2 warns 90 days before the end and renews at a start then. Disks: the kubelet begins to throw pods out
at 5 % (RKE2's eviction-hard), and etcd stops on a full disk.
"""

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Final

from runtime.health.values import Alarm, Health, Severity

DAY: Final = 86_400
SOON: Final = 90 * DAY
URGENT: Final = 7 * DAY
LOW: Final = 0.10  # of a disk
FULL: Final = 0.05


def alarms(health: Health) -> tuple[Alarm, ...]:
    """All of them, the critical ones first."""
    found = (*_certificates(health), *_bundle(health), *_disks(health), *_nodes(health), *_etcd(health))
    return tuple(sorted(found))


def _certificates(health: Health) -> Iterator[Alarm]:
    for certificate in health.certificates:
        if (left := certificate.ends - health.now) < SOON:
            words = f"{_ends(left, certificate.ends)}; a restart of the daemon renews those that the cluster signs"
            yield _alarm("critical" if left < URGENT else "warning", "certificate", certificate.path, words)


def _bundle(health: Health) -> Iterator[Alarm]:
    if health.expires is not None and (left := health.expires - health.now) < SOON:
        words = f"{_ends(left, health.expires)}; it goes on running, but no other node may stage it then"
        yield _alarm("warning", "bundle", health.bundle, words)


def _disks(health: Health) -> Iterator[Alarm]:
    for disk in health.disks:
        if disk.size and (share := disk.free / disk.size) < LOW:
            words = f"{share:.1%} free, {disk.free / 1e9:.1f} of {disk.size / 1e9:.1f} GB"
            yield _alarm("critical" if share < FULL else "warning", "disk", disk.path, words)


def _nodes(health: Health) -> Iterator[Alarm]:
    for node in health.nodes or ():
        if not node.ready:
            yield _alarm("warning", "node", node.name, "not Ready")


def _etcd(health: Health) -> Iterator[Alarm]:
    if health.etcd is None:
        return
    if not health.etcd.leader:
        yield _alarm("critical", "quorum", "etcd", "no leader: nothing can be written")
    voters, spare = len(health.etcd.voters), health.spare
    if spare is not None and voters > 1 and spare <= 0:
        words = (
            f"{spare + health.etcd.quorum} of {voters} voters are on Nodes that are Ready, {health.etcd.quorum} needed"
        )
        lost = "one more loss stops the cluster" if spare == 0 else "writing stops"
        yield _alarm("critical" if spare < 0 else "warning", "quorum", "etcd", f"{words}: {lost}")
    for member in health.etcd.members:
        if member.learner:
            yield _alarm("warning", "etcd", member.name or "a new member", "a learner: it has no vote yet")
    for trouble in health.etcd.troubles:
        yield _alarm("critical", "etcd", "etcd", trouble)


def _ends(left: int, moment: int) -> str:
    at = datetime.fromtimestamp(moment, UTC).strftime("%Y-%m-%d")
    return f"ended on {at}" if left <= 0 else f"ends on {at}, in {left // DAY} days"


def _alarm(severity: Severity, kind: str, subject: str, message: str) -> Alarm:
    return Alarm(severity=severity, kind=kind, subject=subject, message=message)
