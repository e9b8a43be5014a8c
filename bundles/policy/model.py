"""A trust policy as values, parsed once and strictly (bundle-format 5).

A policy is a small JSON document that a site signs and numbers itself. It says whose signatures count, how many of
them, for which bundle names, and who may replace the policy.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Literal

import msgspec

from bundles import jsontext
from bundles.digest import Digest
from bundles.errors import FormatError, Problem, ProblemsError, SealiftError
from bundles.signing.keys import PublicKey, read_public_key

FORMAT: Final = "1.0"
MAX_POLICY: Final = 1 << 20  # bytes
_NAME: Final = re.compile(r"[a-z0-9][a-z0-9._-]{0,62}")
_PATTERN: Final = re.compile(r"[A-Za-z0-9._/:@*-]{1,200}")

Expiry = Literal["refuse", "warn", "require"]


class _Quorum(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    signers: list[str]
    threshold: int = 1


class _Attestation(_Quorum, frozen=True, kw_only=True, forbid_unknown_fields=True):
    type: str


class _BundleRule(_Quorum, frozen=True, kw_only=True, forbid_unknown_fields=True):
    names: list[str]
    lowest_sequence: int = 0
    expiry: Expiry = "refuse"
    attestations: list[_Attestation] = []


class _ImageRule(_Quorum, frozen=True, kw_only=True, forbid_unknown_fields=True):
    references: list[str]


class _Document(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    format: str
    name: str
    sequence: int
    keys: dict[str, str]
    update: _Quorum
    bundles: list[_BundleRule]
    images: list[_ImageRule] = []
    revoked: list[Digest] = []
    expires: int | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Quorum:
    """At least `threshold` of the keys `signers` (by key id, the digest of the public key) have signed."""

    signers: frozenset[Digest]
    threshold: int

    def met(self, signed: frozenset[Digest]) -> bool:
        """Whether enough of the keys that signed are ours. Keys count, not names or signatures."""
        return len(self.signers & signed) >= self.threshold


@dataclass(frozen=True, kw_only=True, slots=True)
class AttestationRule:
    """A statement of the predicate type `type` about the bundle is needed, signed by the quorum."""

    type: str
    quorum: Quorum


@dataclass(frozen=True, kw_only=True, slots=True)
class BundleRule:
    """For bundles whose folder name one of `names` matches (`*` is any run of characters).

    `expiry`: `refuse` what has expired, `warn` only, or `require` that bundles say when they expire, and refuse.
    """

    names: tuple[str, ...]
    quorum: Quorum
    lowest_sequence: int
    expiry: Expiry
    attestations: tuple[AttestationRule, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class ImageRule:
    """Mirrored images whose reference one of `references` matches need signatures at build time."""

    references: tuple[str, ...]
    quorum: Quorum


@dataclass(frozen=True, kw_only=True, slots=True)
class Policy:
    """A valid policy: `digest` is that of the document's bytes, `keys` by their id, `expires` in epoch seconds."""

    name: str
    sequence: int
    digest: Digest
    keys: Mapping[Digest, PublicKey]
    names: Mapping[Digest, str]
    update: Quorum
    bundles: tuple[BundleRule, ...]
    images: tuple[ImageRule, ...]
    revoked: frozenset[Digest]
    expires: int | None

    def told(self, keys: frozenset[Digest]) -> str:
        """Key ids -> their names in this policy, for people."""
        return ", ".join(sorted(self.names.get(key, str(key)) for key in keys)) or "nobody"


def parse(data: bytes, *, where: object) -> Policy:
    """The document's bytes -> Policy.

    Raises FormatError for what is no policy at all, ProblemsError with everything else that is wrong. Unknown fields
    are refused, unlike in bundle.json: a rule that a reader does not know must not be a rule that it leaves out.
    """
    plain = jsontext.decode_plain(data, where=where, max_size=MAX_POLICY)
    version = plain.get("format") if isinstance(plain, dict) else None
    if version != FORMAT:
        hint = "this policy needs another version of sealift"
        raise FormatError("unknown policy format", where=where, got=repr(version), want=FORMAT, hint=hint)
    document = jsontext.decode(data, _Document, where=where, max_size=MAX_POLICY)
    return _Conversion(document, data, str(where)).policy()


