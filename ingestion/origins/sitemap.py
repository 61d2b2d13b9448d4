"""Sitemaps (sitemaps.org): which pages a site names. No entity is ever expanded."""

from __future__ import annotations

from dataclasses import dataclass

from lxml import etree

from ingestion.origins.fetch import gunzipped
from rag.errors import OriginUnavailable

MOST_BYTES = 50 * 2**20  # of one sitemap, unpacked: the protocol's own limit
GZIP = b"\x1f\x8b"


@dataclass(frozen=True, slots=True)
class Named:
    """An address and what the sitemap says of its last change ("": nothing)."""

    url: str
    changed: str


@dataclass(frozen=True, slots=True)
class Sitemap:
    pages: tuple[Named, ...]
    sitemaps: tuple[Named, ...]


def read_sitemap(data: bytes, url: str) -> Sitemap:
    """XML, gzipped or not, or a plain list of addresses. Raises OriginUnavailable for what is no
    sitemap, LimitExceeded."""
    plain = gunzipped(data, MOST_BYTES) if data.startswith(GZIP) else data
    if not plain.lstrip(b"\xef\xbb\xbf \t\r\n").startswith(b"<"):
        return Sitemap(_lines(plain, url), ())
    root = _root(plain, url)
    pages: list[Named] = []
    sitemaps: list[Named] = []
    for element in root:
        if isinstance(element.tag, str) and (address := _child(element, "loc")):
            into = sitemaps if etree.QName(root).localname == "sitemapindex" else pages
            into.append(Named(address, _child(element, "lastmod")))
    return Sitemap(tuple(pages), tuple(sitemaps))


def _root(data: bytes, url: str) -> etree._Element:
    parser = etree.XMLParser(
        resolve_entities=False, no_network=True, load_dtd=False, huge_tree=False
    )
    try:
        root = etree.fromstring(data, parser)
    except etree.XMLSyntaxError as exc:
        raise OriginUnavailable(f"{url} is not a sitemap: {exc}") from exc
    if root.getroottree().docinfo.doctype:
        raise OriginUnavailable(f"{url} declares a document type, which no sitemap needs")
    if etree.QName(root).localname not in ("urlset", "sitemapindex"):
        raise OriginUnavailable(f"{url} is XML, but not a sitemap")
    return root


def _child(element: etree._Element, name: str) -> str:
    found = element.find(f"{{*}}{name}")
    return "" if found is None else (found.text or "").strip()


def _lines(data: bytes, url: str) -> tuple[Named, ...]:
    lines = [line.strip() for line in data.decode("utf-8", "replace").splitlines()]
    found = [line for line in lines if line]
    if not all(line.startswith(("http://", "https://")) for line in found):
        raise OriginUnavailable(f"{url} is not a sitemap: neither XML nor a list of addresses")
    return tuple(Named(line, "") for line in found)
