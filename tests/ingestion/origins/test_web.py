"""Pages from a real server on loopback, which each test has to list: what changed is read, and
nothing that was not allowed."""

from __future__ import annotations

import gzip
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ingestion.origins.due import sync_due
from ingestion.origins.keeping import ask
from rag.domain import OriginKind
from rag.errors import AddressRefused, BadInput
from tests.ingestion.house import WHO
from tests.ingestion.origins.house import Origins, copied
from tests.ingestion.origins.site import Page, Site, html, serve

URLS, SITEMAP = OriginKind.URLS, OriginKind.SITEMAP
NAMESPACE = "http://www.sitemaps.org/schemas/sitemap/0.9"


@pytest.fixture
def site() -> Iterator[Site]:
    with serve() as made:
        yield made


@pytest.fixture
def origins(template: Path, tmp_path: Path, site: Site) -> Iterator[Origins]:
    made = copied(
        template,
        tmp_path / "data",
        source_hosts=[f"127.0.0.1:{site.port}"],
        max_upload_bytes=50_000,
        source_request_seconds=1.0,
    )
    yield made
    made.attest.close()


def sitemap(*urls: str, changed: str = "", index: bool = False) -> str:
    root, each = ("sitemapindex", "sitemap") if index else ("urlset", "url")
    date = f"<lastmod>{changed}</lastmod>" if changed else ""
    inner = "".join(f"<{each}><loc>{url}</loc>{date}</{each}>" for url in urls)
    return f'<?xml version="1.0"?><{root} xmlns="{NAMESPACE}">{inner}</{root}>'


def test_pages_are_read_once_and_then_only_asked_for(origins: Origins, site: Site) -> None:
    site.put("/a", html("Apples", "They are red."))
    site.put("/deep/", html("Bananas", "They are yellow."))
    site.pages["/none"] = Page(status=404)
    id = origins.add(URLS, *(site.url(path) for path in ("/a#top", "/deep/", "/none")))
    assert origins.sync(id).counts == {"new": 2}
    host = f"127.0.0.1:{site.port}"
    assert "They are red." in origins.documents()[f"{host}/a"]
    assert set(origins.documents()) == {f"{host}/a", f"{host}/deep/index.html"}
    (agent,) = site.agents
    assert agent.startswith("Attest/")
    assert origins.sync(id).counts == {"unchanged": 2}
    assert site.statuses("/a") == [200, 304]
    site.put("/a", html("Apples", "They are green."))
    assert origins.sync(id).counts == {"changed": 1, "unchanged": 1}
    assert "They are green." in origins.documents()[f"{host}/a"]
    with origins.attest.store() as work:
        document = work.documents.get(str(origins.items(id)[site.url("/a")].document))
        assert document.metadata["url"] == site.url("/a")


def test_a_page_that_is_gone_and_one_that_fails(origins: Origins, site: Site) -> None:
    for name in "abc":
        site.put(f"/{name}", html(name, f"Words of {name}."))
    id = origins.add(URLS, *(site.url(f"/{name}") for name in "abc"))
    origins.sync(id)
    del site.pages["/a"]
    site.pages["/b"].status = 500
    assert origins.sync(id).counts == {"deleted": 1, "failed": 1, "unchanged": 1}
    host = f"127.0.0.1:{site.port}"
    assert set(origins.documents()) == {f"{host}/b", f"{host}/c"}
    assert "500" in origins.items(id)[site.url("/b")].error
    site.pages["/b"].status = 200
    assert origins.sync(id).counts == {"unchanged": 2}
    for page in site.pages.values():
        page.status = 404
    held = origins.sync(id)
    assert (held.held, len(origins.documents())) == (2, 2)


def test_a_server_that_is_away_deletes_nothing(template: Path, tmp_path: Path) -> None:
    with serve() as site:
        made = copied(template, tmp_path / "data", source_hosts=[f"127.0.0.1:{site.port}"])
        site.put("/sitemap.xml", sitemap(site.url("/a")))
        site.put("/a", html("Apples", "They are red."))
        listed = made.add(URLS, site.url("/a"), name="listed")
        mapped = made.add(SITEMAP, site.url("/sitemap.xml"), name="mapped", prefix="m/")
        assert made.sync(listed).counts == made.sync(mapped).counts == {"new": 1}
    assert made.sync(listed).counts == {"failed": 1}
    assert "cannot be read" in made.sync(mapped).error
    assert len(made.documents()) == 2
    made.attest.close()


