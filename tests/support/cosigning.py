"""The real cosign, versions 2 and 3, kept from any network: what is checked here holds on a host without one."""

import os
import subprocess
from dataclasses import dataclass
from pathlib import Path

from bundles.signing.keyfile import write_private_key
from bundles.signing.keys import Algorithm, PrivateKey, generate
from tests.support.gotools import go_tool

PASSPHRASE = "correct horse"
# Without these files cosign asks a server for what they say, even when only a key counts.
ROOT = '{"mediaType":"application/vnd.dev.sigstore.trustedroot+json;version=0.1"}'
CONFIG = '{"mediaType":"application/vnd.dev.sigstore.signingconfig.v0.2+json"}'


@dataclass(frozen=True)
class Cosign:
    """One cosign; `home` holds its files. Anything but loopback goes to a proxy that does not exist."""

    version: int
    program: Path
    home: Path

    def run(
        self, *arguments: str | Path, stdin: bytes | None = None, check: bool = True
    ) -> subprocess.CompletedProcess[bytes]:
        nowhere = {f"{name}_PROXY": "http://127.0.0.1:9" for name in ("HTTP", "HTTPS")}
        env = {"PATH": os.environ["PATH"], "HOME": str(self.home), "COSIGN_PASSWORD": PASSPHRASE, **nowhere}
        done = subprocess.run([self.program, *arguments], env=env, input=stdin, capture_output=True, cwd=self.home)
        assert not check or done.returncode == 0, done.stderr.decode()
        return done

    @property
    def signing(self) -> list[str | Path]:
        """Options that keep signing away from logs."""
        return (
            ["-y", "--tlog-upload=false"]
            if self.version == 2
            else ["-y", "--signing-config", self._file("signing", CONFIG)]
        )

    @property
    def bundle_form(self) -> list[str]:
        """Options that make it write sigstore bundles."""
        return ["--new-bundle-format"] if self.version == 2 else []

    @property
    def bundle_root(self) -> list[str | Path]:
        """Options that keep the check of a bundle from the network."""
        return [*self.bundle_form, "--trusted-root", self._file("root", ROOT)] if self.version == 2 else []

    def accepts(self, what: str, *arguments: str | Path) -> bool:
        """`verify-blob`, `verify-blob-attestation` or `verify`, by key alone."""
        done = self.run(what, "--insecure-ignore-tlog", *arguments, check=False)
        assert done.returncode == 0 or b"unknown flag" not in done.stderr, done.stderr
        return done.returncode == 0

    def accepts_bundle(self, key: Path, bundle: Path, blob: Path) -> bool:
        return self.accepts("verify-blob", "--key", key, "--bundle", bundle, *self.bundle_root, blob)

    def accepts_sig(self, key: Path, sig: Path, blob: Path) -> bool:
        return self.accepts("verify-blob", "--key", key, "--signature", sig, blob)

    def accepts_statement(self, key: Path, bundle: Path, kind: str, blob: Path) -> bool:
        return self.accepts(
            "verify-blob-attestation", "--key", key, "--bundle", bundle, "--type", kind, *self.bundle_root, blob
        )

    def _file(self, name: str, text: str) -> Path:
        path = self.home / f"{name}.json"
        path.write_text(text)
        return path


def cosign(version: int, home: Path) -> Cosign:
    """Cosign 2 or 3, built from tests/tools/cosign."""
    home.mkdir(exist_ok=True)
    return Cosign(version, go_tool("cosign", f"github.com/sigstore/cosign/v{version}/cmd/cosign"), home)


@dataclass(frozen=True)
class KeyFiles:
    """A key pair of ours on disk, under PASSPHRASE, and in memory."""

    private: Path
    public: Path
    key: PrivateKey


def key_files(folder: Path, algorithm: Algorithm = "ecdsa-p256", name: str = "k") -> KeyFiles:
    """Makes a pair as `sealift keygen` does."""
    key = generate(algorithm)
    files = KeyFiles(folder / f"{name}.key", folder / f"{name}.pub", key)
    files.private.write_bytes(write_private_key(key, PASSPHRASE.encode(), random=os.urandom))
    files.public.write_bytes(key.public.pem)
    return files
