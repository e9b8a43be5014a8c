"""From a recipe that was built, or from a bundle, to what it ships."""

from pathlib import Path

from builder.build import Sources, bundle_spec, one_platform, plan_build, read_sources
from builder.copyleft.collect import Wanted, things_and_recipe
from builder.copyleft.shipped import shipped
from builder.describe import cyclonedx
from builder.describe.bill import make_bill
from builder.fetch import FetchOptions
from builder.inputs.recipetar import recipe_tar
from builder.platforms import one_of
from bundles import index
from bundles.digest import Digest
from bundles.errors import FormatError, MissingError
from bundles.packages import SBOM
from bundles.platform import Platform
from bundles.source import open_source

_MAX: int = 64 << 20  # bytes of a bill


def of_recipe(folder: Path, options: FetchOptions) -> Wanted:
    """A recipe's folder -> what its bundle ships; raises MissingError until it was built with this store."""
    sources = read_sources(folder)
    sources = sources.of(one_of(sources.recipe, None, options.host))
    name = sources.lock.bundle.replace("@", "-")
    things = shipped(_bill(sources, name, options), name)
    recipe = sources.recipe
    tar = recipe_tar([recipe.folder, *([recipe.base] if recipe.base is not None else [])])
    return Wanted(
        name=name,
        things=things_and_recipe(things, name),
        lock=sources.lock,
        recipe=tar,
        architecture=one_platform(recipe).architecture,
    )


def _bill(sources: Sources, name: str, options: FetchOptions) -> bytes:
    platform = one_platform(sources.recipe)
    plan = plan_build(sources, platform, options.store, options.env, options.host)
    receipts = {step: found for step, row in plan.rows.items() if (found := options.store.receipt(row.id)) is not None}
    if len(receipts) < len(plan.rows):
        hint = f"run `sealift build {sources.recipe.folder}` first, or give the bundle"
        raise MissingError("what programs carry is known once they are built", where=sources.recipe.folder, hint=hint)
    spec = bundle_spec(sources, platform, plan, receipts)
    images = [(image.reference, Digest.of(image.manifest)) for held in spec.archives.values() for image in held]
    return cyclonedx.document(make_bill(spec.facts, name, images))


def of_bundle(bundle: Path) -> Wanted:
    """A bundle (folder or .sealift) -> what its own bill says that it ships; raises FormatError, MissingError.

    The bill is held against bundle.json; who wrote that is for `sealift verify` to say.
    """
    with open_source(bundle) as source:
        document = index.decode(source.envelope()[0], where=f"{bundle}: {index.INDEX_NAME}")
        want = next((file for file in document.files if file.path == SBOM), None)
        if want is None:
            raise MissingError("a bundle without a bill of materials", where=bundle, want=SBOM)
        with source.open(SBOM) as region:
            if region.size > _MAX:
                raise FormatError("a bill too large", where=SBOM, got=region.size)
            data = region.read(0, region.size)
    if Digest.of(data) != want.sha256:
        raise FormatError("damaged", where=f"{bundle}: {SBOM}", got=Digest.of(data), want=want.sha256)
    name = f"{document.name}-{document.version}"
    return Wanted(
        name=name,
        things=things_and_recipe(shipped(data, SBOM), name),
        architecture=Platform.parse(document.platform).architecture,
    )
