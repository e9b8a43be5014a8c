"""A bundle gets its name: written to a temporary folder beside it, read back by the strict reader, renamed.

A bundle that is there already and was not touched since it was delivered is kept as it is (builder.delivered); so are
the archives that have not changed of one that is replaced. One whose content differs is never overwritten without
`--replace`, because nodes key their data directories on its version.
"""

import contextlib
import fcntl
import functools
import os
import secrets
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from builder.assemble import BundleSpec, make_folder, write_bundle
from builder.delivered import read_delivered, write_delivered
from builder.errors import RecipeError
from builder.mirror.archives import TakenArchives
from builder.mirror.bring import bringer
from builder.recipe.model import Recipe
from builder.store import remove_tree
from bundles import index, jsontext
from bundles.digest import Digest
from bundles.errors import FormatError, SealiftError
from bundles.exchange import exchange
from bundles.files import TEMP_PREFIX, fsync_directory, fsync_tree, make_folders, os_errors
from bundles.index import BundleIndex
from bundles.platform import Platform
from bundles.sealed.report import LayerReport
from bundles.seen import Seen
from bundles.trust import Trust

if TYPE_CHECKING:
    from builder.build import BuildOptions
    from bundles.verify import BundleReport

_VERSION = 1  # of what a spec's identity covers: raised when archives or lists are written differently


def refuse_other_content(output: Path, recipe: Recipe, platform: Platform, lock: Digest, *, replace: bool) -> None:
    """Fails in the first second when a bundle of this name was built from another lock."""
    folder = output / index.folder_name(
        name=recipe.name, version=recipe.version, flavour=str(recipe.flavour), platform=str(platform)
    )
    found = _index_of(folder)
    if found is not None and found.lock.sha256 != lock and not replace:
        raise _other_content(folder, f"built from lock {found.lock.sha256}", f"lock {lock}")


def deliver(spec: BundleSpec, options: "BuildOptions") -> tuple[Path, BundleIndex, bool]:
    """Spec -> folder, index, and whether it had to be written."""
    target = options.output / spec.folder_name
    identity = spec_identity(spec)
    delivered = read_delivered(options.store, target)
    kept = _index_of(target) if delivered.holds(identity) else None
    if kept is not None:
        _sweep(options.output, spec.folder_name)
        return target, kept, False
    make_folders(options.output)
    with _temporary(options.output, spec.folder_name) as parent:
        fresh = parent / spec.folder_name
        make_folder(fresh)
        options.talk.say("writing the archives")
        taken = TakenArchives(bringer(spec.facts.lock, options))
        bundle = write_bundle(spec, fresh, options.store, workers=options.jobs, known=delivered.link, make=taken.make)
        hashed = taken.arrived if options.quick else taken.verified
        seen = Seen(archives=bundle.linked | hashed, layers={**taken.layers(), **delivered.layers})
        report = _check(fresh, seen, options)
        taken.learn(layer_reports(report))
        with os_errors(fresh):
            fsync_tree(fresh)
        written = _place(fresh, target, parent, bundle.document, options)
    try:
        write_delivered(options.store, delivered, identity, bundle, report)
    except SealiftError as exc:  # the bundle is there: what is lost is time
        options.talk.say(f"warning: not noted, so the next build reads all of it: {exc}")
    return target, bundle.document, written


def spec_identity(spec: BundleSpec) -> Digest:
    """All that decides a bundle's bytes, as one digest. Pure."""
    document: dict[str, Any] = {
        "version": _VERSION,
        "format": index.FORMAT,
        "name": spec.folder_name,
        "sequence": spec.sequence,
        "epoch": spec.epoch,
        "expires": spec.expires,
        "lock": str(spec.lock),
        "runtime": [spec.runtime.reference.name, str(spec.runtime.digest)],
        "archives": [
            [name, [[image.reference.name, str(image.digest), image.why] for image in images]]
            for name, images in spec.archives.items()
        ],
        "charts": [[chart.name, chart.version, str(chart.sha256)] for chart in spec.charts],
        "choices": [[one.key, one.name, list(one.archives), list(one.charts)] for one in spec.choices],
        "described": str(spec.facts.identity()),
    }
    return Digest.of(jsontext.encode_canonical(document))


