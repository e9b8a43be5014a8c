"""Who signs: a key file, or a program that reaches a key which nobody can read (PKCS#11, KMS).

The program's protocol: standard input is what is to be signed, `SEALIFT_SHA256` in its environment the sha256 of it in
hex (for tokens that sign a digest); it prints the signature: DER for ECDSA, 64 bytes for Ed25519, raw or in base64; or
a sigstore bundle, as cosign 3 does. What it prints is verified with the public key before anything is written.
"""

import contextlib
import hashlib
import shlex
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from builder.passphrase import VARIABLES
from builder.process import run
from bundles.errors import FormatError, SealiftError, TrustError, UsageError
from bundles.files import os_errors
from bundles.signing import blob, envelope
from bundles.signing.keyfile import read_private_key
from bundles.signing.keys import PrivateKey, PublicKey, Signer
from bundles.signing.pem import MAX_PEM
from bundles.trust import load_public_key

SCHEME: Final = "exec:"
DIGEST_VARIABLE: Final = "SEALIFT_SHA256"


def load_private_key(path: Path, passphrase: Callable[[], bytes]) -> PrivateKey:
    """A key file -> PrivateKey. Raises UsageError when there is none; FormatError: another kind, wrong passphrase."""
    if not path.exists():
        raise UsageError("no such key", where=path, hint="make one with `sealift keygen NAME`")
    with os_errors(path), path.open("rb") as file:
        data = file.read(MAX_PEM + 1)
    return read_private_key(data, passphrase, where=path)


def choose_signer(
    key: Path | None,
    program: str | None,
    public: Path | None,
    passphrase: Callable[[], bytes],
    env: Mapping[str, str],
) -> Signer | None:
    """The flags that say who signs -> the signer, None when none is given; raises UsageError for half of them."""
    if key is not None and program is None and public is None:
        return load_private_key(key, passphrase)
    if program is not None and public is not None and key is None:
        return ProgramSigner.parse(program, load_public_key(public), env, Path.cwd())
    if key is None and program is None and public is None:
        return None
    raise UsageError("not one signer", want="a key's file, or --signer exec:PROGRAM with --public PUB")


@dataclass(frozen=True, slots=True)
class ProgramSigner:
    """A signer behind a program: its words, the environment it gets, and the public half of its key."""

    words: tuple[str, ...]
    public: PublicKey
    env: Mapping[str, str]
    cwd: Path

    @classmethod
    def parse(cls, text: str, public: PublicKey, env: Mapping[str, str], cwd: Path) -> "ProgramSigner":
        """`exec:PROGRAM [ARGUMENT...]`, quoted as for a shell, which is not started; raises UsageError."""
        if not text.startswith(SCHEME):
            raise UsageError("not a signer", got=text, want=f"{SCHEME}PROGRAM [ARGUMENT...]")
        try:
            words = tuple(shlex.split(text.removeprefix(SCHEME)))
        except ValueError as exc:
            raise UsageError(f"not a signer: {exc}", got=text, want=f"{SCHEME}PROGRAM [ARGUMENT...]") from exc
        if not words:
            raise UsageError("a signer without a program", got=text, want=f"{SCHEME}PROGRAM [ARGUMENT...]")
        return cls(words, public, {name: value for name, value in env.items() if name != VARIABLES[0]}, cwd)

    def sign(self, message: bytes) -> bytes:
        """See bundles.signing.keys.Signer; raises StepError, SealiftError when it prints anything but a signature."""
        env = {**self.env, DIGEST_VARIABLE: hashlib.sha256(message).hexdigest()}
        done = run(self.words, cwd=self.cwd, env=env, what="signer", stdin=message)
        for signature in _spellings(done.stdout):
            try:
                self.public.verify(signature, message, where=self.words[0])
            except TrustError:
                continue
            return signature
        hint = f"it has to print the signature alone; is its key really the public one, {self.public.id}?"
        got = f"{len(done.stdout)} bytes"
        raise SealiftError("the signer printed no signature of this key", where=self.words[0], got=got, hint=hint)


def _spellings(printed: bytes) -> list[bytes]:
    readers: tuple[Callable[[], bytes], ...] = (
        lambda: blob.read_sig(printed, where="signer"),
        lambda: envelope.read_message(printed, where="signer").signature,
    )
    found = [printed] if len(printed) <= blob.MAX_SIG else []
    for read in readers:
        with contextlib.suppress(FormatError):
            found.append(read())
    return found
