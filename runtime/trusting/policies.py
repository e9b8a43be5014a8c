"""The policy in force on a node: kept with its signatures, read anew each time, replaced only by its successor."""

import contextlib
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Final

from bundles.digest import Digest
from bundles.errors import FormatError, LimitError, TrustError, UsageError
from bundles.files import atomic_symlink, fsync_directory, os_errors, write_atomic
from bundles.policy.judge import Refusal
from bundles.policy.succession import may_follow
from bundles.signing import envelope, names
from bundles.signing.signed import holding
from bundles.trust import refused
from runtime.folders import SECRET_MODE, ensure_folder
from runtime.trusting.places import TrustPlaces

if TYPE_CHECKING:
    from bundles.policy.model import Policy  # loads the cryptography library

DOCUMENT: Final = "policy.json"


@dataclass(frozen=True, kw_only=True, slots=True)
class SignedPolicy:
    """A policy's document, its signature files (name -> bytes), and what it says."""

    policy: "Policy"
    data: bytes = field(repr=False)
    signatures: Mapping[str, bytes] = field(repr=False)

    def signed_by(self, other: "Policy | None" = None) -> frozenset[Digest]:
        """The keys of this policy, and of `other`, whose signature over the document holds. Raises TrustError."""
        keys = {**self.policy.keys, **(other.keys if other else {})}
        found = holding(self.data, self.signatures, keys.values(), where=DOCUMENT)
        return frozenset(one.key for one in found)


def read_signed(path: Path) -> SignedPolicy:
    """A policy's file and the signatures beside it: FILE.sigstore.json, FILE.KEY.sigstore.json.

    Raises UsageError when there is no file, FormatError and ProblemsError for what is no policy, LimitError.
    """
    from bundles.policy.model import MAX_POLICY, parse

    data = _bounded(path, MAX_POLICY)
    beside = {}
    with os_errors(path.parent):
        found = sorted(name for name in os.listdir(path.parent) if _is_signature(name, path.name))
    if len(found) > names.MAX_SIGNATURES:
        raise LimitError("too many signatures", where=path, got=len(found), want=f"<= {names.MAX_SIGNATURES}")
    for name in found:
        beside[DOCUMENT + name.removeprefix(path.name)] = _bounded(path.with_name(name), envelope.MAX_MESSAGE)
    return SignedPolicy(policy=parse(data, where=path), data=data, signatures=beside)


def installed(places: TrustPlaces) -> SignedPolicy | None:
    """The policy in force, None when none was installed. Its signatures are checked again at every reading.

    Raises TrustError when it is not what was installed: somebody else wrote it.
    """
    if not os.path.lexists(places.current):
        return None
    try:
        found = read_signed(places.current / DOCUMENT)
    except (FormatError, UsageError) as exc:
        raise TrustError("the policy in force is damaged", where=places.current, got=exc.message) from exc
    if not found.policy.update.met(found.signed_by()):
        raise TrustError("the policy in force is not signed by its own update keys", where=places.current)
    return found


def check_successor(old: SignedPolicy | None, new: SignedPolicy, *, now: int) -> tuple[Refusal, ...]:
    """Why `new` must not replace `old`; empty when it may."""
    before = old.policy if old else None
    return may_follow(before, new.policy, new.signed_by(before), now=now)


def admissible(places: TrustPlaces, new: SignedPolicy, *, now: int) -> bool:
    """Whether `new` is to be put in force; False when it already is. Raises TrustError with all that stands against it.

    `now`: epoch seconds. The caller holds the node's lock, and writes the decision down before it acts on it.
    """
    old = installed(places)
    if refusals := check_successor(old, new, now=now):
        raise refused(refusals, where=DOCUMENT)
    return old is None or old.policy.digest != new.policy.digest


def put_in_force(places: TrustPlaces, new: SignedPolicy) -> None:
    """Keeps an admissible policy with its signatures, and lets the link point at it: the last step, by rename."""
    ensure_folder(places.folder, SECRET_MODE)
    ensure_folder(places.policies, SECRET_MODE)
    folder = places.policies / f"{new.policy.sequence}-{new.policy.digest.hex[:16]}"
    ensure_folder(folder, SECRET_MODE)
    with os_errors(folder):
        for name in os.listdir(folder):  # what an interrupted installation left
            with contextlib.suppress(IsADirectoryError):
                os.unlink(folder / name)
    for name, content in {DOCUMENT: new.data, **new.signatures}.items():
        write_atomic(folder / name, content, mode=0o600)
    fsync_directory(places.policies)
    atomic_symlink(places.current, f"{places.policies.name}/{folder.name}")


def _is_signature(name: str, document: str) -> bool:
    return name.startswith(f"{document}.") and names.is_envelope(name)


def _bounded(path: Path, limit: int) -> bytes:
    if not path.is_file():
        raise UsageError("no such file", where=path)
    with os_errors(path), path.open("rb") as file:
        data = file.read(limit + 1)
    if len(data) > limit:
        raise LimitError("file too large", where=path, want=f"<= {limit} bytes")
    return data
