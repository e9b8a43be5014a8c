"""A bundle that is kept becomes the one this node runs from: its archives in agent/images, then the record.

Archives of two releases may have one name, so between the first link and the record the node has neither bundle. What
is about to be admitted is therefore written down before anything is touched: after a power cut in between, whoever
needs the node next (`stage`, `extract`, the daemon) finishes it.
"""

from collections.abc import Callable

from bundles.files import fsync_directory, os_errors
from runtime import admitted
from runtime.admitted import Admitted
from runtime.exclusive import exclusive
from runtime.images import FileId, ImagesPlan, apply_images, file_id, plan_images, present_files
from runtime.layout import NodeLayout
from runtime.trusting.recall import recall

Say = Callable[[str], None]


def admit(
    record: Admitted, layout: NodeLayout, before: Admitted | None, *, remember: Callable[[], None] = lambda: None
) -> ImagesPlan:
    """Links the archives of the kept bundle `record` names into agent/images, takes others of ours out, records it.

    Args:
        record: what is to be admitted.
        layout: the data directory.
        before: what was admitted.
        remember: writes down what the node knows of the bundle's sequence. Not before it is certain that the bundle
            comes (the old one would not start any more), and not after it is there (the old one would be no replay).

    The caller holds the lock; the bundle is whole and durable. Raises SealiftError for somebody else's file in
    agent/images, and what the filesystem refuses.
    """
    kept = layout.bundles / record.bundle / "images"
    sources = {archive.name: kept / archive.name for archive in record.archives}
    plan = plan_images(
        wanted={name: file_id(path) for name, path in sources.items()},
        present=present_files(layout.images),
        kept=_kept_archives(layout),
        admitted={archive.name for archive in before.archives} if before else set(),
        where=layout.images,
    )
    if plan.link or plan.retire or record != before:
        admitted.write(layout.admitting, record)
        remember()
        apply_images(plan, sources, layout)
        if record != before:
            admitted.write(layout.admitted, record)
    else:
        remember()
    _forget(layout)
    return plan


def finish(layout: NodeLayout, say: Say) -> None:
    """Finishes an admission that was interrupted; with the lock held. A bundle that is no longer kept is left alone."""
    record = admitted.read(layout.admitting)
    if record is None:
        return
    if (layout.bundles / record.bundle).is_dir():
        say(f"finishing what was interrupted: {record.bundle} is admitted")
        admit(record, layout, admitted.read(layout.admitted), remember=lambda: recall(layout, record))
    else:
        say(f"warning: {record.bundle} was to be admitted, and is no longer kept: stage a bundle again")
        _forget(layout)


def finish_alone(layout: NodeLayout, say: Say) -> None:
    """The same for callers without the lock; most of the time there is nothing to do, and none is taken."""
    if layout.admitting.exists():
        with exclusive(layout, say):
            finish(layout, say)


def _forget(layout: NodeLayout) -> None:
    with os_errors(layout.admitting):
        if layout.admitting.exists():
            layout.admitting.unlink()
            fsync_directory(layout.admitting.parent)


def _kept_archives(layout: NodeLayout) -> frozenset[FileId]:
    with os_errors(layout.bundles):
        folders = [folder / "images" for folder in layout.bundles.iterdir()]
    return frozenset(file for folder in folders for file in present_files(folder).values())
