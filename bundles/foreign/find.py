"""Finds one image among the archives of a directory, as RKE2's reader does, but the same one every time."""

import contextlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from bundles.errors import FormatError, MissingError, SealiftError, UsageError
from bundles.foreign import dockerview, ociview, outer
from bundles.foreign.catalogue import OpenArchive, open_archive, open_bodies
from bundles.foreign.images import StoredImage, merged
from bundles.foreign.layer import opener_for
from bundles.foreign.model import FoundImage, OpenableLayer
from bundles.platform import Platform
from bundles.reference import Reference
from bundles.region import Region

RUNTIME_NAME = "rke2-runtime"


@dataclass(frozen=True, slots=True)
class _Survey:
    """All archives of a directory: the images of each, and what could not be read, in the order of paths."""

    images: tuple[tuple[Path, StoredImage], ...]
    warnings: tuple[str, ...]


@contextlib.contextmanager
def find_image(
    images_dir: Path, reference: Reference | None, *, platform: Platform, scratch: Path
) -> Iterator[FoundImage]:
    """Yields the image that an archive below `images_dir` calls `reference`; its layers can be opened in the block.

    Args:
        images_dir: searched with its subdirectories, in the order of paths; dot files and symlinked folders are not.
        reference: spelled in any way; None takes the only image called `.../rke2-runtime:TAG` there is.
        platform: what the image must be built for.
        scratch: an existing directory for the layers of a compressed archive (their stored size; removed at the end).

    Raises MissingError (with the archives that could not be read) when it is not there; UsageError when `reference` is
    None and there are several; FormatError when archives disagree on the tag, or the image is for another platform.
    """
    survey = _survey(images_dir)
    wanted = reference or _only_runtime(survey, images_dir)
    named = [(path, image) for path, image in survey.images if _is(image, wanted)]
    if not named:
        raise _missing(survey, images_dir, str(wanted), reference)
    path, chosen = _chosen(named, wanted, platform)
    absent = [layer.member for layer in chosen.layers if layer.span is None]
    if absent:
        raise FormatError("a layer is not in the archive", where=path, got=absent[0])
    with open_bodies(path, scratch, {layer.member: layer.span for layer in chosen.layers if layer.span}) as bodies:
        yield _found(bodies, path, chosen, wanted, survey.warnings)


def read_images(archive: OpenArchive) -> list[StoredImage]:
    """All images of an open archive, both views compared; raises FormatError."""
    return merged(dockerview.read(archive), ociview.read(archive), archive.where)


def _survey(images_dir: Path) -> _Survey:
    """Reads every archive: only so a tag that means two things is noticed."""
    images: list[tuple[Path, StoredImage]] = []
    warnings: list[str] = []
    for path in outer.archives(images_dir):
        try:
            with open_archive(path) as archive:
                images += [(path, image) for image in read_images(archive)]
        except SealiftError as exc:
            warnings.append(str(exc) if str(path) in exc.where else f"{path}: {exc}")
    return _Survey(tuple(images), tuple(warnings))


def _only_runtime(survey: _Survey, images_dir: Path) -> Reference:
    names = sorted({name for _, image in survey.images for name in image.names})
    runtimes = [name for name in names if Reference.parse(name).repository.rpartition("/")[2] == RUNTIME_NAME]
    if not runtimes:
        raise _missing(survey, images_dir, f"{RUNTIME_NAME}:TAG", None)
    if len(runtimes) > 1:
        hint = "say which: --runtime-image REFERENCE"
        raise UsageError("several runtime images", where=images_dir, got=", ".join(runtimes), hint=hint)
    return Reference.parse(runtimes[0])


def _is(image: StoredImage, wanted: Reference) -> bool:
    """Whether `wanted` means this image: by name and, where it has one, by the manifest's digest."""
    if wanted.digest is None:
        return wanted.name in image.names
    names = [Reference.parse(name) for name in image.names]
    return image.manifest_digest == wanted.digest and any(
        (name.domain, name.repository) == (wanted.domain, wanted.repository) and wanted.tag in (None, name.tag)
        for name in names
    )


def _chosen(named: list[tuple[Path, StoredImage]], wanted: Reference, platform: Platform) -> tuple[Path, StoredImage]:
    """The image, the first archive with an OCI manifest before the first without; raises where archives disagree."""
    matching = [(path, image) for path, image in named if runs_on(image.platform, platform)]
    served = {path for path, _ in matching}
    others = [(path, image) for path, image in named if path not in served]
    if matching and (others or len({image.config_digest for _, image in matching}) > 1):
        holders = sorted({f"{path} ({image.config_digest})" for path, image in matching + others})
        hint = "remove all archives but the right one"
        raise FormatError(f"two images are called {wanted}", where=holders[0], got="; ".join(holders), hint=hint)
    if not matching:
        path, image = named[0]
        raise FormatError(f"{wanted} is for another platform", where=path, got=image.platform, want=platform)
    return min(matching, key=lambda pair: pair[1].manifest_digest is None)


def runs_on(has: Platform, wants: Platform) -> bool:
    """Same system and architecture; the variant only where one is asked for and told."""
    same = (has.os, has.architecture) == (wants.os, wants.architecture)
    return same and (not wants.variant or not has.variant or has.variant == wants.variant)


def _found(
    bodies: Mapping[str, Region], path: Path, image: StoredImage, wanted: Reference, warnings: tuple[str, ...]
) -> FoundImage:
    layers = tuple(
        OpenableLayer(
            diff_id=layer.diff_id,
            digest=layer.digest,
            size=bodies[layer.member].size,
            where=bodies[layer.member].where,
            opener=opener_for(bodies[layer.member]),
        )
        for layer in image.layers
    )
    return FoundImage(
        reference=wanted,
        identity=image.manifest_digest or image.config_digest,
        manifest_digest=image.manifest_digest,
        config_digest=image.config_digest,
        platform=image.platform,
        layers=layers,
        archive=path,
        warnings=warnings,
    )


def _missing(survey: _Survey, images_dir: Path, wanted: str, reference: Reference | None) -> MissingError:
    """What was looked for, what is there instead, and what could not be read."""
    tags = {f"{path} (tagged {tag!r} only)" for path, image in survey.images for tag in image.tags if not image.names}
    there = sorted({name for _, image in survey.images for name in image.names} | tags)
    unread = "".join(f"\n  unreadable: {warning}" for warning in survey.warnings)
    shown = ", ".join(there[:20]) + (f" and {len(there) - 20} more" if len(there) > 20 else "")
    hint = "put the image's archive there, or check the spelling" if reference else "name it: --runtime-image REFERENCE"
    message = f"no archive holds {wanted}{unread}"
    return MissingError(message, where=images_dir, got=shown or "no image", want=wanted, hint=hint)
