"""Which version is newer, and which is still the same line: Go modules, toolchains, Debian packages. Pure."""

import functools
import itertools
import re
from collections.abc import Iterable
from typing import Final

_MODULE: Final = re.compile(r"v(\d+)\.(\d+)\.(\d+)((?:\+incompatible)?)")
_TOOLCHAIN: Final = re.compile(r"(1)\.(\d+)\.(\d+)")
_RELEASE: Final = re.compile(r"(.*?)(\d+)([^0-9]*)")
_TAG: Final = re.compile(r"(v?[0-9]+\.[0-9]+)\.([0-9]+)([!-~]{0,128})")
_REBUILD: Final = re.compile(r"(.*[^A-Za-z0-9]?(?:rke2)?r)(\d+)")


def newest_module(version: str, served: Iterable[str]) -> str:
    """The newest patch of `version`'s line (same major, minor) among `served`, or `version` itself.

    Pre-releases and pseudo-versions are no patches, and have none.
    """
    return _newest(_MODULE, version, served)


def newest_toolchain(version: str, served: Iterable[str]) -> str:
    """The same for Go itself: `1.26.8` and what `go list -m -versions go` prints."""
    return _newest(_TOOLCHAIN, version, served)


def _newest(pattern: re.Pattern[str], version: str, served: Iterable[str]) -> str:
    if (now := pattern.fullmatch(version)) is None:
        return version
    best, found = int(now[3]), version
    for each in served:
        if (other := pattern.fullmatch(each)) is None or other.groups()[:2] != now.groups()[:2]:
            continue
        if int(other[3]) > best:
            best, found = int(other[3]), each
    return found


def newest_tag(version: str, served: Iterable[str]) -> str:
    """The newest of a tag's or a chart's line (same major, minor, same form behind the patch), or `version` itself.

    `v3.6.7-k3s1-build20260126` goes to `v3.6.9-k3s1-build20260301`, never to `v3.6.9` or to a `-rc1`: who publishes
    builds numbers them, and a form of its own is another thing. `3.6` and `latest` have no line.
    """
    now = _tag(version)
    if now is None:
        return version
    later = [(found[2], each) for each in served if (found := _tag(each)) and found[:2] == now[:2]]
    return max([(now[2], version), *later])[1]


def _tag(text: str) -> tuple[str, str, tuple[int, ...]] | None:
    """Line, form, and the numbers that count: patch first, then those behind it."""
    if (found := _TAG.fullmatch(text)) is None:
        return None
    form = re.sub(r"[0-9]+", "#", found[3])
    return found[1], form, (int(found[2][:99]), *map(int, re.findall(r"[0-9]+", found[3])))


def bare(version: str) -> str:
    """What is before the first `-` or `+`: `v1.34.5` of `v1.34.5-rke2r1-build20260227`."""
    return re.split(r"[-+]", version, maxsplit=1)[0]


def same_patch(version: str, old: str, new: str) -> str:
    """`version` moved along when it has the patch of `old`: v0.34.4 goes to v0.34.6 with v1.34.4 -> v1.34.6.

    Empty when the two do not go in step.
    """
    mine, was, becomes = (_MODULE.fullmatch(text) for text in (version, old, new))
    if mine is None or was is None or becomes is None or mine.groups()[1:3] != was.groups()[1:3]:
        return ""
    return f"v{mine[1]}.{mine[2]}.{becomes[3]}{mine[4]}"


def newest_package(version: str, listed: Iterable[str]) -> str:
    """The newest of a Debian package's versions, `version` among them."""
    return max([version, *listed], key=functools.cmp_to_key(compare_packages))


def compare_packages(one: str, two: str) -> int:
    """Debian's order of versions (policy 5.6.12): negative when `one` is older, 0 when they are equal."""
    epochs, rests = zip(*(_epoch(text) for text in (one, two)), strict=True)
    if epochs[0] != epochs[1]:
        return -1 if epochs[0] < epochs[1] else 1
    for left, right in zip(*(_halves(text) for text in rests), strict=True):
        if found := _compare(left, right):
            return found
    return 0


def _epoch(text: str) -> tuple[int, str]:
    epoch, colon, rest = text.partition(":")
    return (int(epoch) if epoch.isdigit() else 0, rest) if colon else (0, text)


def _halves(text: str) -> tuple[str, str]:
    upstream, _, revision = text.rpartition("-")
    return (upstream, revision) if upstream else (text, "0")


def _compare(one: str, two: str) -> int:
    """Runs of other characters and runs of digits, in turn."""
    words = (re.findall(r"(\D*)(\d*)", text) for text in (one, two))
    for (left, lnumber), (right, rnumber) in itertools.zip_longest(*words, fillvalue=("", "")):
        for a, b in itertools.zip_longest(left, right, fillvalue=""):
            if a != b:
                return -1 if _weight(a) < _weight(b) else 1
        if (x := int(lnumber or 0)) != (y := int(rnumber or 0)):
            return -1 if x < y else 1
    return 0


def _weight(char: str) -> int:
    """`~` before the end, the end before letters, letters before the rest."""
    if char == "~":
        return -1
    if not char:
        return 0
    return ord(char) if char.isalpha() else ord(char) + 256


def next_bundle(version: str, moved: Iterable[tuple[str, str]]) -> str:
    """The bundle's next version; `moved` are versions of components, old and new.

    One that begins with the old version of a component follows it and starts its own count anew (`v1.34.4-rke2r3` ->
    `v1.34.5-rke2r1`); else its last number grows (`-rke2r2`, `v0.1.1`).
    """
    for old, new in sorted(moved, key=lambda pair: -len(pair[0])):
        if version == old or (version.startswith(old) and not version[len(old)].isalnum() and version[len(old)] != "."):
            rest = version[len(old) :]
            return new + (f"{again[1]}1" if (again := _REBUILD.fullmatch(rest)) else rest)
    if (last := re.fullmatch(r"(.*?)(\d+)(\D*)", version)) is None:
        return f"{version}.1"
    return f"{last[1]}{int(last[2]) + 1}{last[3]}"
