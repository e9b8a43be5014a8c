"""Debian components: named files out of one binary package, without dpkg and without its maintainer scripts.

A .deb is an `ar` archive of debian-binary, control.tar.* and data.tar.* (deb(5)).
"""

import functools
import gzip
import io
import lzma
import tarfile
from collections.abc import Iterator
from typing import Final

from builder.errors import StepError
from builder.lock.model import LockedInput
from builder.plan.model import Output, Receipt, Step
from builder.recipe.model import DebComponent
from builder.steps.context import Job, StepContext
from bundles.errors import FormatError
from bundles.platform import Platform

VERSION: Final = 1
_AR_MAGIC: Final = b"!<arch>\n"
_AR_HEADER: Final = 60
_MAX_LINKS: Final = 8


def describe(component: DebComponent, locked: LockedInput, platform: Platform) -> Job:
    """Component and its locked package -> its job. Pure."""
    step = Step(
        name=f"component {component.name}",
        kind="deb",
        version=VERSION,
        description={
            "files": [[file.name, str(file.digest)] for file in locked.files],
            "take": {name: str(path) for name, path in component.files.items()},
            "platform": str(platform),
        },
    )
    return Job(step=step, run=functools.partial(_run, component, locked))


def _run(component: DebComponent, locked: LockedInput, context: StepContext) -> Receipt:
    (package,) = locked.files
    content = context.store.read(package.digest)
    outputs: dict[str, Output] = {}
    with tarfile.open(fileobj=io.BytesIO(data_tar(content, where=package.name))) as archive:
        for name, path in component.files.items():
            member = _resolve(archive, str(path), component.name)
            file = archive.extractfile(member)
            if file is None:
                raise StepError("not a regular file in the package", where=component.name, got=path)
            digest = context.store.put(file.read())
            mode = 0o755 if member.mode & 0o111 else 0o644
            outputs[name] = Output(digest=digest, size=member.size, mode=mode)
    return Receipt(outputs=outputs, facts={"package": component.package, "version": component.version})


def data_tar(package: bytes, *, where: object) -> bytes:
    """A .deb's bytes -> its data.tar's bytes; raises FormatError."""
    for name, content in _members(package, where):
        if name.startswith("data.tar"):
            return _decompress(name, content, where)
    raise FormatError("no data.tar in the package", where=where)


def _members(package: bytes, where: object) -> Iterator[tuple[str, bytes]]:
    if not package.startswith(_AR_MAGIC):
        raise FormatError("not a Debian package", where=where)
    at = len(_AR_MAGIC)
    while at + _AR_HEADER <= len(package):
        header = package[at : at + _AR_HEADER]
        try:
            size = int(header[48:58])
        except ValueError as exc:
            raise FormatError("malformed ar header", where=where) from exc
        at += _AR_HEADER
        if header[58:] != b"`\n" or size < 0 or at + size > len(package):
            raise FormatError("malformed ar header", where=where)
        yield header[:16].decode("ascii", "replace").rstrip(" ").rstrip("/"), package[at : at + size]
        at += size + size % 2


def _decompress(name: str, content: bytes, where: object) -> bytes:
    try:
        if name.endswith(".xz"):
            return lzma.decompress(content)
        if name.endswith(".gz"):
            return gzip.decompress(content)
        if name.endswith(".zst"):
            from backports import zstd

            return zstd.decompress(content)
    except (lzma.LZMAError, OSError, EOFError, ValueError) as exc:
        raise FormatError(f"cannot decompress {name}: {exc}", where=where) from exc
    return content


def _resolve(archive: tarfile.TarFile, path: str, component: str) -> tarfile.TarInfo:
    """A member by its path in the package; links inside the package are followed, by names alone."""
    members = {member.name.removeprefix("./"): member for member in archive.getmembers()}
    wanted = path.lstrip("/")
    for _ in range(_MAX_LINKS):
        member = members.get(wanted)
        if member is None:
            raise StepError("no such file in the package", where=component, got=path)
        if not member.issym():
            return member
        folder = wanted.rpartition("/")[0]
        wanted = member.linkname.lstrip("/") if member.linkname.startswith("/") else _joined(folder, member.linkname)
    raise StepError("too many links in the package", where=component, got=path)


def _joined(folder: str, link: str) -> str:
    parts: list[str] = []
    for part in f"{folder}/{link}".split("/"):
        if part == "..":
            parts = parts[:-1]
        elif part not in ("", "."):
            parts.append(part)
    return "/".join(parts)
