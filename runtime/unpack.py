"""One runtime image -> its version folder: whole and durable before it is visible, the marker last of all.

RKE2 unpacks into the final folder and marks it afterwards, without a check of what it wrote. Here: a hidden folder
beside it, every digest checked, fsync, rename, fsync, marker. A crash leaves either no folder, or one without a
marker, which RKE2 and `extract` both unpack again.
"""

import contextlib
import os
from typing import Final

from bundles.errors import MissingError, SealiftError
from bundles.extraction.extract import extract_image
from bundles.files import fsync_tree, os_errors, write_atomic
from bundles.foreign.model import FoundImage
from bundles.reference import Reference
from runtime.folders import FOLDER_MODE, ensure_folder, fresh_folder, remove, replace_folder
from runtime.layout import VersionLayout
from runtime.record import Record, make_record, write_record

MARKER_MODE: Final = 0o644


def unpack(found: FoundImage, version: VersionLayout, reference: Reference) -> Record:
    """Unpacks /bin and /charts of `found` to `version`, replacing what stands there; returns what was written.

    Raises FormatError for a damaged image (the version folder is then as it was), MissingError for one without
    programs, SealiftError for what the filesystem refuses. The caller holds the lock and sweeps after a crash.
    """
    ensure_folder(version.root.parent)
    staging = VersionLayout(fresh_folder(version.root))
    try:
        record = _fill(staging, found)
        replace_folder(staging.root, version.root)
    except BaseException:
        with contextlib.suppress(SealiftError):
            remove(staging.root)  # what failed on a full disk must not keep it full
        raise
    # RKE2 writes the image's full name here, without a newline (pkg/bootstrap/bootstrap.go, Stage).
    write_atomic(version.marker, reference.index_name.encode(), mode=MARKER_MODE)
    return record


def _fill(staging: VersionLayout, found: FoundImage) -> Record:
    """The whole version folder but its marker, on disk."""
    extracted = extract_image(found, {"/bin": staging.bin, "/charts": staging.charts})
    if not any(file.path.startswith("/bin/") for file in extracted.files):
        raise MissingError("no programs below /bin in the runtime image", where=found.archive, got=found.reference)
    record = make_record(found, extracted)
    write_record(staging, record)
    with os_errors(staging.root):
        for folder in (staging.root, staging.bin, staging.charts):
            os.chmod(folder, FOLDER_MODE)
        fsync_tree(staging.root)
    return record
