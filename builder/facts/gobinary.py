"""What a Go program says of itself: Go version, modules, build settings, and which crypto it really carries.

The format is that of Go's `debug/buildinfo`: a 32-byte header with magic, then (flag bit 1) two strings with varint
lengths: the Go version, and the module lines between two 16-byte sentinels.
"""

import re
from dataclasses import dataclass

_MAGIC = b"\xff Go buildinf:"
_HEADER = 32
_INLINE_STRINGS = 2  # flags bit: the strings follow the header, which Go writes since 1.18
_SENTINEL = 16
_ALIGN = 16
_MAX_TEXT = 4 << 20  # bytes; Kubernetes' is 20 KiB
# Evidence that survives stripping: names in the function table. Measured with Go 1.26 for all three kinds.
_BORING = (b"_Cfunc__goboringcrypto_", b"crypto/internal/boring/sig.BoringCrypto")
_NATIVE = re.compile(rb"crypto/internal/fips140/v[0-9]")
# A function of Go's public crypto packages in the function table, where names stand one after the other, ended by NUL.
_ANY_CRYPTO = re.compile(rb"\0crypto/(?!internal/|subtle\.)[a-z0-9/]+\.")


@dataclass(frozen=True, kw_only=True, slots=True)
class GoModule:
    """A module in a program; `h1` is empty for the main module, `replaced` names what it stands for."""

    path: str
    version: str
    h1: str = ""
    replaced: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class GoFacts:
    """`package` is the main package's path; `settings` are the build lines (`CGO_ENABLED`, `-tags`, ...)."""

    go: str
    package: str
    main: GoModule | None
    modules: tuple[GoModule, ...]
    settings: dict[str, str]
    crypto: str


def go_facts(content: bytes) -> GoFacts | None:
    """A program's bytes -> its facts; None when it carries no build information."""
    strings = _strings(content)
    if strings is None:
        return None
    go, text = strings
    package, main, modules, settings = _parse(text)
    return GoFacts(
        go=go, package=package, main=main, modules=modules, settings=settings, crypto=crypto_mode(content, settings)
    )


def without_build_information(content: bytes) -> bytes:
    """A Go program's bytes without the module lines it carries (twice: in their section, and as a string).

    They name the version of every module, so they prove nothing about what a stamp did.
    """
    strings = _strings(content)
    return content.replace(strings[1].encode(), b"") if strings and strings[1] else content


def said_mode(settings: dict[str, str]) -> str:
    """The crypto that the build lines say: `boringcrypto`, `go-native` or `off`."""
    if "boringcrypto" in settings.get("GOEXPERIMENT", "").split(","):
        return "boringcrypto"
    return "off" if settings.get("GOFIPS140", "off") in ("", "off", "latest") else "go-native"


def crypto_mode(content: bytes, settings: dict[str, str]) -> str:
    """`boringcrypto`, `go-native` or `off`: what the build lines say, only if the bytes agree; else `unclear`.

    `none`: it was compiled for one of the two, and holds no crypto of Go's at all.
    """
    said = said_mode(settings)
    boring = all(mark in content for mark in _BORING)
    native = _NATIVE.search(content) is not None
    if (boring, native) == (said == "boringcrypto", said == "go-native"):
        return said
    return "unclear" if boring or native or holds_crypto(content) else "none"


def holds_crypto(content: bytes) -> bool:
    """Whether any of Go's own crypto was linked in."""
    return _ANY_CRYPTO.search(content) is not None


def _strings(content: bytes) -> tuple[str, str] | None:
    at = content.find(_MAGIC)
    while at >= 0:
        if at % _ALIGN == 0 and len(content) > at + _HEADER and content[at + 15] & _INLINE_STRINGS:
            try:
                version, after = _string(content, at + _HEADER)
                text, _ = _string(content, after)
                return version.decode(), text[_SENTINEL:-_SENTINEL].decode()
            except (ValueError, IndexError):
                pass  # the magic as somebody's data: a Go toolchain contains it as a constant
        at = content.find(_MAGIC, at + 1)
    return None


def _string(content: bytes, at: int) -> tuple[bytes, int]:
    """A varint length (encoding/binary, Uvarint) and that many bytes -> the bytes and the offset after them."""
    length = shift = 0
    while True:
        byte = content[at]
        at += 1
        length |= (byte & 0x7F) << shift
        shift += 7
        if byte < 0x80:
            break
        if shift > 28:
            raise ValueError("length too large")
    if length > _MAX_TEXT or at + length > len(content):
        raise ValueError("length too large")
    return content[at : at + length], at + length


def _parse(text: str) -> tuple[str, GoModule | None, tuple[GoModule, ...], dict[str, str]]:
    """The lines path, mod, dep, => and build, each with tabs between its words (runtime/debug.BuildInfo)."""
    package, main, settings = "", None, {}
    modules: list[GoModule] = []
    for line in text.splitlines():
        kind, *words = line.split("\t")
        words += [""] * (3 - len(words))
        if kind == "path":
            package = words[0]
        elif kind == "mod":
            main = GoModule(path=words[0], version=words[1], h1=words[2])
        elif kind == "dep":
            modules.append(GoModule(path=words[0], version=words[1], h1=words[2]))
        elif kind == "=>" and modules:
            old = modules.pop()
            modules.append(GoModule(path=words[0], version=words[1], h1=words[2], replaced=f"{old.path}@{old.version}"))
        elif kind == "build":
            name, _, value = words[0].partition("=")
            settings[name] = value.strip('"')
    return package, main, tuple(modules), settings
