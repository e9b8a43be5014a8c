"""Makes a key pair on disk."""

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from bundles.digest import Digest
from bundles.errors import UsageError
from bundles.files import fsync_directory, os_errors, temp_name, write_atomic
from bundles.signing.keyfile import write_private_key
from bundles.signing.keys import Algorithm, generate

_PRIVATE_MODE = 0o600
_PUBLIC_MODE = 0o644


@dataclass(frozen=True, kw_only=True, slots=True)
class KeyPair:
    """The two files, the key's id, and whether a passphrase protects it."""

    private: Path
    public: Path
    id: Digest
    protected: bool


def make_pair(prefix: Path, algorithm: Algorithm, passphrase: Callable[[], bytes]) -> KeyPair:
    """Writes PREFIX.key (mode 0600) and PREFIX.pub; raises UsageError when one of them is there already."""
    private, public = (prefix.with_name(prefix.name + suffix) for suffix in (".key", ".pub"))
    for path in (private, public):
        if path.is_symlink() or path.exists():
            raise _taken(path)
    secret = passphrase()
    key = generate(algorithm)
    _write_new(private, write_private_key(key, secret, random=os.urandom), _PRIVATE_MODE)
    _write_new(public, key.public.pem, _PUBLIC_MODE)
    return KeyPair(private=private, public=public, id=key.public.id, protected=bool(secret))


def _write_new(target: Path, data: bytes, mode: int) -> None:
    """Whole or not at all, and by link(2), which fails where a rename would overwrite."""
    temp = temp_name(target)
    write_atomic(temp, data, mode=mode)
    try:
        with os_errors(target):
            try:
                os.link(temp, target)
            except FileExistsError as exc:
                raise _taken(target) from exc
            fsync_directory(target.parent)
    finally:
        temp.unlink()


def _taken(path: Path) -> UsageError:
    return UsageError("a key is never overwritten", where=path, hint="choose another name, or move the old one away")
