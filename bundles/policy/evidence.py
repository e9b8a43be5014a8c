"""The signed statements beside a bundle that count for a policy: signatures hold, and they are about this bundle."""

from typing import Final

from bundles.digest import Digest
from bundles.errors import FormatError, LimitError, TrustError
from bundles.policy.judge import Attested
from bundles.policy.model import Policy
from bundles.signing import dsse, envelope, names, statement
from bundles.source import BundleSource

_MOST: Final = 192  # attestations of one bundle: three documents, 64 signers


def attested(source: BundleSource, policy: Policy, index_digest: Digest) -> tuple[Attested, ...]:
    """The statements of keys that the policy knows, about the bundle whose index has this digest.

    As with signatures: a statement of an unknown key proves nothing and spoils nothing, one that names a known key has
    to hold, or the bundle is refused. A statement about another bundle is refused too: it was put there by somebody.
    Raises TrustError.
    """
    paths = [path for path in source.files() if names.is_attestation(path)]
    if len(paths) > _MOST:
        raise TrustError("too many attestations", where=source.where, got=len(paths), want=f"<= {_MOST}")
    found: dict[str, set[Digest]] = {}
    for path in paths:
        where = f"{source.where}: {path}"
        try:
            one = _statement(source, path, policy, index_digest, where)
        except (FormatError, LimitError) as exc:
            raise TrustError(exc.message, where=exc.where, got=exc.got, want=exc.want, hint=exc.hint) from exc
        if one is not None:
            found.setdefault(one[0], set()).add(one[1])
    return tuple(Attested(type=kind, signers=frozenset(keys)) for kind, keys in sorted(found.items()))


def _statement(
    source: BundleSource, path: str, policy: Policy, index_digest: Digest, where: str
) -> tuple[str, Digest] | None:
    """Its predicate type and the key that signed it; None when the policy does not know the key."""
    with source.open(path) as region:
        if region.size > envelope.MAX_STATEMENT:
            got, want = f"{region.size} bytes", f"<= {envelope.MAX_STATEMENT}"
            raise LimitError("attestation too large", where=where, got=got, want=want)
        data = region.read(0, region.size)
    hint = envelope.read_statement(data, where=where).hint
    key = next((key for key in policy.keys.values() if key.hint == hint), None)
    if key is None:
        return None
    said = statement.decode(dsse.verify(data, key, where=where), where=where)
    said.about(index_digest, where=where)
    return said.predicate_type, key.id
