"""The page as it was printed, with the cited words marked by their boxes."""

from __future__ import annotations

import io
from collections.abc import Sequence

import streamlit as st
from PIL import Image, ImageChops, ImageDraw

from rag.client import Client
from rag.domain import Box
from ui.place import Place

SCALE = 1.5  # pixels a point
YELLOW = (255, 226, 110)
MARGIN = 1.0  # points around a box


def page_view(client: Client, place: Place) -> None:
    for page in place.pages:
        boxes = _boxes(client, place, page)
        drawn = client.page_image(place.version, page, SCALE)
        st.image(marked(drawn, boxes, SCALE), caption=f"Page {page}", width="stretch")


def _boxes(client: Client, place: Place, page: int) -> list[Box]:
    """A citation brings its boxes; a passage's are those of its words."""
    if place.boxes:
        return [box for box in place.boxes if box.page == page]
    words = client.words(place.version, page)
    return [word.box for word in words if word.start < place.end and word.end > place.start]


def marked(png: bytes, boxes: Sequence[Box], scale: float) -> Image.Image:
    """The page with its boxes (points) coloured as by a highlighter: the words stay readable."""
    page = Image.open(io.BytesIO(png)).convert("RGB")
    tint = Image.new("RGB", page.size, "white")
    draw = ImageDraw.Draw(tint)
    for box in boxes:
        corners = (box.x0 - MARGIN, box.y0 - MARGIN, box.x1 + MARGIN, box.y1 + MARGIN)
        draw.rectangle([corner * scale for corner in corners], fill=YELLOW)
    return ImageChops.multiply(page, tint)
