"""EPUB: the chapters of a book in the order of its spine."""

from __future__ import annotations

import posixpath
from typing import Any
from urllib.parse import unquote

from ingestion.limits import Limits
from ingestion.parse.container import check_container, member
from ingestion.parse.html import add_html, html_source
from ingestion.parse.records import xml_root
from ingestion.parse.transcript import Transcript
from rag.domain import Parsed
from rag.errors import EncryptedDocument, UnreadableDocument, UnsupportedType

MEDIA_TYPE = "application/epub+zip"
_LOCKED = "the book is locked (DRM); upload a copy without a lock"
_CONTAINER = "META-INF/container.xml"
_PAGES = ("application/xhtml+xml", "text/html", "application/x-dtbook+xml")


def parse_epub(data: bytes, limits: Limits) -> Parsed:
    """Parse a book. Raises UnreadableDocument when it is damaged, EncryptedDocument when its text
    is locked, LimitExceeded, EmptyDocument."""
    check_container(data, limits)
    where = _package_path(data)
    package = xml_root(member(data, where), "the book's list of contents")
    locked = b"EncryptedData" in member(data, "META-INF/encryption.xml", missing=b"")
    transcript = Transcript(limits)
    for path in _spine(package, posixpath.dirname(where)):
        source = member(data, path, missing=b"")
        if source:
            try:
                add_html(transcript, html_source(source))
            except UnsupportedType as exc:
                if locked:
                    raise EncryptedDocument(_LOCKED) from exc
                raise
    if locked and not transcript.blocks:
        raise EncryptedDocument(_LOCKED)
    title, metadata = _properties(package)
    return transcript.finish(MEDIA_TYPE, title=title, metadata=metadata)


def _package_path(data: bytes) -> str:
    root = xml_root(member(data, _CONTAINER), "the book's container")
    found = (each.get("full-path") for each in root.iter() if str(each.tag).endswith("}rootfile"))
    path = next(filter(None, found), None)
    if path is None:
        raise UnreadableDocument("the book does not say where its contents are; export it again")
    return str(path)


def _spine(package: Any, folder: str) -> list[str]:
    """The paths of the pages to be read, in order; the table of contents is none of them."""
    items = {}
    for item in _named(package, "item"):
        if item.get("media-type") in _PAGES and "nav" not in (item.get("properties") or "").split():
            href = unquote((item.get("href") or "").partition("#")[0])
            items[item.get("id")] = posixpath.normpath(posixpath.join(folder, href))
    order = [items[id] for each in _named(package, "itemref") if (id := each.get("idref")) in items]
    return order or list(items.values())


def _properties(package: Any) -> tuple[str, dict[str, str]]:
    def first(name: str) -> str:
        return next((each.text or "" for each in _named(package, name)), "")

    found = {"author": first("creator"), "date": first("date"), "language": first("language")}
    return first("title"), {key: value for key, value in found.items() if value}


def _named(root: Any, name: str) -> list[Any]:
    return [each for each in root.iter() if str(each.tag).rpartition("}")[2] == name]
