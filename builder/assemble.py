"""Puts finished images into a bundle's folder: archives, lists, the index, the sums. Everything is known by now.

The folder is a temporary one; whoever calls this checks it with the strict reader and gives it its name. `describe`
is pure and says what the folder will be called and hold; `write_bundle` writes it.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from builder.describe.receipts import BuildFacts
from builder.mirror.stored import StoredLayer
from builder.recipe.offers import RecipeChoice
from builder.store import Store
from bundles import index
from bundles.datakey import data_key
from bundles.digest import Digest
from bundles.files import fsync_directory, os_errors, write_atomic
from bundles.index import Archive, BundleIndex, Chart, Choice, File, Image, Runtime, Sha256
from bundles.layers.model import FramedLayer, Part
from bundles.platform import Platform
from bundles.reference import Reference
from bundles.sealed.layout import SealedLayout, index_blobs, lay_out
from bundles.sealed.opened import SealedImage
from bundles.sealed.write import WrittenArchive, write_archive
from bundles.sums import sums_text

RUNTIME_ARCHIVE = "rke2-runtime"


@dataclass(frozen=True, kw_only=True, slots=True)
class BuiltImage:
    """A finished image: the exact bytes of its documents, its layers lowest first, and who asked for it.

    `index` is the original index where index.json shall point at it, `index_digest` that of the one it came from.
    """

    reference: Reference
    manifest: bytes
    config: bytes
    layers: tuple[FramedLayer | StoredLayer, ...]
    why: str
    index: bytes | None = None
    index_digest: Digest | None = None

    @property
    def digest(self) -> Digest:
        """The manifest's."""
        return Digest.of(self.manifest)


