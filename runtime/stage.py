"""`sealift-node stage`: a bundle is checked while it is copied, kept, and its archives appear in agent/images.

Every step can be repeated; the record of what is admitted is written last. Rolling back is staging the older bundle
again: it is still kept, so nothing is copied.
"""

import contextlib
import os
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from bundles.errors import FormatError, MissingError, SealiftError, TrustError
from bundles.files import fsync_tree, os_errors
from bundles.platform import Platform
from bundles.talk import Progress, human_bytes
from bundles.trust import Trust
from bundles.verify import BundleReport, verify_bundle
from runtime import admitted
from runtime.admission import admit
from runtime.exclusive import exclusive
from runtime.folders import FOLDER_MODE, ensure_folder, fresh_folder, remove, replace_folder, sweep
from runtime.layout import NodeLayout
from runtime.offer import Offer, read_offer
from runtime.trusting.gate import Gate
from runtime.trusting.places import TrustPlaces

Say = Callable[[str], None]
_MARGIN = 64 << 20  # bytes that stay free: folders, the journal, a node that is running
_FILE_MODE = 0o644


@dataclass(frozen=True, kw_only=True, slots=True)
class StageReport:
    """The bundle `bundle` is kept in `folder` and admitted; `before` is the bundle that was, if any.

    `copied` False when it was kept already. `linked` and `retired`: names in agent/images that changed.
    """

    bundle: str
    folder: Path
    copied: bool
    linked: tuple[str, ...]
    retired: tuple[str, ...]
    before: str | None
    runtime: str
    expires: int | None


def stage(
    source: Path,
    layout: NodeLayout,
    trust: Trust,
    *,
    platform: Platform,
    now: int,
    progress: Progress,
    say: Say,
    gate: Gate | None = None,
    take: bool = False,
) -> StageReport:
    """Admits the bundle at `source` (folder or `.sealift` file) to the node.

    Args:
        source: the bundle; may also be a kept one.
        layout: the data directory.
        trust: from the trust flags; decided before anything is parsed or written.
        platform: this machine's.
        now: seconds since the epoch, for the expiry of bundles whose signature counts.
        progress: told of bytes checked.
        say: takes one line of talk at a time.
        take: the source is a folder of ours beside the kept bundles: checked where it lies, then renamed, not copied.
        gate: of the command line, with the same trust: the node's own memory decides too, and every decision is logged.

    Raises TrustError; FormatError for damage and for other platforms; SealiftError for another bundle of this name,
    somebody else's file in agent/images, no space, and what the filesystem refuses.
    """
    gate = gate or Gate(layout, trust, "stage", now, say)
    offer = read_offer(source, trust)
    _refuse_platform(offer, platform)
    with exclusive(layout, say):
        gate.renew()
        for folder in (layout.bundles, layout.images, layout.admitted.parent):
            ensure_folder(folder)
        sweep((layout.ours, layout.bundles, layout.admitted.parent, TrustPlaces.of(layout).folder))
        before = admitted.read(layout.admitted)
        _refuse_other_filesystem(layout)
        kept = layout.bundles / offer.name
        keeper = _Keeper(layout, gate, platform, progress, say, take)
        copied = keeper.keep(offer, kept)
        decided = gate.admit(offer.index, offer.decision, before)
        record = admitted.describe(offer.index, bundle=offer.name, digest=offer.digest, decided=decided)
        plan = admit(record, layout, before, remember=gate.remember)
    return StageReport(
        bundle=offer.name,
        folder=kept,
        copied=copied,
        linked=plan.link,
        retired=plan.retire,
        before=before.bundle if before else None,
        runtime=offer.index.runtime.reference,
        expires=offer.index.expires,
    )


