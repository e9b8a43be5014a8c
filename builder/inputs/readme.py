"""README.txt of an input archive: for whoever finds it in five years, with Sealift or without. Pure."""

from typing import Final

_TEXT: Final = """\
Sealift input archive
=====================

Everything that one or more Sealift bundles are built from: each file was verified against a lock before it
was put here. Nothing in this folder needs a network, an account or a special program to be read.

  sha256sum -c SHA256SUMS         checks all of it after a copy

  inputs.json                     what each file is: source, SHA-256, size, and for Go modules go's own hash (h1:, as in
                                  go.sum); then each release, its lock's digest, and the sources it needs
  recipes/NAME-VERSION-LOCK.tar   a release's recipe and lock: what is built, and how, in plain YAML
  go/                             Go modules and toolchains (golang.org/toolchain), as a module proxy serves them
  debian/NAME_VERSION-HASH/       Debian packages; source packages with their .dsc, which Debian's developers signed
  blobs/sha256/HEX                files of other origin; inputs.json says which

With Sealift, on a machine without network:

  tar xf recipes/NAME-VERSION-LOCK.tar
  sealift build recipe --inputs THIS_FOLDER --offline --output OUT

Without Sealift:

  GOPROXY=file://THIS_FOLDER/go GOSUMDB=off GOFLAGS=-mod=mod go build ...      in recipe/go/NAME
  dpkg-source -x debian/NAME_VERSION-HASH/*.dsc
  dpkg-deb -x debian/NAME_VERSION-HASH/*.deb FOLDER
"""


def readme_text() -> bytes:
    """The file's bytes, the same in every archive."""
    return _TEXT.encode()
