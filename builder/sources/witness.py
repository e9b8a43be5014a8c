"""What others say of a file from a URL, asked when it is locked: its author's sha256, upstream's sums and signature.

The lock's digest is what a build believes. A witness makes the first time less a matter of trust.
"""

import re
from pathlib import Path
from typing import Final

from builder.recipe.fetched import Witness, last_part
from builder.sources.urlclient import UrlClient
from builder.store import Store
from bundles.digest import Digest
from bundles.errors import FormatError, LimitError
from bundles.files import os_errors
from bundles.registry.url import shown
from bundles.signing.blob import MAX_SIG, read_sig
from bundles.signing.keys import PublicKey, read_public_key

_MAX_SUMS: Final = 1 << 20  # bytes
_MAX_KEY: Final = 64 << 10
_MAX_SIGNED: Final = 1 << 30  # bytes of a file that is signed itself: signatures are checked in memory
# coreutils' (`HEX  name`, `HEX *name`) and BSD's (`SHA256 (name) = HEX`) lists.
_GNU: Final = re.compile(r"([0-9a-fA-F]{64}) [ *](?:\./)?(\S.*)")
_BSD: Final = re.compile(r"SHA256 \((.+)\) = ([0-9a-fA-F]{64})")


def read_key(path: Path) -> PublicKey:
    """The key file of a witness."""
    with os_errors(path), path.open("rb") as file:
        return read_public_key(file.read(_MAX_KEY), where=path)


def check_witness(
    client: UrlClient, store: Store, url: str, witness: Witness, key: PublicKey | None, digest: Digest, size: int
) -> None:
    """Returns when all witnesses say that the file (in the store) is what upstream made.

    Raises FormatError for another sum, TrustError for a signature that does not hold, and what fetching raises.
    """
    where = shown(url)
    if witness.sha256 is not None and witness.sha256 != digest:
        want = witness.sha256
        hint = "another file lies there than the recipe means: find out why before you trust it"
        raise FormatError("not the sha256 that the recipe says", where=where, got=digest, want=want, hint=hint)
    sums = client.small(witness.sums, _MAX_SUMS) if witness.sums else None
    if key is not None:
        if sums is None and size > _MAX_SIGNED:
            raise LimitError("too large to check its signature", where=where, want=f"<= {_MAX_SIGNED} bytes, or `sums`")
        key.verify(
            _signature(client.small(witness.signature, MAX_SIG), witness.signature),
            sums if sums is not None else store.read(digest),
            where=shown(witness.signature),
        )
    if sums is not None and (said := listed(sums, last_part(url), shown(witness.sums))) != digest:
        raise FormatError("not the sha256 that upstream's list says", where=where, got=digest, want=said)


def listed(sums: bytes, name: str, where: str) -> Digest:
    """What a list says of the file `name`; raises FormatError when it says nothing, or two things."""
    found = set()
    for line in sums.decode("utf-8", "replace").splitlines():
        if (gnu := _GNU.fullmatch(line.rstrip())) and gnu[2] == name:
            found.add(gnu[1].lower())
        elif (bsd := _BSD.fullmatch(line.rstrip())) and bsd[1] == name:
            found.add(bsd[2].lower())
    if len(found) != 1:
        raise FormatError("the list names the file twice" if found else "the list does not name the file",
                          where=where, want=name)  # fmt: skip
    return Digest(found.pop())


def _signature(data: bytes, url: str) -> bytes:
    """cosign writes base64, openssl the bytes."""
    try:
        return read_sig(data, where=shown(url))
    except FormatError:
        return data
