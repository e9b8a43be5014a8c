"""Whether a bundle's index agrees with itself; pure. Signed nonsense is still nonsense."""

import re
from typing import Final

from bundles import index
from bundles.datakey import data_key
from bundles.errors import FormatError
from bundles.index import BundleIndex
from bundles.platform import Platform
from bundles.reference import Reference
from bundles.signing.names import is_signature

_STDIN = "-"  # what sha256sum -c would read in place of a file of that name
_SETTING: Final = re.compile(r"[a-z0-9][a-z0-9-]{0,62}")
_MAX_PATH = 240  # bytes: fits a ustar header, and a file name on every filesystem


def check_index(document: BundleIndex, *, where: object) -> None:
    """Raises FormatError that names the field: unsafe or double paths, images and archives that disagree, a key that
    is not the runtime image's, a runtime archive that holds anything else."""
    Platform.parse(document.platform)
    _check_paths(document, where)
    _check_images(document, where)
    _check_runtime(document, where)
    _check_choices(document, where)


def _check_paths(document: BundleIndex, where: object) -> None:
    paths = [archive.path for archive in document.archives] + [file.path for file in document.files]
    seen = {index.INDEX_NAME, index.sums_name(document.platform)}
    for path in paths:
        parts = path.split("/")
        plain = path.isascii() and path.isprintable() and "\\" not in path and len(path) <= _MAX_PATH
        if not plain or path == _STDIN or any(part in ("", ".", "..") or part.startswith(".") for part in parts):
            raise FormatError("a path that may not stand in a bundle", where=where, got=repr(path[:300]))
        if path in seen or is_signature(path):
            raise FormatError("a file is listed twice, or may not be listed", where=where, got=path)
        seen.add(path)
    for archive in document.archives:
        if not (archive.path.startswith("images/") and archive.path.endswith(".tar") and archive.path.count("/") == 1):
            raise FormatError("an archive in the wrong place", where=where, got=archive.path, want="images/NAME.tar")
    for file in document.files:
        if file.path.startswith("images/"):
            hint = "RKE2 reads every file there: a .txt would be a list of images to pull"
            raise FormatError("only archives may lie in images/", where=where, got=file.path, hint=hint)


def _check_images(document: BundleIndex, where: object) -> None:
    listed = [(image.archive, image.reference) for image in document.images]
    held = [(archive.path, name) for archive in document.archives for name in archive.images]
    if sorted(listed) != sorted(held) or len(set(listed)) != len(listed):
        odd = sorted({f"{name} in {path}" for path, name in set(listed) ^ set(held)})
        raise FormatError("images and archives of the index disagree", where=where, got=", ".join(odd[:5]))


def _check_choices(document: BundleIndex, where: object) -> None:
    archives, charts = {archive.path for archive in document.archives}, {chart.name for chart in document.charts}
    runtime = next((image.archive for image in document.images if image.reference == document.runtime.reference), "")
    seen = set()
    for choice in document.choices or ():
        name = f"{choice.key}: {choice.name}"
        if not _SETTING.fullmatch(choice.key) or not _SETTING.fullmatch(choice.name) or (name in seen):
            raise FormatError("no choice, or one that stands there twice", where=where, got=ascii(name[:200]))
        seen.add(name)
        if odd := sorted(set(choice.archives) - archives | set(choice.charts) - charts):
            raise FormatError(f"{name}: what it names is not in the bundle", where=where, got=", ".join(odd[:5]))
        if runtime in choice.archives:
            raise FormatError(f"{name}: every node needs the runtime image", where=where, got=runtime)


def _check_runtime(document: BundleIndex, where: object) -> None:
    runtime = document.runtime
    holders = [image for image in document.images if image.reference == runtime.reference]
    if len(holders) != 1 or holders[0].digest != runtime.digest:
        raise FormatError("the runtime image is not among the images", where=where, got=runtime.reference)
    name = f"images/rke2-runtime.{document.platform.replace('/', '-')}.tar"
    alone = [image.reference for image in document.images if image.archive == holders[0].archive]
    if holders[0].archive != name or len(alone) != 1:
        raise FormatError("the runtime image must be alone in its archive", where=where, got=alone, want=name)
    key = data_key(Reference.parse(Reference.parse(runtime.reference).familiar))
    if runtime.key != key:
        raise FormatError("the key is not the runtime image's", where=where, got=runtime.key, want=key)
