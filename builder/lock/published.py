"""Locking of what somebody publishes: files at URLs. What the old lock pins stays while nobody asks for another."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from builder.lock.model import Lock, LockedInput
from builder.lock.witnessed import disagreement, key_beside
from builder.process import Cancel
from builder.reach import Reach
from builder.recipe.digest import recipe_digest
from builder.recipe.fetched import ImageFilesComponent, UrlComponent, Witness
from builder.recipe.model import CompileComponent, Recipe
from builder.recipe.urlkind import URL_SOURCE
from builder.sources.imagefiles import Images, source_of
from builder.sources.url import lock_url
from builder.sources.urlclient import url_client
from builder.store import Store

if TYPE_CHECKING:
    from bundles.signing.keys import PublicKey


def of_url(component: CompileComponent) -> bool:
    """Whether its sources are an archive at a URL."""
    return component.source.startswith(URL_SOURCE)


def url_of(component: UrlComponent | CompileComponent) -> str:
    """Where it comes from."""
    return component.url if isinstance(component, UrlComponent) else component.source.removeprefix(URL_SOURCE)


@dataclass(frozen=True, kw_only=True, slots=True)
class Publishing:
    """`old` is the lock that stays where nothing changed; `env` our environment; `say` tells a line of progress."""

    recipe: Recipe
    old: Lock | None
    store: Store
    env: Mapping[str, str] = field(repr=False)
    say: Callable[[str], None]
    cancel: Cancel
    reach: Reach

    def lock(self, component: UrlComponent | CompileComponent) -> LockedInput:
        """The component's entry."""
        url, witness = url_of(component), component.witness
        key = key_beside(self.recipe, witness)
        if (old := self._kept(component.name, f"{URL_SOURCE}{url}", witness, key)) is not None:
            return old
        self.say(f"locking {URL_SOURCE}{url}")
        client = url_client(self.reach, self.env, self.cancel)
        return lock_url(client, self.store, component.name, url, witness, key)

    def lock_image(self, component: ImageFilesComponent) -> LockedInput:
        """The entry of a component that takes files out of an image, for the recipe's platform."""
        platform = self.recipe.platforms[0]
        found = self.old.of(component.name) if self.old is not None else ()
        if len(found) == 1 and found[0].source == source_of(component, platform):
            return found[0]
        self.say(f"locking {source_of(component, platform)}")
        images = Images(store=self.store, reach=self.reach, env=self.env, cancel=self.cancel)
        return images.lock(component, platform)

    def _kept(self, name: str, source: str, witness: Witness, key: "PublicKey | None") -> LockedInput | None:
        """The old entry, while it is of this source, its digest is what the recipe says, and its signer the same."""
        found = self.old.of(name) if self.old is not None else ()
        if self.old is None or len(found) != 1 or found[0].source != source or disagreement(found[0], witness, key):
            return None
        # A list of sums leaves no trace in the lock: it is asked again whenever the recipe changed.
        return found[0] if not witness.sums or self.old.recipe == recipe_digest(self.recipe) else None