@dataclass(frozen=True, kw_only=True, slots=True)
class BundleSpec:
    """All that decides a bundle's bytes. `archives`: name without platform and suffix -> images in order."""

    name: str
    version: str
    flavour: str
    sequence: int
    platform: Platform
    epoch: int
    lock: Digest
    runtime: BuiltImage
    archives: Mapping[str, tuple[BuiltImage, ...]]
    charts: tuple[Chart, ...]
    facts: BuildFacts
    choices: tuple[RecipeChoice, ...] = ()
    expires: int | None = None

    @property
    def folder_name(self) -> str:
        """The name of the bundle's folder."""
        return index.folder_name(
            name=self.name, version=self.version, flavour=self.flavour, platform=str(self.platform)
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class ArchivePlan:
    """An archive before it is written: where it goes, and every byte's place."""

    name: str
    path: str
    images: tuple[BuiltImage, ...]
    layout: SealedLayout


def plan_archives(spec: BundleSpec) -> tuple[ArchivePlan, ...]:
    """Spec -> archives in the recipe's order. Pure; raises FormatError for what no archive can hold."""
    return tuple(
        ArchivePlan(
            name=name,
            path=f"images/{name}.{spec.platform.dashed}.tar",
            images=images,
            layout=lay_out(
                (
                    SealedImage(
                        reference=image.reference, manifest=image.manifest, config=image.config, index=image.index
                    )
                    for image in images
                ),
                spec.epoch,
            ),
        )
        for name, images in spec.archives.items()
    )


@dataclass(frozen=True, kw_only=True, slots=True)
class WrittenBundle:
    """A bundle in its folder: its index, layout and sha256 of each archive by path, and which were only linked."""

    document: BundleIndex
    archives: Mapping[str, tuple[SealedLayout, Digest]]
    linked: frozenset[str]


Known = Callable[[ArchivePlan, Path], WrittenArchive | None]
Make = Callable[[ArchivePlan, Path, Store], WrittenArchive | None]


def write_bundle(
    spec: BundleSpec,
    folder: Path,
    store: Store,
    *,
    workers: int,
    known: Known | None = None,
    make: Make | None = None,
) -> WrittenBundle:
    """Writes the whole bundle into the empty `folder`; every byte of an archive is written once.

    `known` may put an archive into the folder itself, one that lies somewhere with the same bytes; `make` does that
    with one that holds layers which were made elsewhere. Raises SealiftError for a full disk, FormatError when the
    store holds damaged content.
    """
    archives = plan_archives(spec)
    for name in ("images", "lists"):
        make_folder(folder / name)
    linked = {plan.path: done for plan in archives if known and (done := known(plan, folder)) is not None}
    written = [
        linked.get(plan.path) or (make and make(plan, folder, store)) or _write_archive(plan, folder, store, workers)
        for plan in archives
    ]
    lists = [_write_list(plan, folder, spec.platform) for plan in archives if plan.name != RUNTIME_ARCHIVE]
    described = _write_described(spec, archives, written, lists, folder)
    document = describe(spec, list(zip(archives, written, strict=True)), [*lists, *described])
    digest = write_atomic(folder / index.INDEX_NAME, index.encode(document))
    write_atomic(folder / index.sums_name(document.platform), sums_text(document, digest).encode())
    with os_errors(folder):
        if not lists:
            (folder / "lists").rmdir()
        fsync_directory(folder)
    return WrittenBundle(
        document=document,
        archives={plan.path: (plan.layout, done.sha256) for plan, done in zip(archives, written, strict=True)},
        linked=frozenset(linked),
    )


def describe(
    spec: BundleSpec, archives: Sequence[tuple[ArchivePlan, WrittenArchive]], files: Sequence[File]
) -> BundleIndex:
    """What was written -> the index. Pure."""
    images = [
        Image(
            reference=image.reference.name,
            digest=image.digest,
            archive=plan.path,
            why=image.why,
            index_digest=image.index_digest,
        )
        for plan, _ in archives
        for image in plan.images
    ]
    runtime = spec.runtime
    return BundleIndex(
        format=index.FORMAT,
        name=spec.name,
        version=spec.version,
        flavour=spec.flavour,
        sequence=spec.sequence,
        created=spec.epoch,
        expires=spec.expires,
        platform=str(spec.platform),
        lock=Sha256(sha256=spec.lock),
        runtime=Runtime(
            reference=runtime.reference.name,
            digest=runtime.digest,
            key=data_key(Reference.parse(runtime.reference.familiar)),
        ),
        archives=[
            Archive(
                path=plan.path,
                size=done.size,
                sha256=done.sha256,
                images=[image.reference.name for image in plan.images],
                blobs=index_blobs(plan.layout, _frames(plan.images).get),
            )
            for plan, done in archives
        ],
        images=images,
        charts=list(spec.charts),
        choices=_choices(spec, {plan.name: plan.path for plan, _ in archives}),
        files=list(files),
    )


def _choices(spec: BundleSpec, paths: Mapping[str, str]) -> list[Choice] | None:
    """Choices by names of the recipe -> by those of the bundle. Charts have their manifests' names."""
    return [
        Choice(
            key=choice.key,
            name=choice.name,
            archives=[paths[name] for name in choice.archives],
            charts=[f"rke2-{name}" for name in choice.charts],
        )
        for choice in spec.choices
    ] or None


def _write_archive(plan: ArchivePlan, folder: Path, store: Store, workers: int) -> WrittenArchive:
    parts = {layer.digest: layer.parts for image in plan.images for layer in image.layers}

    def parts_of(digest: Digest) -> Sequence[Part]:
        return parts[digest]

    return write_archive(plan.layout, folder / plan.path, parts_of, store.open, workers=workers)


def _write_list(plan: ArchivePlan, folder: Path, platform: Platform) -> File:
    """The image list beside the archives: inside images/ a .txt would be a list of images to pull."""
    path = f"lists/{plan.name}.{platform.dashed}.txt"
    data = "".join(f"{image.reference.name}\n" for image in plan.images).encode()
    return File(path=path, size=len(data), sha256=write_atomic(folder / path, data))


def _write_described(
    spec: BundleSpec,
    archives: Sequence[ArchivePlan],
    written: Sequence[WrittenArchive],
    lists: Sequence[File],
    folder: Path,
) -> list[File]:
    """SBOMs and provenance: about all that was written so far, and the charts in it."""
    from builder.describe import documents  # an unchanged bundle is not described again

    files = {plan.path: done.sha256 for plan, done in zip(archives, written, strict=True)}
    files |= {file.path: file.sha256 for file in lists}
    files |= {f"charts/{chart.name}-{chart.version}.tgz": chart.sha256 for chart in spec.charts}
    images = [(image.reference, image.digest) for plan in archives for image in plan.images]
    written_now = documents.describe(spec.facts, spec.folder_name, images, files)
    return [
        File(path=path, size=len(data), sha256=write_atomic(folder / path, data)) for path, data in written_now.items()
    ]


def _frames(images: Iterable[BuiltImage]) -> dict[Digest, tuple[tuple[int, int], ...]]:
    return {layer.digest: layer.frames for image in images for layer in image.layers}


def make_folder(path: Path) -> None:
    """Makes a folder of a bundle: mode 0755, whatever the umask is."""
    with os_errors(path):
        path.mkdir(mode=0o755)
        path.chmod(0o755)