def test_robots(origins: Origins, site: Site) -> None:
    rules = "User-agent: Attest\nDisallow: /private/\nCrawl-delay: 0.2\n"
    site.put("/robots.txt", rules, headers={"Content-Type": "text/plain"})
    for path in ("/private/a", "/b", "/c"):
        site.put(path, html("T", f"Words of {path}."))
    site.redirect("/d", "/private/a")
    id = origins.add(URLS, *(site.url(path) for path in ("/private/a", "/b", "/c", "/d")))
    began = time.monotonic()
    assert origins.sync(id).counts == {"new": 2, "failed": 2}
    assert time.monotonic() - began >= 0.2
    assert site.statuses("/private/a") == []
    assert "robots.txt" in origins.items(id)[site.url("/private/a")].error
    site.pages["/robots.txt"].status = 503
    assert origins.sync(id).counts == {"failed": 4}
    assert len(origins.documents()) == 2


def test_a_sitemap_with_an_index_packed_and_plain(origins: Origins, site: Site) -> None:
    site.put("/map.xml", sitemap(site.url("/one.xml.gz"), site.url("/two.txt"), index=True))
    site.pages["/one.xml.gz"] = Page(
        gzip.compress(sitemap(site.url("/a"), changed="2026-01-01").encode())
    )
    site.put("/two.txt", f"{site.url('/b')}\n{site.url('/c.md')}\n")
    for path in ("/a", "/b", "/c.md"):
        site.put(path, html("T", f"Words of {path}."))
    id = origins.add(SITEMAP, site.url("/map.xml"), exclude=("*.md",))
    assert origins.sync(id).counts == {"new": 2}
    assert origins.sync(id).counts == {"unchanged": 2}
    assert site.statuses("/a") == [200]  # the sitemap says that it has not changed
    assert site.statuses("/b") == [200, 304]
    site.put("/a", html("T", "Other words."))
    site.pages["/one.xml.gz"].data = gzip.compress(
        sitemap(site.url("/a"), changed="2026-02-01").encode()
    )
    assert origins.sync(id).counts == {"changed": 1, "unchanged": 1}


def test_a_sitemap_that_breaks_deletes_nothing(origins: Origins, site: Site) -> None:
    site.put("/map.xml", sitemap(site.url("/a")))
    site.put("/a", html("T", "Words."))
    id = origins.add(SITEMAP, site.url("/map.xml"))
    origins.sync(id)
    bomb = '<!DOCTYPE x [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;">]>' + sitemap("&b;").split("?>")[1]
    loop = sitemap(site.url("/map.xml"), site.url("/inner.xml"), index=True)
    site.put("/inner.xml", sitemap(site.url("/none.xml"), index=True))
    for broken, said in (
        ("<urlset>", "not a sitemap"),
        (bomb, "document type"),
        ("<html/>", "not a sitemap"),
        ("plain words", "not a sitemap"),
        (loop, "404"),
        (sitemap("ftp://example.org/"), "http://"),
        (sitemap(), "vanished"),
    ):
        site.put("/map.xml", broken)
        assert said in origins.sync(id).error
        assert len(origins.documents()) == 1
    site.pages["/map.xml"] = Page(gzip.compress(b"<" + b" " * 60_000_000))
    assert "52,428,800" in origins.sync(id).error


# --- what is not allowed ------------------------------------------------------------------------


@pytest.mark.parametrize(
    "target",
    [
        "http://127.0.0.1:1/",  # another port of the same host
        "http://localhost:{port}/secret",
        "http://[::1]:{port}/secret",
        "http://169.254.169.254/latest/meta-data",
        "http://10.0.0.1/",
        "file:///etc/passwd",
        "//metadata.example/",
    ],
)
def test_a_redirect_is_checked_like_an_address(origins: Origins, site: Site, target: str) -> None:
    site.put("/secret", html("Secret", "Not for you."))
    site.redirect("/a", target.format(port=site.port))
    id = origins.add(URLS, site.url("/a"))
    assert origins.sync(id).counts == {"failed": 1}
    assert "source_hosts" in origins.items(id)[site.url("/a")].error or target.startswith("file")
    assert site.statuses("/secret") == []
    assert origins.documents() == {}


