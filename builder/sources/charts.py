"""Published charts: found and recorded when they are locked, fetched by digest afterwards."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Final

from builder.lock.model import LockedChart, LockedFile
from builder.lock.witnessed import is_same
from builder.mirror.blobs import bring_blob
from builder.process import Cancel
from builder.reach import Reach
from builder.recipe.chartfile import ChartFile, parse_chart_file
from builder.recipe.fetched import PublishedChart
from builder.sources.chartrepo import MAX_INDEX, find
from builder.sources.deb import whole
from builder.sources.url import WantedUrl, fetch_today
from builder.sources.urlclient import UrlClient, url_client
from builder.sources.verified import Verified
from builder.steps.packed import packed
from builder.store import Store
from bundles.digest import Digest
from bundles.errors import FormatError, LimitError, MissingError
from bundles.masking import secret_parameter
from bundles.reference import Reference
from bundles.registry import url as urls
from bundles.registry.documents import read_manifest
from bundles.registry.place import Repository
from bundles.registry.protocol import Registry
from bundles.talk import SilentProgress

MAX_CHART: Final = 32 << 20  # bytes of a packaged chart; what a server takes is smaller
MAX_CHART_FILE: Final = 1 << 20
# Helm, "Helm Charts in OCI registries"; the second is what charts of Helm 3.0 were pushed as.
CONFIG: Final = "application/vnd.cncf.helm.config.v1+json"
CONTENT: Final = ("application/vnd.cncf.helm.chart.content.v1.tar+gzip", "application/tar+gzip")


@dataclass(frozen=True, kw_only=True, slots=True)
class Charts:
    """How published charts are reached; `env` is our environment."""

    store: Store
    reach: Reach
    env: Mapping[str, str] = field(repr=False)
    cancel: Cancel

    def lock(self, chart: PublishedChart) -> LockedChart:
        """What the chart is today, in the store -> its entry.

        Raises MissingError, FormatError for what is no chart or not what the recipe or an index says of it, and what
        fetching raises.
        """
        url, digest, size = self._oci(chart) if chart.kind == "oci" else self._url(chart)
        where = urls.shown(url) if chart.kind != "oci" else chart.place
        if chart.sha256 is not None and chart.sha256 != digest:
            hint = "another chart lies there than the recipe means: find out why before you trust it"
            raise FormatError(
                "not the sha256 that the recipe says", where=where, got=digest, want=chart.sha256, hint=hint
            )
        inside = chart_in(self.store.path(digest), where)
        if chart.version and inside.version != chart.version:
            raise FormatError("the chart is another version", where=where, got=inside.version, want=chart.version)
        if chart.chart and inside.name != chart.chart:
            raise FormatError("another chart", where=where, got=inside.name, want=chart.chart)
        return LockedChart(
            name=chart.name, version=inside.version, digest=digest, source=chart.source, size=size,
            url=url if chart.kind == "repo" else "",
        )  # fmt: skip

    def wanted(self, locked: LockedChart, *, offline: bool) -> "WantedUrl | WantedOciChart":
        """A published chart of the lock."""
        kind, _, place = locked.source.partition(":")
        url = locked.url or place
        file = LockedFile(name=f"{locked.name}-{locked.version}.tgz", size=locked.size, digest=locked.digest)
        if kind == "oci":
            return WantedOciChart(charts=self, name=locked.source, reference=Reference.parse(place), file=file,
                                  offline=offline)  # fmt: skip
        return WantedUrl(
            name=locked.source, url=url, client=self._client(), verified=Verified(self.store), store=self.store,
            file=file, offline=offline,
        )  # fmt: skip

    def _client(self) -> UrlClient:
        return url_client(self.reach, self.env, self.cancel)

    def _url(self, chart: PublishedChart) -> tuple[str, Digest, int]:
        client = self._client()
        url, said = chart.place, None
        if chart.kind == "repo":
            where = f"{chart.place}/index.yaml"
            entry = find(client.small(where, MAX_INDEX), chart.chart, chart.version, urls.shown(where))
            url, said = urls.follow(where, entry.url, where=urls.shown(where)), entry.digest
            if name := secret_parameter(url):  # it would end in the lock, and not work for long
                raise FormatError(f"the index's address has {name}= in its query", where=urls.shown(url))
        found = fetch_today(client, self.store, url, MAX_CHART)
        if said is not None and said != found.digest:
            raise FormatError("not the chart that the index lists", where=urls.shown(url), got=found.digest, want=said)
        return url, found.digest, found.size

    def _oci(self, chart: PublishedChart) -> tuple[str, Digest, int]:
        reference = Reference.parse(chart.place)
        repository, where = Repository(host=reference.domain, path=reference.repository), chart.place
        with self.reach.opened(self.env) as registry:
            asked = str(reference.digest) if reference.digest else str(reference.tag)
            document = registry.manifest(repository, asked, self.cancel.check)
            manifest = read_manifest(document, where=where)
            if manifest.config.media_type != CONFIG:
                got = ascii(manifest.config.media_type[:200])
                raise FormatError("not a chart", where=where, got=got, want=CONFIG)
            content = [layer for layer in manifest.layers if layer.media_type in CONTENT]
            if len(content) != 1:
                raise FormatError("not one packaged chart", where=where, got=len(content))
            if content[0].size > MAX_CHART:
                raise LimitError("the chart is too large", where=where, got=content[0].size, want=f"<= {MAX_CHART}")
            self._bring(registry, repository, content[0].digest, content[0].size)
        return chart.place, content[0].digest, content[0].size

    def bring(self, repository: Repository, digest: Digest, size: int) -> None:
        """A chart's blob from a registry into the store."""
        with self.reach.opened(self.env) as registry:
            self._bring(registry, repository, digest, size)

    def _bring(self, registry: Registry, repository: Repository, digest: Digest, size: int) -> None:
        bring_blob(registry, repository, digest, size, self.store, self.cancel.check, SilentProgress())


