"""`sealift-node extract`: from the archives in agent/images to a node that RKE2 calls extracted.

The order of RKE2's Stage (pkg/bootstrap/bootstrap.go): version folder, `bin` link, charts, old versions. Every step can
be repeated, and a run that was killed is finished by the next one.
"""

import contextlib
import os
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from bundles.datakey import data_key
from bundles.digest import Digest
from bundles.errors import FormatError, MissingError, SealiftError
from bundles.files import atomic_symlink
from bundles.foreign.find import find_image
from bundles.foreign.model import FoundImage
from bundles.platform import Platform
from runtime import admitted
from runtime.admission import finish
from runtime.choice import Choice, baked_in, choose
from runtime.exclusive import exclusive
from runtime.folders import ensure_folder, sweep
from runtime.layout import DEFAULT_SHIM_DIR, NodeLayout, VersionLayout
from runtime.manifests import place_manifests
from runtime.pullingways import Network, Wanted
from runtime.record import Record, State, first_difference, read_record, state_of
from runtime.trusting.standing import refuse_unlisted
from runtime.unpack import unpack
from runtime.versions import CleanReport, remove_old_versions

Say = Callable[[str], None]


@dataclass(frozen=True, kw_only=True, slots=True)
class ExtractRequest:
    """What the command line asks: `runtime_image` as typed, `configured_image` from the configuration file.

    `agent`: leave server/manifests alone. `replace`: unpack again over what stands there. `network`: what may be asked
    for an image that no archive has; None: nobody.
    """

    runtime_image: str | None = None
    configured_image: str | None = None
    agent: bool = False
    replace: bool = False
    network: Network | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class NodeReport:
    """How the node stands now: `unpacked` False when it stood already; `digest` None when nothing can tell.

    `manifests` are the charts that were written, relative to server/manifests. `pulled`: the registry it came from.
    """

    reference: str
    key: str
    folder: Path
    unpacked: bool
    digest: Digest | None
    archive: Path | None
    files: int
    manifests: tuple[str, ...]
    cleaned: CleanReport
    pulled: str | None = None


def extract(
    request: ExtractRequest,
    layout: NodeLayout,
    *,
    platform: Platform,
    say: Say,
    shims: Path = DEFAULT_SHIM_DIR,
    processes: Path = Path("/proc"),
) -> NodeReport:
    """Makes `layout` what RKE2 would make of it, under the lock.

    Args:
        request: what to unpack and how.
        layout: the data directory.
        platform: this machine's; images for others are refused.
        say: takes one line of talk at a time.
        shims: containerd's folder of running tasks.
        processes: procfs.

    Raises MissingError when no archive has the image, FormatError for damage, UsageError for an unusable reference,
    TrustError for an image that was not admitted while a policy is in force, SealiftError when other bytes stand
    under the same key, or when the filesystem refuses.
    """
    if not layout.data.is_dir():
        raise MissingError("no such data directory", where=layout.data, hint="stage a bundle first")
    _refuse_real_bin(layout)
    with exclusive(layout, say):
        sweep((layout.ours, layout.data, layout.versions, layout.server))
        finish(layout, say)
        record = admitted.read(layout.admitted)
        choice = choose(flag=request.runtime_image, configured=request.configured_image, admitted=record)
        if choice.digest is None:
            refuse_unlisted(layout, f"an image that was not admitted ({choice.why})")
        standing = _Extraction(layout, request, choice, platform, say).run()
        _point(layout.bin_link, str(standing.version.bin))
        manifests = () if request.agent else place_manifests(standing.version.charts, layout)
        cleaned = remove_old_versions(layout, standing.version.root.name, shims=shims, processes=processes)
        if cleaned.why_all:
            say(f"old versions are kept, because what runs cannot be found out ({cleaned.why_all})")
    return NodeReport(
        reference=standing.reference,
        key=standing.version.root.name,
        folder=standing.version.root,
        unpacked=standing.unpacked,
        digest=standing.record.digest if standing.record else None,
        archive=standing.archive,
        files=len(standing.record.files) if standing.record else 0,
        manifests=manifests,
        cleaned=cleaned,
        pulled=standing.pulled,
    )


@dataclass(frozen=True, kw_only=True, slots=True)
class _Standing:
    """A complete version folder; no `record` when RKE2 made it."""

    version: VersionLayout
    reference: str
    record: Record | None
    unpacked: bool
    archive: Path | None
    pulled: str | None = None


