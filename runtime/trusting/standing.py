"""Whether the bundle that a node runs from still is one that may run here: asked before the daemon does anything.

A policy may have been replaced since the bundle was staged, and who can write to the data directory is not who may
decide. What has expired meanwhile goes on running: a ship at sea must come up again after a power cut.
"""

from collections.abc import Callable

from bundles import index
from bundles.digest import Digest
from bundles.errors import FormatError, TrustError
from bundles.policy.judge import EXPIRED
from bundles.source import open_source
from bundles.trust import by_policy, claims, refused
from runtime import admitted
from runtime.admission import finish_alone
from runtime.layout import NodeLayout
from runtime.trusting import memory, policies
from runtime.trusting.places import TrustPlaces

Say = Callable[[str], None]


def refuse_unlisted(layout: NodeLayout, what: str) -> None:
    """Raises TrustError when a policy is in force: no flag brings in what it has not seen. `what` names the flag."""
    places = TrustPlaces.of(layout)
    standing = policies.installed(places)
    if standing is not None:
        hint = "leave it out, or put what you need into a signed bundle"
        name = f"{standing.policy.name} {standing.policy.sequence}"
        raise TrustError(f"the policy {name} is in force here, and {what} goes around it", where=layout.data, hint=hint)


def before_start(layout: NodeLayout, *, allow_unlisted: bool, now: int, say: Say) -> None:
    """Before the daemon begins, as server or agent: no way around a policy, and what will run is what may run.

    An admission that was cut is finished first: what is asked about is the bundle that will run. Raises TrustError.
    """
    if allow_unlisted:
        refuse_unlisted(layout, "--allow-unlisted-images")
    finish_alone(layout, say)
    check_standing(layout, now=now, say=say)


def guard(layout: NodeLayout, *, now: int, say: Say) -> None:
    """`check_standing` where a policy is in force, before programs are unpacked; a cut admission is finished first."""
    if policies.installed(TrustPlaces.of(layout)) is not None:
        finish_alone(layout, say)
        check_standing(layout, now=now, say=say)


def check_standing(layout: NodeLayout, *, now: int, say: Say) -> None:
    """Raises TrustError when the admitted bundle must not run.

    With a policy in force: its signatures, names and attestations are judged again, and the sequence against what the
    node has seen, unless an administrator overruled that when it was staged. Without one: that the kept index is the
    one that was let in. Nothing is admitted: nothing to ask.
    """
    record = admitted.read(layout.admitted)
    if record is None:
        return
    if record.decided is not None and record.decided.trust == "insecure":
        say("warning: this node runs a bundle that nobody's signature was asked for")
    if record.decided is not None and record.decided.trust == "server":
        say("warning: this node runs the bundle that its server gave it; nobody's signature was asked for")
    places = TrustPlaces.of(layout)
    standing = policies.installed(places)
    with open_source(layout.bundles / record.bundle) as source:
        data, signatures = source.envelope()
        if Digest.of(data) != record.index:
            got, want, hint = Digest.of(data), record.index, "stage the bundle again"
            raise FormatError("not the index that was admitted", where=source.where, got=got, want=want, hint=hint)
        if standing is None:
            return
        trust = by_policy(standing.policy, places.current)
        decision = trust.check(data, signatures, where=source.where)
        document = index.decode(data, where=source.where)
        remembered = memory.read(places.memory)
        verdict = trust.examine(document, decision, source, now=remembered.time(now))
    line = memory.line_of(name=document.name, flavour=document.flavour, platform=document.platform)
    step_back = memory.rollback(remembered, line, claims(document))
    found = [*verdict.refusals, *([step_back] if step_back else [])]
    insisted = record.decided is not None and record.decided.overruled
    borne = [one for one in found if one.override and (insisted or one.message == EXPIRED)]
    for words in (*verdict.warnings, *(f"{one.message} ({one.got})" for one in borne)):
        say(f"warning: {words}")
    if standing_against := [one for one in found if one not in borne]:
        raise refused(standing_against, where=layout.bundles / record.bundle)
