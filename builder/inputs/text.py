"""inputs.json and SHA256SUMS <-> the index. Pure.

The reader takes nothing on trust: each path must be the one that follows from what it holds, a path has one content,
sources and releases stand once and in order, and releases name what is there.
"""

import itertools
import re
from collections.abc import Iterable, Sequence
from typing import Final

import msgspec

from builder.inputs.model import (
    FORMAT,
    GO,
    GO_MOD,
    INDEX,
    PACKAGES,
    Index,
    Input,
    InputFile,
    Release,
    blob_path,
    go_path,
    info,
    module_of,
    package_path,
    recipe_path,
)
from bundles import jsontext
from bundles.digest import Digest
from bundles.errors import FormatError

MAX_SIZE: Final = 64 << 20  # bytes of an index; the default recipe's has half a MiB
_MAX_FILE: Final = 1 << 40  # bytes
_STEP: Final = r"(?!\.\.?(?:[/@]|$))[A-Za-z0-9._~+-]+"
_MODULE: Final = re.compile(rf"(?:go|go-mod):{_STEP}(?:/{_STEP})*@v[A-Za-z0-9.+-]+")
_PACKAGE: Final = re.compile(
    r"(?:deb|deb-source):[a-z0-9][A-Za-z0-9._/-]*/[a-z0-9][a-z0-9.+-]+(?::[a-z0-9]+)?=[A-Za-z0-9.+:~-]+"
)
_H1: Final = re.compile(r"h1:[A-Za-z0-9+/]{43}=")
_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9.+~:_%-]*")
_BUNDLE: Final = re.compile(r"[a-z0-9][a-z0-9.-]*@[A-Za-z0-9][A-Za-z0-9._+-]*")


class _File(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A file."""

    path: str
    size: int
    sha256: Digest


class _Input(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """An input."""

    source: str
    h1: str = ""
    files: list[_File]


class _Release(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A release."""

    bundle: str
    lock: Digest
    recipe: _File
    inputs: list[str]


class _Version(msgspec.Struct, frozen=True, kw_only=True):
    """What tells the format."""

    format: int = msgspec.field(name="sealift-inputs")


class _Index(_Version, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The whole index."""

    inputs: list[_Input]
    releases: list[_Release]


def format_index(index: Index) -> bytes:
    """Index -> the one text of inputs.json."""
    return jsontext.encode_canonical(
        _Index(
            format=FORMAT,
            inputs=[_input_out(each) for _, each in sorted(index.inputs.items())],
            releases=[_release_out(each) for _, each in sorted(index.releases.items())],
        )
    )


def format_sums(files: Iterable[InputFile]) -> bytes:
    """Files -> what `sha256sum -c` reads, by path."""
    return "".join(f"{file.digest.hex}  {file.path}\n" for file in sorted(files)).encode()


def parse_index(data: bytes, where: object = INDEX) -> Index:
    """inputs.json -> the index; raises FormatError."""
    version = jsontext.decode(data, _Version, where=where, max_size=MAX_SIZE).format
    if version != FORMAT:
        hint = "use the Sealift that wrote it, or a newer one"
        raise FormatError("an input archive of another format", where=where, got=version, want=FORMAT, hint=hint)
    document = jsontext.decode(data, _Index, where=where, max_size=MAX_SIZE)
    _in_order([each.source for each in document.inputs], where)
    _in_order([str(each.lock) for each in document.releases], where)
    inputs = {each.source: _input_in(each, where) for each in document.inputs}
    releases = {each.lock: _release_in(each, inputs, where) for each in document.releases}
    _one_content((each for one in inputs.values() for each in one.files), where)
    return Index(inputs=inputs, releases=releases)


def _input_out(each: Input) -> _Input:
    return _Input(source=each.source, h1=each.h1, files=[_file_out(file) for file in sorted(each.files)])


def _release_out(each: Release) -> _Release:
    return _Release(bundle=each.bundle, lock=each.lock, recipe=_file_out(each.recipe), inputs=sorted(each.inputs))


def _file_out(file: InputFile) -> _File:
    return _File(path=file.path, size=file.size, sha256=file.digest)


def _input_in(each: _Input, where: object) -> Input:
    files = tuple(_file_in(file, where) for file in each.files)
    found = Input(source=each.source, files=files, h1=each.h1)
    if not _well_placed(found):
        raise FormatError(
            f"not how an archive keeps {each.source[:200]!r}",
            where=where,
            got=", ".join(file.path for file in files)[:400],
            hint="do not use this archive: it was not written by Sealift, or changed since",
        )
    return found


def _release_in(each: _Release, inputs: dict[str, Input], where: object) -> Release:
    recipe = _file_in(each.recipe, where)
    if not _BUNDLE.fullmatch(each.bundle) or recipe.path != recipe_path(each.bundle, each.lock):
        raise FormatError("not a release", where=where, got=f"{each.bundle[:200]!r} in {recipe.path[:200]!r}")
    _in_order(each.inputs, where)
    if missing := next((source for source in each.inputs if source not in inputs), None):
        raise FormatError(f"a release names an input that is not in the index: {missing[:200]!r}", where=where)
    return Release(bundle=each.bundle, lock=each.lock, recipe=recipe, inputs=tuple(each.inputs))


def _file_in(file: _File, where: object) -> InputFile:
    if not 0 <= file.size <= _MAX_FILE:
        raise FormatError("not a size", where=where, got=file.size)
    return InputFile(path=file.path, size=file.size, digest=file.sha256)


def _well_placed(each: Input) -> bool:
    """Whether every file is where things of this source are."""
    kind, colon, _ = each.source.partition(":")
    paths = [file.path for file in each.files]
    if not colon or not each.files or paths != sorted(set(paths)) or not each.source.isprintable():
        return False
    if each.source.startswith((GO, GO_MOD)):
        return _go_placed(each, paths)
    if each.h1:
        return False
    if each.source.startswith(PACKAGES):
        names = [path.rpartition("/")[2] for path in paths]
        digests = tuple(file.digest for file in each.files)
        expected = [package_path(each.source, name, digests) for name in names]
        return bool(_PACKAGE.fullmatch(each.source)) and all(map(_NAME.fullmatch, names)) and paths == expected
    named = kind.isalpha() and any(each.source.endswith(f"@{file.digest}") for file in each.files)
    return named and all(file.path == blob_path(file.digest) for file in each.files)


def _go_placed(each: Input, paths: Sequence[str]) -> bool:
    # The lock's pattern of modules: no step of a path climbs out.
    if not _H1.fullmatch(each.h1) or not _MODULE.fullmatch(each.source):
        return False
    module = module_of(each.source)
    if each.source.startswith(GO_MOD):
        return paths == [go_path(module, "mod")]
    told = info(module)
    same = each.files[0].digest == Digest.of(told) and each.files[0].size == len(told)
    return paths == [go_path(module, "info"), go_path(module, "zip")] and same


def _in_order(names: Sequence[str], where: object) -> None:
    for one, two in itertools.pairwise(names):
        if two <= one:
            raise FormatError("twice, or out of order, in the index", where=where, got=repr(two[:200]))


def _one_content(files: Iterable[InputFile], where: object) -> None:
    """A path stands for one content, also where names differ in case alone: not every disk tells those apart."""
    seen: dict[str, InputFile] = {}
    for file in files:
        if seen.setdefault(file.path.casefold(), file) != file:
            raise FormatError("one path with two contents", where=where, got=repr(file.path[:200]))
