"""The tags of a repository (distribution-spec, "Listing Tags"), page by page, bounded."""

import re
from typing import Any, Final

from bundles import jsontext
from bundles.errors import FormatError, LimitError
from bundles.registry import url as urls
from bundles.registry.place import Endpoint

PAGE: Final = 1000  # tags that are asked for at once; registries may give fewer
MAX_ANSWER: Final = 4 << 20  # bytes of one page
_MAX_PAGES: Final = 100
_MAX_TAGS: Final = 50_000
_TAG: Final = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,127}")


class Listing:
    """Collects the pages: `url` is what to ask next, None when all are there."""

    def __init__(self, endpoint: Endpoint) -> None:
        """Nothing is asked yet."""
        self._endpoint, self._pages = endpoint, 0
        self.tags: list[str] = []
        self.where = f"{endpoint}: tags"
        self.url: str | None = urls.with_query(endpoint.url("tags/list"), "n", str(PAGE))

    def take(self, data: bytes, link: str | None) -> None:
        """One page and its `Link` header; raises FormatError, and LimitError for a list without end."""
        assert self.url is not None  # nobody asks for more than there is
        self.tags += _tags(data, self.where)
        self._pages += 1
        if self._pages > _MAX_PAGES or len(self.tags) > _MAX_TAGS:
            raise LimitError("too many tags", where=self.where, want=f"<= {_MAX_TAGS}, on {_MAX_PAGES} pages")
        self.url = urls.next_page(self.url, link, where=self.where)
        if self.url is not None and not urls.same_origin(self.url, self._endpoint.origin):
            raise FormatError("the next page is on another host", where=self.where, got=urls.shown(self.url))


def _tags(data: bytes, where: str) -> list[str]:
    plain: Any = jsontext.decode_plain(data, where=where, max_size=MAX_ANSWER)
    tags = plain.get("tags") or [] if isinstance(plain, dict) else None  # null: a repository whose tags are gone
    if not isinstance(tags, list) or not all(isinstance(tag, str) and _TAG.fullmatch(tag) for tag in tags):
        raise FormatError("not a list of tags", where=where, want='{"name": ..., "tags": [...]}')
    return tags