@dataclass(frozen=True, slots=True)
class _Keeper:
    """Gets a verified bundle under its name in DATA/sealift/bundles."""

    layout: NodeLayout
    gate: Gate
    platform: Platform
    progress: Progress
    say: Say
    take: bool

    def keep(self, offer: Offer, kept: Path) -> bool:
        """Returns whether bytes were copied; what is kept already is checked again, and replaced when damaged."""
        if kept.is_dir():
            standing = self._kept_offer(kept)
            if standing is not None and standing.digest != offer.digest:
                raise SealiftError(
                    f"another bundle called {offer.name} is kept here",
                    where=kept,
                    got=f"bundle.json with {offer.digest}",
                    want=standing.digest,
                    hint="a changed bundle needs a new version: nodes know bundles by their names",
                )
            if self._holds(offer, kept):
                return False
        if self.take:
            self._take(offer, kept)
        else:
            self._copy(offer, kept)
        return True

    def _kept_offer(self, kept: Path) -> Offer | None:
        try:
            return read_offer(kept, Trust(kind="insecure"))  # its name and digest are asked for, nothing else
        except (FormatError, MissingError):
            return None  # damaged: `_holds` says how

    def _holds(self, offer: Offer, kept: Path) -> bool:
        """Whether the kept copy is whole; a damaged one is no error while there is another copy to take."""
        try:
            self._verify(kept)
        except (FormatError, MissingError, TrustError) as exc:
            if offer.source.resolve() == kept.resolve():
                raise
            what = "lacks signatures" if isinstance(exc, TrustError) else "is damaged"
            self.say(f"warning: the kept copy {what} and is replaced: {exc}")
            return False
        return True

    def _copy(self, offer: Offer, kept: Path) -> None:
        self._refuse_full(offer)
        staging = fresh_folder(kept)
        try:
            report = self._verify(offer.source, staging)
            if report.index_digest != offer.digest:
                raise FormatError("the bundle changed while it was read", where=offer.source)
            _settle(staging)
            replace_folder(staging, kept)
        except BaseException:
            with contextlib.suppress(SealiftError):
                remove(staging)  # what failed on a full disk must not keep it full
            raise

    def _take(self, offer: Offer, kept: Path) -> None:
        if self._verify(offer.source).index_digest != offer.digest:
            raise FormatError("the bundle changed while it was read", where=offer.source)
        _settle(offer.source)
        replace_folder(offer.source, kept)

    def _verify(self, path: Path, stage_to: Path | None = None) -> BundleReport:
        gate = self.gate
        return verify_bundle(
            path,
            gate.trust,
            progress=self.progress,
            platform=self.platform,
            now=gate.time,
            decide=gate.decide,
            stage_to=stage_to,
        )

    def _refuse_full(self, offer: Offer) -> None:
        with os_errors(self.layout.bundles):
            free = shutil.disk_usage(self.layout.bundles).free
        if offer.size + _MARGIN > free:
            raise SealiftError(
                "not enough space",
                where=self.layout.bundles,
                got=f"{human_bytes(free)} free",
                want=human_bytes(offer.size + _MARGIN),
                hint=f"kept bundles that are not in use may be removed from {self.layout.bundles}",
            )


def _settle(folder: Path) -> None:
    """Folders 0755, files 0644, the same for every umask and every source; and durable."""
    with os_errors(folder):
        for path, _, files in os.walk(folder):
            os.chmod(path, FOLDER_MODE)
            for name in files:
                os.chmod(os.path.join(path, name), _FILE_MODE)
        fsync_tree(folder)


def _refuse_platform(offer: Offer, platform: Platform) -> None:
    if offer.index.platform != str(platform):
        raise FormatError(
            "the bundle is for another platform", where=offer.source, got=offer.index.platform, want=platform
        )


def _refuse_other_filesystem(layout: NodeLayout) -> None:
    """Hard links keep one copy of gigabytes, and appear in one step; they need one filesystem."""
    with os_errors(layout.images):
        same = layout.images.stat().st_dev == layout.bundles.stat().st_dev
    if not same:
        hint = f"mount {layout.data} as a whole, not folders in it"
        raise SealiftError(
            "agent/images is on another filesystem than the data directory", where=layout.images, hint=hint
        )
