"""Package URLs (ECMA-427, package-url specification): one name for a package in every scanner. Pure."""

from collections.abc import Mapping
from typing import Final

from bundles.digest import Digest
from bundles.reference import Reference

# What stays as it is beside letters and digits; the specification leaves `:` alone everywhere.
_SAFE: Final = "-._~:"
_DEBIAN: Final = {"bullseye": "debian-11", "bookworm": "debian-12", "trixie": "debian-13", "forky": "debian-14"}


def golang(path: str, version: str = "") -> str:
    """A Go module.

    The path keeps its capitals, as in all scanners: to Go, `github.com/Azure/x` is not `github.com/azure/x`. Readers
    that follow the specification to the letter make small letters of it.
    """
    return _purl("golang", path.split("/"), version)


def debian(name: str, version: str, *, architecture: str, suite: str = "") -> str:
    """A Debian package; `architecture` is Debian's (`amd64`, `all`, `source`); the epoch is part of the version."""
    distribution = _DEBIAN.get(suite, suite)
    return _purl("deb", ["debian", name], version, {"arch": architecture, "distro": distribution})


def image(reference: Reference, digest: Digest, architecture: str) -> str:
    """An OCI image, named by the digest of its manifest."""
    place = f"{reference.domain}/{reference.repository}"
    qualifiers = {"arch": architecture, "repository_url": place, "tag": reference.tag or ""}
    return _purl("oci", [reference.repository.rpartition("/")[2]], str(digest), qualifiers)


def generic(name: str, version: str, digest: Digest | None = None) -> str:
    """Something that no package manager of the specification knows, a chart for example; by the digest of its file."""
    return _purl("generic", [name], version, {"checksum": str(digest) if digest else ""})


def download(name: str, version: str, digest: Digest, url: str) -> str:
    """A file from a URL that no package manager knows."""
    return _purl("generic", [name], version, {"checksum": str(digest), "download_url": url})


def quote(text: str, safe: str = _SAFE) -> str:
    """Percent-encoding (RFC 3986) of all bytes but letters, digits and `safe`."""
    return "".join(
        chr(byte) if chr(byte) in safe or (byte < 0x80 and chr(byte).isalnum()) else f"%{byte:02X}"
        for byte in text.encode()
    )


def _purl(kind: str, path: list[str], version: str, qualifiers: Mapping[str, str] | None = None) -> str:
    text = f"pkg:{kind}/{'/'.join(quote(part) for part in path)}"
    text += f"@{quote(version)}" if version else ""
    pairs = [f"{key}={quote(value, safe=_SAFE + '/')}" for key, value in sorted((qualifiers or {}).items()) if value]
    return f"{text}?{'&'.join(pairs)}" if pairs else text
