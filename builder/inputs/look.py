"""What an input archive has of a locked recipe, in words, for `plan` and `lock --check`. Nothing is fetched for it."""

from collections.abc import Sequence

from builder.inputs.archive import MEND, InputArchive
from builder.lock.model import Lock
from bundles.digest import Digest
from bundles.errors import FormatError, MissingError, SealiftError
from bundles.talk import human_bytes


def plan_line(archive: InputArchive, lock: Lock, digest: Digest) -> str:
    """One line of a plan: whether the archive was written for this lock (`digest`), and how much it has of it.

    Sizes alone are looked at.
    """
    release = archive.index.releases.get(digest)
    if release is None:
        return f"  inputs: {archive.folder} was not written for this lock of {lock.bundle}: {MEND}"
    files = {file for source in release.inputs for file in archive.index.inputs[source].files}
    missing = sum(not _is_there(archive, file.path, file.size) for file in files)
    told = f"{missing} of {len(files)} files missing: {MEND}" if missing else f"{len(files)} files, all there"
    return f"  inputs: {archive.folder}, {told}; {human_bytes(sum(file.size for file in files))}"


def check_archive(archive: InputArchive, lock: Lock, digest: Digest) -> int:
    """Reads every file that the archive has for this lock -> their number.

    Raises MissingError when it was not written for this lock, or FormatError that names all that is missing or damaged.
    """
    release = archive.index.releases.get(digest)
    if release is None:
        got = ", ".join(sorted(each.bundle for each in archive.index.releases.values()))
        raise MissingError(f"not written for this lock of {lock.bundle}", where=archive.folder, got=got, hint=MEND)
    inputs = [archive.index.inputs[source] for source in release.inputs]
    faults = archive.faults(inputs)
    try:
        archive.check(release.recipe)
    except SealiftError as exc:
        faults.append(exc)
    if faults:
        told = f"{len(faults)} files are missing or damaged"
        raise FormatError(told, where=archive.folder, got=_rows(faults), hint=MEND)
    return len({file for each in inputs for file in each.files}) + 1


def _rows(faults: Sequence[SealiftError]) -> str:
    return "".join(f"\n    {each.where}: {each.message}" for each in faults)


def _is_there(archive: InputArchive, path: str, size: int) -> bool:
    try:
        return (archive.folder / path).lstat().st_size == size
    except OSError:
        return False
