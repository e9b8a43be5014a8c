"""The gate of a node: what is let in, by whose word, and what is remembered of it.

Before a byte of an archive is read: signatures by the trust that was asked for, or by the policy in force; then the
index's claims against policy, clock and memory. Every decision is a line of the audit log before it takes effect.
"""

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from bundles.digest import Digest
from bundles.errors import SealiftError, TrustError, UsageError, printable
from bundles.index import BundleIndex
from bundles.policy.judge import Refusal, Verdict
from bundles.trust import Decision, Trust, by_policy, claims, refused, require
from runtime.admitted import Admitted, Decided
from runtime.exclusive import exclusive
from runtime.folders import SECRET_MODE, ensure_folder
from runtime.layout import NodeLayout
from runtime.trusting import audit, memory, policies
from runtime.trusting.memory import Memory
from runtime.trusting.places import TrustPlaces

Say = Callable[[str], None]


@dataclass(frozen=True, kw_only=True, slots=True)
class Asked:
    """What the command line says about trust; `override` is the administrator's reason to insist.

    `server`: where no policy is in force, the word of the cluster's server counts, which the join token pins.
    """

    key: Path | None = None
    policy: Path | None = None
    insecure: bool = False
    override: str | None = None
    server: bool = False

    @property
    def silent(self) -> bool:
        """Whether it says nothing: then the policy in force decides."""
        return self.key is None and self.policy is None and not self.insecure


@dataclass(slots=True)
class Gate:
    """One command's passage. `now` in epoch seconds by this machine's clock; `in_force` is the policy's digest."""

    layout: NodeLayout
    trust: Trust
    event: str
    now: int
    say: Say
    override: str | None = None
    in_force: Digest | None = None
    _memory: Memory = field(default_factory=Memory)
    _overruled: tuple[Refusal, ...] = ()
    _decided: Memory | None = None

    @property
    def time(self) -> int | None:
        """The time that expiry goes by; None when no signature counts, and so no date either."""
        return None if self.trust.insecure else self._memory.time(self.now)

    def renew(self) -> None:
        """With the node's lock held: what another sealift-node decided while this one waited for it counts too.

        Two that stage at once would each write down what they remember, and the one that began with the older memory
        would forget the newer bundle. Raises TrustError when another policy came into force meanwhile.
        """
        places = TrustPlaces.of(self.layout)
        standing = policies.installed(places)
        if (standing.policy.digest if standing else None) != self.in_force:
            hint = "run the same command again"
            raise TrustError("another policy came into force meanwhile", where=places.current, hint=hint)
        self._memory = memory.read(places.memory)

    def decide(self, document: BundleIndex, verdict: Verdict, where: str) -> None:
        """The hook of `verify_bundle`: raises TrustError for what stands against the bundle and is not overruled."""
        refusals = list(verdict.refusals)
        if not self.trust.insecure:
            said, line = claims(document), _line(document)
            if (step_back := memory.rollback(self._memory, line, said)) is not None:
                refusals.append(step_back)
            if (words := memory.clock_warning(self._memory, self.now)) is not None:
                self.say(f"warning: {words}")
        for words in verdict.warnings:
            self.say(f"warning: {words}")
        standing = [one for one in refusals if not (one.override and self.override)]
        if standing:
            raise refused(standing, where=where)
        for one in refusals:
            self.say(f"warning: overruled: {one.message} ({one.got}): {self.override}")
        self._overruled = tuple(refusals)

    def admit(self, document: BundleIndex, decision: Decision, before: Admitted | None) -> Decided:
        """Writes into the log that the bundle is let in, before it takes effect, with the node's lock held.

        `remember` is to be called when nothing but a crash can keep it out. What was let in `before` in the same way
        is no new decision.
        """
        decided = Decided(
            trust=self.trust.kind,
            signers=sorted(decision.signers, key=str),
            policy=self.trust.policy.digest if self.trust.policy else None,
            overruled=bool(self._overruled),
        )
        if before is not None and (before.index, before.decided) == (decision.index, decided):
            return decided
        said, line = claims(document), _line(document)
        details = {"bundle": said.name, "index": str(decision.index), "sequence": str(said.sequence)}
        details |= _whose(self.trust, decision)
        if self._overruled:
            details |= {"override": self.override or "", "overruled": "; ".join(o.message for o in self._overruled)}
            after = self._memory.overruled(line, said, now=self.now)
        else:
            after = self._memory.admitted(line, said, now=self.now, trusted=not self.trust.insecure)
        result = "overruled" if self._overruled else "admitted"
        head = _log(self.layout, self._memory, at=self.now, event=self.event, result=result, details=details)
        self._decided = after.logged(head)
        return decided

    def remember(self) -> None:
        """Writes what `admit` decided into the node's memory."""
        if self._decided is not None:
            self._memory, self._decided = self._decided, None
            memory.write(TrustPlaces.of(self.layout).memory, self._memory)

    def refuse(self, where: object, error: TrustError) -> None:
        """Writes down that something was refused; a log that cannot be written is told, and hides no refusal."""
        details = {"what": str(where), "why": error.message, **_whose(self.trust, None)}
        try:
            if not self.layout.data.is_dir():
                return  # a machine that is no node yet: nothing of it is touched for a refusal
            with exclusive(self.layout, self.say):
                self._memory = memory.read(TrustPlaces.of(self.layout).memory)
                head = _log(self.layout, self._memory, at=self.now, event=self.event, result="refused", details=details)
                memory.write(TrustPlaces.of(self.layout).memory, self._memory.logged(head))
        except SealiftError as exc:
            self.say(f"warning: the refusal is not in the audit log: {exc}")