class _Conversion:
    """Collects the problems of a document while its parts become values."""

    def __init__(self, document: _Document, data: bytes, where: str) -> None:
        self._document = document
        self._digest = Digest.of(data)
        self._where = where
        self._problems: list[Problem] = []
        self._ids: dict[str, Digest] = {}

    def policy(self) -> Policy:
        document = self._document
        keys = self._keys()
        policy = Policy(
            name=document.name,
            sequence=document.sequence,
            digest=self._digest,
            keys=keys,
            names={identity: name for name, identity in self._ids.items()},
            update=self._quorum(document.update, "update"),
            bundles=tuple(self._bundle_rule(rule, f"bundles[{i}]") for i, rule in enumerate(document.bundles)),
            images=tuple(self._image_rule(rule, f"images[{i}]") for i, rule in enumerate(document.images)),
            revoked=frozenset(document.revoked),
            expires=document.expires,
        )
        self._check_document()
        if self._problems:
            raise ProblemsError(self._where, self._problems)
        return policy

    def _check_document(self) -> None:
        document = self._document
        if not _NAME.fullmatch(document.name):
            self._problem("name", f"not a policy's name: {document.name[:80]!r}", f"as in {_NAME.pattern}")
        if document.sequence < 1:
            self._problem("sequence", f"must be 1 or more, got {document.sequence}")
        if not document.bundles:
            self._problem("bundles", "no rule: this policy refuses every bundle", 'add one, for example for "*"')

    def _keys(self) -> dict[Digest, PublicKey]:
        keys: dict[Digest, PublicKey] = {}
        for name, pem in self._document.keys.items():
            at = f"keys.{name[:80]}"
            if not _NAME.fullmatch(name):
                self._problem(at, "not a key's name", f"as in {_NAME.pattern}")
            try:
                key = read_public_key(pem.encode(), where=at)
            except SealiftError as exc:
                self._problem(at, exc.message + (f", got {exc.got}" if exc.got else ""), exc.hint)
                continue
            if key.id in keys:
                # One key under two names would count twice to the eye, and once here: never leave that in doubt.
                self._problem(at, f"the same key as {next(n for n, i in self._ids.items() if i == key.id)}")
            elif key.id in self._document.revoked:
                self._problem(at, "a revoked key", "take it out of keys, or out of revoked")
            keys[key.id] = key
            self._ids[name] = key.id
        return keys

    def _quorum(self, quorum: _Quorum, at: str) -> Quorum:
        unknown = [name for name in quorum.signers if name not in self._document.keys]
        for name in unknown:
            self._problem(f"{at}.signers", f"no such key: {name[:80]!r}", "name one of keys")
        signers = frozenset(self._ids[name] for name in quorum.signers if name in self._ids)
        if not 1 <= quorum.threshold <= len(set(quorum.signers)):
            count = len(set(quorum.signers))
            self._problem(f"{at}.threshold", f"{quorum.threshold} of {count} signers", "from 1 to their number")
        return Quorum(signers=signers, threshold=quorum.threshold)

    def _bundle_rule(self, rule: _BundleRule, at: str) -> BundleRule:
        if rule.lowest_sequence < 0:
            self._problem(f"{at}.lowest_sequence", f"must be 0 or more, got {rule.lowest_sequence}")
        return BundleRule(
            names=self._patterns(rule.names, f"{at}.names"),
            quorum=self._quorum(rule, at),
            lowest_sequence=rule.lowest_sequence,
            expiry=rule.expiry,
            attestations=tuple(
                AttestationRule(type=wanted.type, quorum=self._quorum(wanted, f"{at}.attestations[{i}]"))
                for i, wanted in enumerate(rule.attestations)
            ),
        )

    def _image_rule(self, rule: _ImageRule, at: str) -> ImageRule:
        return ImageRule(references=self._patterns(rule.references, f"{at}.references"), quorum=self._quorum(rule, at))

    def _patterns(self, patterns: list[str], at: str) -> tuple[str, ...]:
        if not patterns:
            self._problem(at, "empty: this rule is for nothing")
        for pattern in patterns:
            if not _PATTERN.fullmatch(pattern):
                self._problem(at, f"not a pattern: {pattern[:80]!r}", "letters, digits, ._/:@- and *")
        return tuple(patterns)

    def _problem(self, at: str, message: str, hint: str = "") -> None:
        self._problems.append(Problem(where=f"{self._where}:{at}", message=message, hint=hint))
