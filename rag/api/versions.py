"""Versions: the words a citation points at, and where they stand on their page."""

from __future__ import annotations

from fastapi import APIRouter, Query
from fastapi.responses import HTMLResponse

from rag.api.access import Reader
from rag.api.parts import Here, Parts
from rag.api.rendering import rendering
from rag.domain import Block, Right, Version
from rag.errors import BadInput, UnknownDocument
from rag.reach import document_for, version_for
from rag.views import Extract, Text

router = APIRouter(tags=["versions"])


def _text(here: Parts, version: Version) -> str:
    return here.attest.blobs.get(version.text_blob).decode("utf-8")


@router.get("/documents/{id}/versions")
def versions(id: str, who: Reader, here: Here) -> list[Version]:
    with here.attest.store() as work:
        document_for(work, id, who, Right.READ)
        return work.documents.versions(id)


@router.get("/documents/{id}/text")
def document_text(id: str, who: Reader, here: Here) -> Text:
    """The live version's text."""
    with here.attest.store() as work:
        _, document = document_for(work, id, who, Right.READ)
        if document.version is None:
            raise UnknownDocument(f"document {id!r} has no text yet, or was deleted")
        version = work.documents.version(document.version)
    return Text(version.id, document.id, document.name, _text(here, version))


@router.get("/versions/{id}")
def version(id: str, who: Reader, here: Here) -> Version:
    with here.attest.store() as work:
        return version_for(work, id, who)[1]


@router.get("/versions/{id}/text")
def version_text(id: str, who: Reader, here: Here) -> Text:
    with here.attest.store() as work:
        document, version = version_for(work, id, who)
    return Text(version.id, document.id, document.name, _text(here, version))


@router.get("/versions/{id}/extract")
def extract(
    id: str,
    who: Reader,
    here: Here,
    start: int = Query(ge=0),
    end: int = Query(ge=0),
    around: int = Query(400, ge=0, le=20_000),
) -> Extract:
    """The characters start..end and up to `around` on either side (EXACT: a slice, no search)."""
    with here.attest.store() as work:
        document, version = version_for(work, id, who)
    text = _text(here, version)
    if not start <= end <= len(text):
        raise BadInput(f"{start}..{end} is no span of a text of {len(text)} characters")
    first, last = max(0, start - around), min(len(text), end + around)
    return Extract(
        version=version.id,
        document=document.id,
        document_name=document.name,
        start=first,
        end=last,
        text=text[first:last],
        quote_start=start,
        quote_end=end,
        length=len(text),
    )


@router.get("/versions/{id}/html", response_class=HTMLResponse)
def html(
    id: str,
    who: Reader,
    here: Here,
    start: int = Query(ge=0),
    end: int = Query(ge=0),
    around: int = Query(4_000, ge=0, le=200_000),
) -> HTMLResponse:
    """The place start..end as a reader sees it: headings, lists and rows around it, and the span
    itself in `mark` elements. For every format; nothing of the file is executed or fetched."""
    with here.attest.store() as work:
        _, version = version_for(work, id, who)
        found = work.documents.blocks(id)
    text = _text(here, version)
    if not start <= end <= len(text):
        raise BadInput(f"{start}..{end} is no span of a text of {len(text)} characters")
    headers = {"Content-Security-Policy": "default-src 'none'; sandbox"}
    return HTMLResponse(rendering(text, found, start, end, around), headers=headers)


@router.get("/versions/{id}/blocks")
def blocks(id: str, who: Reader, here: Here) -> list[Block]:
    with here.attest.store() as work:
        version_for(work, id, who)
        return work.documents.blocks(id)