@contextlib.contextmanager
def passing(layout: NodeLayout, asked: Asked, *, event: str, what: object, now: int, say: Say) -> Iterator[Gate]:
    """The gate for the block; what is refused in it is written down, and raised on."""
    gate = None
    try:
        gate = open_gate(layout, asked, event=event, now=now, say=say)
        yield gate
    except TrustError as exc:
        if gate is None:
            gate = Gate(layout, Trust(kind="policy"), event, now, say)
        gate.refuse(what, exc)
        raise


def open_gate(layout: NodeLayout, asked: Asked, *, event: str, now: int, say: Say) -> Gate:
    """What the command line asked for, or the policy in force -> the gate.

    A policy in force is not to be gone around: another key or policy on the command line is refused while it is, and
    `--insecure-no-signature` with it. Raises TrustError; UsageError for more than one flag.
    """
    places = TrustPlaces.of(layout)
    standing = policies.installed(places)
    if asked.override is not None and not asked.override.strip():
        raise UsageError("an override without a reason", hint="say why: it is recorded")
    if standing is not None and asked.silent:
        trust = by_policy(standing.policy, places.current)
    elif standing is not None:
        hint = "leave the flag out; replace the policy with `sealift-node policy update`"
        name = f"{standing.policy.name} {standing.policy.sequence}"
        raise TrustError(f"the policy {name} is in force here, and decides alone", where=places.current, hint=hint)
    elif asked.server and asked.silent:
        trust = Trust(kind="server")
    else:
        trust = require(key=asked.key, policy=asked.policy, insecure=asked.insecure)
    found = memory.read(places.memory)
    in_force = standing.policy.digest if standing else None
    return Gate(layout, trust, event, now, say, asked.override, in_force, found)


def _log(
    layout: NodeLayout, remembered: Memory, *, at: int, event: str, result: str, details: dict[str, str]
) -> audit.Head:
    places = TrustPlaces.of(layout)
    ensure_folder(places.folder, SECRET_MODE)
    if not places.audit.exists() and remembered.audit.count:
        # Moved away, or removed: the new log begins by saying where the old one ended.
        details = {**details, "before": f"{remembered.audit.count} lines, the last {remembered.audit.digest}"}
    else:
        audit.check(places.audit, remembered.audit)
    # Names of files and reasons come from anywhere: nothing in them may steer a terminal, or be no text at all.
    details = {key: printable(value) for key, value in details.items()}
    return audit.append(places.audit, at=at, event=event, result=result, details=details)


def known_time(layout: NodeLayout, now: int) -> int:
    """The time that rules go by: this machine's clock, but never before what the node has seen."""
    return memory.read(TrustPlaces.of(layout).memory).time(now)


def log(layout: NodeLayout, *, at: int, event: str, result: str, details: dict[str, str]) -> None:
    """A decision that is no bundle's: a policy was installed or refused. With the node's lock held."""
    places = TrustPlaces.of(layout)
    remembered = memory.read(places.memory)
    head = _log(layout, remembered, at=at, event=event, result=result, details=details)
    memory.write(places.memory, remembered.logged(head))


def _line(document: BundleIndex) -> str:
    return memory.line_of(name=document.name, flavour=document.flavour, platform=document.platform)


def _whose(trust: Trust, decision: Decision | None) -> dict[str, str]:
    words: dict[str, str] = {"trust": trust.kind}
    if trust.policy is not None:
        words |= {"policy": f"{trust.policy.name} {trust.policy.sequence} {trust.policy.digest}"}
    if decision is not None and decision.signers:
        words |= {"signers": ", ".join(sorted(map(str, decision.signers)))}
    return words
