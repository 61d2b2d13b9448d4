"""What the pages do with words: taken apart, made harmless, marked, counted."""

from __future__ import annotations

import html
import io
from datetime import UTC, datetime

from hypothesis import given
from hypothesis import strategies as st
from markdown_it import MarkdownIt
from PIL import Image

from rag.domain import Answer, Box, Citation, Replay, Said, Sampling, Verdict
from rag.views import Extract
from ui.moments import counted, seconds, size
from ui.page_view import YELLOW, marked
from ui.sentences import said_in, words
from ui.source_view import highlighted
from ui.untrusted import label

plain = st.text(st.characters(codec="utf-8", exclude_categories=["C", "Z"]), min_size=1)
markers = st.lists(st.integers(1, 9), min_size=1, max_size=3, unique=True)


def citation(sentence: int, marker: int) -> Citation:
    return Citation(sentence, marker, "c", "d", "n", "v", 0, 1, "q", 1.0)


def answer(said: list[Said]) -> Answer:
    return Answer(
        id="a",
        collection="c",
        question="?",
        text=" ".join(each.text for each in said),
        verdict=Verdict.ANSWERED,
        confidence=1.0,
        citations=tuple(c for each in said for c in each.citations),
        passages=(),
        timings={},
        replay=Replay(1, "m", "a", "p", Sampling(), ()),
        user="u",
        created=datetime.now(UTC),
    )


@given(st.lists(st.tuples(plain, markers), min_size=1, max_size=5))
def test_an_answer_falls_into_what_was_said(parts: list[tuple[str, list[int]]]) -> None:
    said = []
    for number, (text, cited) in enumerate(parts):
        citations = tuple(citation(number, marker) for marker in cited)
        said.append(Said(text + " " + "".join(f"[{m}]" for m in cited), citations))
    found = said_in(answer(said))
    assert found == said
    assert [words(each) for each in found] == [text for text, _ in parts]


def test_a_refusal_says_no_sentence() -> None:
    assert said_in(answer([])) == []


@given(st.text(st.characters(codec="utf-8", exclude_categories=["Cc"])))
def test_markdown_reads_a_label_as_itself(text: str) -> None:
    read = MarkdownIt("commonmark").renderInline(label(text))
    assert html.unescape(read) == " ".join(text.split())


@given(st.text(), st.text(), st.text())
def test_exactly_the_quote_is_marked(before: str, quote: str, after: str) -> None:
    text = before + quote + after
    extract = Extract(
        "v", "d", "n", 0, len(text), text, len(before), len(before + quote), len(text)
    )
    shown = highlighted(extract)
    assert shown.count("<mark>") == 1
    inside = shown[shown.index("<mark>") + 6 : shown.index("</mark>")]
    assert html.unescape(inside) == html.unescape(html.escape(quote)) == quote


def test_a_box_is_coloured_and_the_rest_is_not() -> None:
    page = io.BytesIO()
    Image.new("RGB", (200, 100), "white").save(page, "PNG")
    shown = marked(page.getvalue(), [Box(1, 10, 20, 30, 40)], scale=2.0)
    assert shown.getpixel((40, 60)) == YELLOW
    assert shown.getpixel((100, 60)) == (255, 255, 255)


def test_numbers_for_reading() -> None:
    assert [size(0), size(999), size(1500), size(2_000_000)] == ["0 B", "999 B", "2 kB", "2 MB"]
    assert [counted(1, "page"), counted(1200, "page")] == ["1 page", "1,200 pages"]
    assert [seconds(0.0123), seconds(2.34)] == ["12 ms", "2.3 s"]
