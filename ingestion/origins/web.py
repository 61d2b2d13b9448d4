"""Pages by their addresses: a list of them, or those that a sitemap names.

Nothing is read that the operator does not list in `source_hosts` or that robots.txt asks not to
read. A page that was read is asked for again with its entity tag or date, so that an unchanged one
is not sent.
"""

from __future__ import annotations

import datetime
import json
from collections.abc import Iterator
from types import TracebackType
from typing import Final, Self

from ingestion.origins.fetch import Fetcher, Reply
from ingestion.origins.page_name import canonical, page_name
from ingestion.origins.patterns import check_count, wanted
from ingestion.origins.place import Content, Entry, Gone, Listing, Unchanged
from ingestion.origins.robots import Robots
from ingestion.origins.sitemap import MOST_BYTES, Named, read_sitemap
from rag.domain import Origin, OriginItem
from rag.errors import BadInput, EmptyDocument, OriginUnavailable, UnsupportedType

TRUSTED: Final = datetime.timedelta(days=1)  # how long a sitemap's dates spare a page the question
SITEMAPS: Final = 1_000  # of one index
DEEPEST: Final = 3  # sitemaps below indexes below indexes
NO_DOCUMENTS: Final = ("image/", "audio/", "video/", "font/", "text/css", "text/javascript")
NOT_THERE: Final = (404, 410)


class Pages:
    """What lists and sitemaps have in common: reading a page."""

    def __init__(self, origin: Origin, fetcher: Fetcher, items: int, size: int) -> None:
        self._origin, self._fetcher = origin, fetcher
        self._items, self._size = items, size
        self._robots = Robots(fetcher)

    def same(self, entry: Entry, item: OriginItem, now: datetime.datetime) -> bool:
        named = bool(entry.mark) and _mark(item.mark).get("changed") == _mark(entry.mark)["changed"]
        return named and not item.error and now - item.seen < TRUSTED

    def read(self, entry: Entry, before: str) -> Content | Unchanged:
        held = _mark(before)
        headers = {}
        if held.get("etag"):
            headers["If-None-Match"] = held["etag"]
        if held.get("modified"):
            headers["If-Modified-Since"] = held["modified"]
        reply = self._fetcher.get(entry.key, self._size, headers, self._robots.wait_for)
        if reply.status == 304 and headers:
            return Unchanged(json.dumps(held | _mark(entry.mark)))
        if reply.status in NOT_THERE:
            raise Gone(entry.key)
        if reply.status != 200:
            raise OriginUnavailable(f"{entry.key} answers {reply.status}")
        _check_kind(entry.key, reply)
        found = {
            "etag": reply.headers.get("etag", ""),
            "modified": reply.headers.get("last-modified", ""),
        }
        return Content(reply.data, json.dumps(found | _mark(entry.mark)))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._fetcher.__exit__(kind, error, trace)

    def _entries(self, named: Iterator[Named]) -> dict[str, Entry]:
        found: dict[str, Entry] = {}
        for each in named:
            url = canonical(each.url)
            if wanted(self._origin, url):
                mark = json.dumps({"changed": each.changed}) if each.changed else ""
                found[url] = Entry(url, page_name(url), mark, {"url": url})
                check_count(len(found), self._items)
        return found


class UrlsPlace(Pages):
    def listing(self) -> Listing:
        return Listing(self._entries(Named(each, "") for each in self._origin.addresses))


class SitemapPlace(Pages):
    """A sitemap that cannot be read, or one below it, makes the whole listing fail: pages that are
    merely not named at this moment do not count as gone."""

    def listing(self) -> Listing:
        return Listing(self._entries(self._named()))

    def _named(self) -> Iterator[Named]:
        waiting = [(canonical(each), 1) for each in self._origin.addresses]
        seen = {url for url, _ in waiting}
        while waiting:
            url, depth = waiting.pop(0)
            found = read_sitemap(self._sitemap(url), url)
            yield from found.pages
            for inner in found.sitemaps:
                address = canonical(inner.url)
                if address in seen:
                    continue
                if depth == DEEPEST or len(seen) == SITEMAPS:
                    raise BadInput(
                        f"{url} names sitemaps deeper than {DEEPEST} levels, or more than "
                        f"{SITEMAPS:,}; name the one that is meant"
                    )
                seen.add(address)
                waiting.append((address, depth + 1))

    def _sitemap(self, url: str) -> bytes:
        reply = self._fetcher.get(url, MOST_BYTES, before=self._robots.wait_for)
        if reply.status != 200:
            raise OriginUnavailable(f"the sitemap {url} answers {reply.status}")
        return reply.data


def _mark(text: str) -> dict[str, str]:
    found: dict[str, str] = json.loads(text) if text else {}
    return found


def _check_kind(url: str, reply: Reply) -> None:
    if reply.media_type.startswith(NO_DOCUMENTS):
        raise UnsupportedType(f"{url} is {reply.media_type}, not a document")
    if not reply.data:
        raise EmptyDocument(f"{url} is empty (0 bytes)")