def _check(fresh: Path, seen: Seen, options: "BuildOptions") -> "BundleReport":
    """Nothing gets its name that our own reader would refuse."""
    from bundles.verify import verify_bundle

    trust = Trust(kind="insecure")
    return verify_bundle(fresh, trust, progress=options.talk.bytes, workers=max(1, options.jobs), seen=seen)


def layer_reports(report: "BundleReport") -> dict[Digest, LayerReport]:
    """What a full reading found in layers, by their digests."""
    images = (image for archive in report.archives for image in archive.images)
    return {layer.digest: layer for image in images for layer in image.layers if layer.content_size is not None}


def _place(fresh: Path, target: Path, parent: Path, document: BundleIndex, options: "BuildOptions") -> bool:
    """Renames the new folder to its name; what stood there goes only when it may."""
    with os_errors(target), _only_here(target.parent):
        if target.exists():
            same = _index_of(target) == document
            if not same and not options.replace:
                raise _other_content(target, "other content", "the content just built")
            if same and _holds(target):
                return False
            if not exchange(fresh, target):
                os.rename(target, parent / "old")
                os.rename(fresh, target)
        else:
            os.rename(fresh, target)
        fsync_directory(target.parent)
    return True


def _holds(folder: Path) -> bool:
    from bundles.verify import verify_bundle

    try:
        verify_bundle(folder, Trust(kind="insecure"))
    except SealiftError:
        return False
    return True


def _other_content(folder: Path, got: str, want: str) -> RecipeError:
    hint = (
        "nodes key their data directory on the version: raise it (its rN) in bundle.yaml and lock again;"
        " or, for a bundle that no node has seen, use --replace"
    )
    return RecipeError("a bundle of this version exists already", where=folder, got=got, want=want, hint=hint)


def _index_of(folder: Path) -> BundleIndex | None:
    try:
        return _decoded((folder / index.INDEX_NAME).read_bytes(), folder / index.INDEX_NAME)
    except (OSError, FormatError):
        return None


@functools.lru_cache(maxsize=1)
def _decoded(data: bytes, where: Path) -> BundleIndex:
    """A build looks at the bundle that is there when it begins and when it delivers."""
    return index.decode(data, where=where)


@contextlib.contextmanager
def _temporary(output: Path, name: str) -> Iterator[Path]:
    """A folder of this process below `output`; those of processes that were killed are removed first."""
    folder = output / f"{TEMP_PREFIX}{name}.{secrets.token_hex(6)}"
    with contextlib.ExitStack() as held:
        with os_errors(output), _only_here(output):
            _sweep(output, name)
            folder.mkdir(mode=0o700)
            # The kernel lets go of this lock when we die: so the next build sees that nobody works here.
            held.enter_context(_only_here(folder))
        try:
            yield folder
        finally:
            with contextlib.suppress(SealiftError):  # neither in place of another error, nor of what is done
                remove_tree(folder)


@contextlib.contextmanager
def _only_here(folder: Path) -> Iterator[None]:
    """Holds a lock on a folder, and waits for it: two builds may have one output. OSErrors pass."""
    fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX)
        yield
    finally:
        os.close(fd)


def _sweep(output: Path, name: str) -> None:
    """Removes what killed builds left; what cannot be removed costs space, no more."""
    with contextlib.suppress(SealiftError, OSError):
        for left in output.glob(f"{TEMP_PREFIX}{name}.*"):
            _remove_abandoned(left)


def _remove_abandoned(folder: Path) -> None:
    try:
        fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except OSError:
        return
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        remove_tree(folder)
    except BlockingIOError:
        return  # another build is writing there
    finally:
        os.close(fd)
