"""What is newer of published images and charts: asked of registries and chart repositories, each of them once.

A tag or version moves within its line (`versions.newest_tag`). What a recipe pins by a digest or a sha256 stays, and so
does what has no version: files of URLs, `.tgz` of URLs, tags like `latest`.
"""

from collections.abc import Collection, Iterator
from typing import Final

from builder.recipe import keys
from builder.recipe.fetched import ImageFilesComponent, PublishedChart
from builder.recipe.model import Recipe
from builder.recipe.taken import MirrorImage
from builder.resolve import ResolveOptions
from builder.sources.chartrepo import MAX_INDEX, versions
from builder.sources.urlclient import url_client
from builder.update.edit import Edit
from builder.update.find import Newer
from builder.update.versions import newest_tag
from bundles.errors import SealiftError
from bundles.reference import Reference
from bundles.registry import url as urls
from bundles.registry.place import Repository
from bundles.registry.protocol import Registry

_IMAGE: Final = "image"
_MIRROR: Final = "mirror"


class PublishedAsker:
    """Asks; `failures` collects what could not be asked, `asked` counts."""

    def __init__(self, options: ResolveOptions) -> None:
        """Nothing is asked yet."""
        self._options = options
        self._tags: dict[Repository, list[str]] = {}
        self._indexes: dict[str, bytes] = {}
        self._broken: set[object] = set()
        self.failures: list[SealiftError] = []
        self.asked = 0

    def newer(self, recipe: Recipe, names: Collection[str]) -> list[Newer]:
        """All that is newer of the named components, images and charts; of all when none is named."""
        tagged = [each for each in _tagged(recipe) if not names or each[0] in names]
        charts = [each for each in recipe.charts.values() if isinstance(each, PublishedChart)]
        listed = [each for each in charts if each.kind == "repo" and (not names or each.name in names)]
        found: list[Newer] = []
        if tagged:
            with self._options.reach.opened(self._options.env) as registry:
                for name, file, key, reference in tagged:
                    found += self._image(registry, name, file, key, reference)
        for chart in listed:
            found += self._chart(chart)
        return found

    def _image(self, registry: Registry, name: str, file: str, key: str, reference: Reference) -> Iterator[Newer]:
        old = reference.tag or ""
        new = newest_tag(old, self._tags_of(registry, reference))
        if new != old:
            edit = Edit(file=file, path=(name, key), old=f":{old}", new=f":{new}")
            what = f"{reference.domain}/{reference.repository}"
            yield Newer(component=name, what=what, old=old, new=new, edit=edit)

    def _tags_of(self, registry: Registry, reference: Reference) -> list[str]:
        place = Repository(host=reference.domain, path=reference.repository)
        if place not in self._tags:
            self.asked += 1
            try:
                self._tags[place] = registry.tags(place, self._options.cancel.check)
            except SealiftError as exc:
                self.failures.append(exc)
                self._tags[place] = []
        return self._tags[place]

    def _chart(self, chart: PublishedChart) -> Iterator[Newer]:
        if chart.sha256 is not None:
            return
        new = newest_tag(chart.version, self._versions_of(chart))
        if new != chart.version:
            edit = Edit(file=keys.CHARTS, path=(chart.name, "version"), old=chart.version, new=new)
            yield Newer(component=chart.name, what=f"chart {chart.chart}", old=chart.version, new=new, edit=edit)

    def _versions_of(self, chart: PublishedChart) -> list[str]:
        url = f"{chart.place}/index.yaml"
        if url in self._broken:
            return []
        try:
            if url not in self._indexes:
                self.asked += 1
                client = url_client(self._options.reach, self._options.env, self._options.cancel)
                self._indexes[url] = client.small(url, MAX_INDEX)
            return versions(self._indexes[url], chart.chart, urls.shown(url))
        except SealiftError as exc:
            self.failures.append(exc)
            self._broken.add(url)
            return []


def names_of(recipe: Recipe) -> set[str]:
    """What `sealift update NAME` can mean here."""
    return {name for name, *_ in _tagged(recipe)} | {
        chart.name for chart in recipe.charts.values() if isinstance(chart, PublishedChart) and chart.kind == "repo"
    }


def _tagged(recipe: Recipe) -> Iterator[tuple[str, str, str, Reference]]:
    """What lies in registries under a tag alone: name, file of the recipe, key, reference."""
    for component in recipe.components.values():
        if isinstance(component, ImageFilesComponent) and component.reference.digest is None:
            yield component.name, keys.COMPONENTS, _IMAGE, component.reference
    for image in recipe.images.values():
        if isinstance(image, MirrorImage) and image.source.digest is None:
            yield image.name, keys.IMAGES, _MIRROR, image.source
    for chart in recipe.charts.values():
        if isinstance(chart, PublishedChart) and chart.kind == "oci" and chart.sha256 is None:
            reference = Reference.parse(chart.place)
            if reference.digest is None:
                yield chart.name, keys.CHARTS, "oci", reference
