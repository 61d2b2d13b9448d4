"""What a page's document is called, and the one spelling of its address."""

from __future__ import annotations

from urllib.parse import quote, unquote, urlsplit, urlunsplit

from ingestion.uploads import checked_name
from rag.allowed import PORTS, host_of
from rag.errors import BadName

_KEPT = "/%:@!$&'()*+,;=~-._"


def canonical(url: str) -> str:
    """Without fragment and needless port, the host in small letters, other letters than ASCII
    escaped. Raises BadInput."""
    host, port = host_of(url.strip())
    parts = urlsplit(url.strip())
    shown = f"[{host}]" if ":" in host else host
    place = shown if port == PORTS[parts.scheme] else f"{shown}:{port}"
    path = quote(parts.path or "/", safe=_KEPT)
    return urlunsplit((parts.scheme, place, path, quote(parts.query, safe=_KEPT + "?"), ""))


def page_name(url: str) -> str:
    """`https://example.org/a/b` is called example.org/a/b, a folder's page index.html."""
    parts = urlsplit(url)
    path = parts.path + ("index.html" if parts.path.endswith("/") else "")
    query = f"?{parts.query}" if parts.query else ""
    name = _joined(parts.netloc, unquote(path) + unquote(query))
    try:
        return checked_name(name)
    except BadName:
        return _joined(parts.netloc, path + query)


def _joined(host: str, path: str) -> str:
    parts = [part.strip() for part in path.split("/")]
    return "/".join([host, *(part for part in parts if part not in ("", ".", ".."))])
