"""What robots.txt allows us to read, host by host (RFC 9309)."""

from __future__ import annotations

import time
from typing import Final
from urllib.parse import urlsplit
from urllib.robotparser import RobotFileParser

from ingestion.origins.fetch import AGENT, Fetcher
from rag.errors import NotPermitted, OriginUnavailable

MOST_BYTES: Final = 512 * 1024  # RFC 9309 asks for 500 KiB at least
LONGEST_DELAY: Final = 10.0  # seconds between two pages, whatever a server wishes


class Robots:
    """Asks each host once."""

    def __init__(self, fetcher: Fetcher) -> None:
        self._fetcher = fetcher
        self._rules: dict[str, RobotFileParser] = {}
        self._last: dict[str, float] = {}

    def wait_for(self, url: str) -> None:
        """Return when `url` may be read. Raises NotPermitted when it may not, OriginUnavailable
        when the host does not say."""
        parts = urlsplit(url)
        host = f"{parts.scheme}://{parts.netloc}"
        if host not in self._rules:
            self._rules[host] = self._ask(host)
        rules = self._rules[host]
        if not rules.can_fetch(AGENT, url):
            raise NotPermitted(f"robots.txt of {parts.netloc} asks not to read {url}")
        delay = min(float(rules.crawl_delay(AGENT) or 0), LONGEST_DELAY)
        pause = self._last.get(host, 0.0) + delay - time.monotonic()
        if delay and pause > 0:
            time.sleep(pause)
        self._last[host] = time.monotonic()

    def _ask(self, host: str) -> RobotFileParser:
        reply = self._fetcher.get(f"{host}/robots.txt", MOST_BYTES)
        rules = RobotFileParser()
        if reply.status in (401, 403):
            rules.parse(["User-agent: *", "Disallow: /"])
        elif reply.status == 200:
            rules.parse(reply.data.decode("utf-8", "replace").splitlines())
        elif 400 <= reply.status < 500:
            rules.parse([])
        else:
            raise OriginUnavailable(
                f"{host} answers {reply.status} for its robots.txt; nothing is read there until "
                "it says what may be"
            )
        return rules
