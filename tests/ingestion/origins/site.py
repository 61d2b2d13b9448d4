"""A real web server on loopback whose pages a test changes."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from email.utils import formatdate
from hashlib import sha256
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


@dataclass
class Page:
    data: bytes = b""
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    tagged: bool = True  # it has an entity tag and answers 304
    act: Callable[[Any], None] | None = None  # in place of an answer, with the handler


@dataclass
class Site:
    port: int
    pages: dict[str, Page] = field(default_factory=dict)
    asked: list[tuple[str, int]] = field(default_factory=list)  # path and status
    agents: set[str] = field(default_factory=set)

    def url(self, path: str, host: str = "127.0.0.1") -> str:
        return f"http://{host}:{self.port}{path}"

    def put(self, path: str, text: str, **rest: Any) -> None:
        headers = {"Content-Type": "text/html; charset=utf-8", **rest.pop("headers", {})}
        self.pages[path] = Page(text.encode(), headers=headers, **rest)

    def redirect(self, path: str, target: str) -> None:
        self.pages[path] = Page(status=302, headers={"Location": target})

    def statuses(self, path: str) -> list[int]:
        return [status for asked, status in self.asked if asked == path]


def html(title: str, words: str) -> str:
    return f"<!doctype html><html><head><title>{title}</title></head><body><p>{words}</p></body>"


@contextmanager
def serve() -> Iterator[Site]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            site.agents.add(self.headers["User-Agent"])
            page = site.pages.get(self.path, Page(b"not here", 404))
            if page.act is not None:
                site.asked.append((self.path, 0))
                page.act(self)
                return
            tag = f'"{sha256(page.data).hexdigest()[:16]}"'
            known = page.tagged and self.headers.get("If-None-Match") == tag
            status = 304 if known and page.status == 200 else page.status
            site.asked.append((self.path, status))
            body = b"" if status == 304 else page.data
            self.send_response(status)
            for name, value in page.headers.items():
                self.send_header(name, value)
            if page.tagged:
                self.send_header("ETag", tag)
                self.send_header("Last-Modified", formatdate(1e9, usegmt=True))
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:
            return

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    site = Site(server.server_address[1])
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield site
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