@dataclass(frozen=True, slots=True)
class _Extraction:
    """One decision: unpack, or take what stands there."""

    layout: NodeLayout
    request: ExtractRequest
    choice: Choice
    platform: Platform
    say: Say

    def run(self) -> _Standing:
        ensure_folder(self.layout.images)
        with contextlib.ExitStack() as stack:
            looked_for = find_image(
                self.layout.images, self.choice.reference, platform=self.platform, scratch=self.layout.ours
            )
            try:
                found = stack.enter_context(looked_for)
            except MissingError as missing:
                return self._without_image() or self._from_network(missing)
            return self._with_image(found)

    def _from_network(self, missing: MissingError) -> _Standing:
        """RKE2's last resort; here only registries that the configuration names, and what was admitted."""
        network, reference = self.request.network, self.choice.reference
        if network is None or reference is None:
            raise missing
        from runtime.pulling import pulled  # loads the registry client

        typed = self.request.runtime_image is not None or self.request.configured_image is not None
        wanted = Wanted(reference=reference, platform=self.platform, digest=self.choice.digest, typed=typed)
        standing, source = pulled(network, wanted, self._with_image, self.say)
        return replace(standing, archive=None, pulled=source)

    def _with_image(self, found: FoundImage) -> _Standing:
        for warning in found.warnings:
            self.say(f"warning: not read: {warning}")
        reference = self.choice.reference or baked_in(found.reference)
        if self.choice.digest is not None and found.identity != self.choice.digest:
            hint = "stage the bundle again, or remove what replaced its archive"
            raise FormatError(
                f"{found.reference} is not the image that was admitted",
                where=found.archive,
                got=found.identity,
                want=self.choice.digest,
                hint=hint,
            )
        version = self.layout.version(data_key(reference))
        if not self.request.replace and (standing := self._complete(version, found, found.reference.name)):
            return standing
        self.say(f"unpacking {found.reference} from {found.archive} ({self.choice.why})")
        record = unpack(found, version, reference)
        return _Standing(
            version=version, reference=found.reference.name, record=record, unpacked=True, archive=found.archive
        )

    def _without_image(self) -> _Standing | None:
        """What was unpacked may outlive its archive; with --replace the archive is needed."""
        if self.choice.reference is None or self.request.replace:
            return None
        standing = self._complete(
            self.layout.version(data_key(self.choice.reference)), None, self.choice.reference.name
        )
        if standing:
            self.say(f"warning: no archive in {self.layout.images} has {self.choice.reference}")
        return standing

    def _complete(self, version: VersionLayout, found: FoundImage | None, name: str) -> _Standing | None:
        """What stands there, if that is what was asked for; None when it has to be unpacked; else an error."""
        state = state_of(version)
        if state in (State.ABSENT, State.UNFINISHED):
            return None
        record = read_record(version) if state is State.OURS else None
        archive = found.archive if found else None
        standing = _Standing(version=version, reference=name, record=record, unpacked=False, archive=archive)
        if record is None:
            self.say(
                f"warning: {version.root} was unpacked by RKE2: taken as it is, its bytes cannot be verified "
                "(--replace unpacks it again)"
            )
            return standing
        _refuse_other(version, record, found, self.choice)
        self.say(f"already unpacked: {version.root} ({record.digest})")
        return standing


def _point(link: Path, destination: str) -> None:
    """The link as RKE2 makes it (absolute), replaced by rename and only when it leads elsewhere."""
    if not (link.is_symlink() and os.readlink(link) == destination):
        atomic_symlink(link, destination)


def _refuse_other(version: VersionLayout, record: Record, found: FoundImage | None, choice: Choice) -> None:
    """Raises SealiftError when the folder holds another image than asked for, or no longer what was unpacked."""
    hint = "--replace unpacks the new one in its place; better: give every build its own version"
    if found is not None and record.config != found.config_digest:
        raise SealiftError(
            "another image of the same name was unpacked here",
            where=version.root,
            got=f"{found.identity} in {found.archive}",
            want=record.digest,
            hint=hint,
        )
    if found is None and choice.digest is not None and record.digest != choice.digest:
        raise SealiftError(
            "this is not the image that was admitted", where=version.root, got=record.digest, want=choice.digest
        )
    if difference := first_difference(version, record):
        raise SealiftError(f"damaged since it was unpacked: {difference}", hint="--replace unpacks it again")


def _refuse_real_bin(layout: NodeLayout) -> None:
    """RKE2 removes whatever is called `bin`, with all that is in it; we do not."""
    if layout.bin_link.exists() and not layout.bin_link.is_symlink():
        what = "folder" if layout.bin_link.is_dir() else "file"
        hint = "move it away: RKE2 itself would delete it"
        raise SealiftError(f"a real {what} is where the link to the programs goes", where=layout.bin_link, hint=hint)