@dataclass(frozen=True, kw_only=True, slots=True)
class WantedOciChart:
    """A locked chart in a registry."""

    charts: Charts
    name: str
    reference: Reference
    file: LockedFile
    offline: bool

    def present(self) -> bool:
        """Whether the store has it."""
        return self.charts.store.has(self.file.digest, self.file.size)

    def fetch(self) -> None:
        """Brings it; raises what the registry client raises, MissingError when offline."""
        if whole(self.charts.store, self.file):
            return
        if self.offline:
            raise MissingError("not in the store", where=self.name)
        place = Repository(host=self.reference.domain, path=self.reference.repository)
        self.charts.bring(place, self.file.digest, self.file.size)


def lock_charts(
    charts: Charts, wanted: Mapping[str, PublishedChart], old: Mapping[str, LockedChart], say: Callable[[str], None]
) -> tuple[LockedChart, ...]:
    """All published charts; what the old lock pins stays while the recipe asks for the same."""
    locked = []
    for name, chart in sorted(wanted.items()):
        known = old.get(name)
        if known is None or not is_same(chart, known):
            say(f"locking {chart.source}")
            known = charts.lock(chart)
        locked.append(known)
    return tuple(locked)


def chart_in(path: Path, where: str) -> ChartFile:
    """A packaged chart -> its Chart.yaml; raises FormatError for what is no chart or hostile, LimitError."""
    tops: set[str] = set()
    text: bytes | None = None
    with packed(path, "chart.tgz") as members:
        for one in members:
            parts = PurePosixPath(one.member.name).parts
            tops.add(parts[0])
            if parts[1:] == ("Chart.yaml",) and one.member.kind == "file":
                if one.member.size > MAX_CHART_FILE:
                    raise LimitError("Chart.yaml is too large", where=where, want=f"<= {MAX_CHART_FILE} bytes")
                text = b"".join(map(bytes, one.body()))
    if text is None:
        raise FormatError("no Chart.yaml: not a packaged chart", where=where)
    found = parse_chart_file(text, f"{where}: Chart.yaml")
    if tops != {found.name}:
        raise FormatError(
            "not one folder of the chart's name", where=where, got=ascii(sorted(tops)[:5]), want=found.name
        )
    return found
