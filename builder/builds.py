"""The bundles of a recipe, one for each platform."""

from dataclasses import replace
from pathlib import Path

from builder.build import BuildOptions, Built, Sources, build, read_sources
from builder.platforms import chosen, machine_last, refuse_other_machine
from bundles.errors import UsageError


def build_all(
    recipe_folder: Path, options: BuildOptions, wanted: str | None, sources: Sources | None = None
) -> tuple[Built, ...]:
    """Recipe folder and what `--platform` says (None: every one) -> the bundles, this machine's own last.

    `sources`: recipe and lock, where they were read just now.

    Raises what `build` does; what no machine like this can build is refused before anything is built.
    """
    sources = sources or read_sources(recipe_folder)
    platforms = machine_last(chosen(sources.recipe, wanted), options.host)
    if options.against is not None and len(platforms) > 1:
        raise UsageError("a bundle is of one platform", where=recipe_folder, want="--platform, with --against")
    for platform in platforms:
        own = sources.of(platform)
        refuse_other_machine(own.recipe, own.lock, options.host)
    return tuple(build(recipe_folder, replace(options, platform=platform), sources) for platform in platforms)