def test_a_listed_name_that_leads_inside_is_refused(
    template: Path, tmp_path: Path, site: Site
) -> None:
    """As when somebody else's name is pointed at a private address."""
    site.put("/a", html("T", "Words."))
    port = site.port
    named = copied(template, tmp_path / "named", source_hosts=[f"localhost:{port}"])
    id = named.add(URLS, site.url("/a", "localhost"))
    assert named.sync(id).counts == {"failed": 1}
    (item,) = named.items(id).values()
    assert "not a public address" in item.error
    assert site.asked == []
    named.attest.close()
    both = copied(
        template, tmp_path / "both", source_hosts=[f"localhost:{port}", "127.0.0.0/8", "::1/128"]
    )
    assert both.sync(both.add(URLS, site.url("/a", "localhost"))).counts == {"new": 1}
    both.attest.close()


def test_redirects_that_are_allowed_and_ones_without_end(origins: Origins, site: Site) -> None:
    site.put("/new", html("T", "Words."))
    site.redirect("/old", "/new")
    site.redirect("/circle", "/circle")
    id = origins.add(URLS, site.url("/old"), site.url("/circle"))
    assert origins.sync(id).counts == {"new": 1, "failed": 1}
    assert "redirected" in origins.items(id)[site.url("/circle")].error


@pytest.mark.parametrize("url", ["ftp://127.0.0.1/", "http://", "http://u:p@127.0.0.1/", "x"])
def test_addresses_that_are_none(origins: Origins, url: str) -> None:
    with pytest.raises(BadInput):
        origins.add(URLS, url)


def test_without_listed_hosts_nothing_is_asked(template: Path, tmp_path: Path, site: Site) -> None:
    offline = copied(template, tmp_path / "data")
    for url in (site.url("/a"), "https://example.org/"):
        with pytest.raises(AddressRefused, match="source_hosts"):
            offline.add(URLS, url)
    assert site.asked == []
    offline.attest.close()


# --- limits -------------------------------------------------------------------------------------


def _endless(handler: Any) -> None:
    handler.send_response(200)
    handler.send_header("Connection", "close")
    handler.end_headers()
    try:
        while True:
            handler.wfile.write(b"x" * 10_000)
    except OSError:
        handler.close_connection = True


def _trickling(handler: Any) -> None:
    """A header that never ends, a letter at a time."""
    try:
        handler.wfile.write(b"HTTP/1.1 200 OK\r\nX-Slow: ")
        while True:
            handler.wfile.write(b"a")
            time.sleep(0.1)
    except OSError:
        handler.close_connection = True


def _cut(handler: Any) -> None:
    handler.send_response(200)
    handler.send_header("Content-Length", "1000")
    handler.end_headers()
    handler.wfile.write(b"too little")
    handler.close_connection = True


def test_servers_that_misbehave(origins: Origins, site: Site) -> None:
    picture = {"Content-Type": "image/png"}
    site.put("/good", html("T", "Words."))
    site.put("/picture", "x", headers=picture)
    site.put("/large", "x" * 50_001)
    site.put("/empty", "")
    packed = {"Content-Encoding": "gzip"}
    site.pages["/bomb"] = Page(gzip.compress(b"x" * 10_000_000), headers=packed)
    site.pages["/packed"] = Page(gzip.compress(html("P", "Packed.").encode()), headers=packed)
    site.pages["/endless"] = Page(act=_endless)
    site.pages["/slow"] = Page(act=_trickling)
    site.pages["/cut"] = Page(act=_cut)
    paths = ("good", "picture", "large", "empty", "bomb", "packed", "endless", "slow", "cut")
    id = origins.add(URLS, *(site.url(f"/{path}") for path in paths))
    assert origins.sync(id).counts == {"new": 2, "failed": 7}
    said = {key.rpartition("/")[2]: item.error for key, item in origins.items(id).items()}
    assert "image/png" in said["picture"]
    assert "0 bytes" in said["empty"]
    for name in ("large", "bomb", "endless"):
        assert "50,000 bytes" in said[name]
    assert "longer than 1 s" in said["slow"]
    assert "cannot be read" in said["cut"]


def test_a_request_to_sync_is_kept_until_it_is_done(origins: Origins, site: Site) -> None:
    site.put("/a", html("T", "Words."))
    id = origins.add(URLS, site.url("/a"), every=0.0)
    origins.sync(id)
    assert origins.get(id).due is None
    assert ask(origins.attest, WHO, "handbook", "wiki", False).due is not None
    assert sync_due(origins.attest, origins.queue, lambda: "another") == 1
    assert sync_due(origins.attest, origins.queue, lambda: "another") == 0
    origins.work_off()
    assert site.statuses("/a") == [200, 304]
