"""Pages of a version: where their words stand, and how they look."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Path, Query, Response

from rag.api.access import Reader
from rag.api.page_image import has_pages, page_image
from rag.api.parts import Here
from rag.domain import Box, PersonalPolicy, Version, Word
from rag.errors import UnknownDocument
from rag.layout import MASK, load_layout
from rag.reach import version_for

router = APIRouter(prefix="/versions/{id}/pages/{page}", tags=["pages"])
Page = Annotated[int, Path(ge=1, description="counts from 1")]


@router.get("/words")
def words(id: str, page: Page, who: Reader, here: Here) -> list[Word]:
    """Where each word of the page stands; empty for formats without pages."""
    with here.attest.store() as work:
        _, version = version_for(work, id, who)
    if version.layout_blob is None:
        return []
    layout = load_layout(here.attest.blobs.get(version.layout_blob))
    return [word for word in layout.words() if word.box.page == page]


def _covered(here: Here, version: Version, page: int) -> list[Box]:
    """Where words stand that the stored text masks: the picture of the page must not show them."""
    if version.findings is None or version.findings.policy is not PersonalPolicy.MASK:
        return []
    if version.layout_blob is None or not version.findings.personal:
        return []
    text = here.attest.blobs.get(version.text_blob).decode("utf-8")
    layout = load_layout(here.attest.blobs.get(version.layout_blob))
    words = (word for word in layout.words() if word.box.page == page)
    return [word.box for word in words if MASK in text[word.start : word.end]]


@router.get("/image", response_class=Response, responses={200: {"content": {"image/png": {}}}})
def image(
    id: str, page: Page, who: Reader, here: Here, scale: float = Query(1.5, ge=0.1, le=6)
) -> Response:
    """The page as PNG, `scale` pixels a point; of PDF documents and pictures only."""
    with here.attest.store() as work:
        _, version = version_for(work, id, who)
    if not has_pages(version.media_type) or version.pages is None or page > version.pages:
        raise UnknownDocument(f"version {id!r} has no page {page} to be drawn")
    drawn = page_image(
        here.attest.blobs.get(version.sha256), page, scale, _covered(here, version, page)
    )
    # A version never changes, but rights may: kept by the browser for a while, by no one between.
    headers = {"Cache-Control": "private, max-age=300"}
    return Response(drawn, media_type="image/png", headers=headers)
