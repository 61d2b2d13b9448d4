"""A place in a document as HTML: the structure around it, exactly its span marked, nothing else
interpreted."""

from __future__ import annotations

import io
import re
from html import unescape

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from ingestion.parse import parse
from rag.api.page_image import draw, has_pages
from rag.api.rendering import rendering
from rag.client import Client
from rag.errors import BadInput, UnreadableDocument
from tests.api.house import OPEN, House

TAGS = {"article", "h1", "p", "mark", "br", "table", "tbody", "tr", "td"}
SOURCE = b"""# Prices

All prices include <b>tax</b> & more.

- one
- two <script>alert(1)</script>

| Plan | Price |
|---|---|
| Basic | 10 |
"""


def marked(html: str) -> str:
    return unescape("".join(re.findall(r"<mark>(.*?)</mark>", html, re.DOTALL)))


def test_structure_and_mark() -> None:
    parsed = parse(SOURCE, "prices.md")
    start = parsed.text.index("two")
    html = rendering(parsed.text, parsed.blocks, start, start + 3, 4000)
    assert "<h1>Prices</h1>" in html
    assert '<p class="list">- one<br>- <mark>two</mark>' in html
    assert "<tr><td>Plan: Basic; Price: 10</td></tr>" in html


@settings(deadline=None)
@given(st.text(max_size=200), st.data())
def test_the_mark_holds_the_span_and_nothing_is_markup(words: str, data: st.DataObject) -> None:
    try:
        parsed = parse(f"# Head\n\n<>&\"' {words}\n\nthe end".encode(errors="replace"), "a.md")
    except UnreadableDocument:
        return
    text = parsed.text
    start = data.draw(st.integers(0, len(text)))
    end = data.draw(st.integers(start, len(text)))
    html = rendering(text, parsed.blocks, start, end, 100)
    assert "".join(marked(html).split()) == "".join(text[start:end].split())
    assert set(re.findall(r"</?(\w+)", html)) <= TAGS


def test_only_what_is_near_is_shown() -> None:
    text = "\n\n".join(f"Paragraph number {n}." for n in range(100))
    parsed = parse(text.encode(), "a.txt")
    start = parsed.text.index("number 50")
    html = rendering(parsed.text, parsed.blocks, start, start + 9, 60)
    assert "number 50" in html
    assert "number 49" in html
    assert "number 40" not in html


def test_through_the_api(local: Client, house: House) -> None:
    assert house.open.version is not None
    html = local.rendering(house.open.version, 0, 5)
    assert marked(html) == OPEN[:5]
    with pytest.raises(BadInput, match="span"):
        local.rendering(house.open.version, 0, 10**6)


def test_pictures_are_pages_too() -> None:
    out = io.BytesIO()
    Image.new("RGB", (300, 100), "white").save(out, "JPEG", dpi=(144, 144))
    assert has_pages("image/jpeg")
    assert not has_pages("text/html")
    drawn = Image.open(io.BytesIO(draw(out.getvalue(), 1, 2.0)))
    assert drawn.size == (300, 100)  # 150 points wide, two pixels a point
    with pytest.raises(UnreadableDocument, match="no page 2"):
        draw(out.getvalue(), 2, 1.0)
