"""Chunks are exact spans, in order, within the budget, and nothing but blanks is lost."""

from __future__ import annotations

import re
from itertools import pairwise

from hypothesis import example, given, settings
from hypothesis import strategies as st

from ingestion.chunk import chunk, indexed_text
from ingestion.limits import Limits
from ingestion.parse.markdown import parse_markdown
from ingestion.parse.transcript import Transcript
from ingestion.pieces import pieces
from rag.domain import BlockKind, Chunk, Parsed, chunk_id


def count(text: str) -> int:
    """Words and marks; stands in for a tokenizer, whose count also grows with the text."""
    return len(re.findall(r"\w{1,6}|[^\w\s]", text))


def cut(parsed: Parsed, budget: int = 40, max_tokens: int = 256, overlap: int = 0) -> list[Chunk]:
    return chunk(parsed.text, parsed.blocks, "v1", parsed.title, count, budget, max_tokens, overlap)


def markdown(source: str) -> Parsed:
    return parse_markdown(source.encode(), Limits())


BODY = st.text(st.sampled_from("abcdefgh .,;!?\n-äß漢字。  \t"), min_size=1, max_size=400)
KINDS = st.sampled_from([BlockKind.PARAGRAPH, BlockKind.LIST, BlockKind.TABLE, BlockKind.HEADING])


@st.composite
def documents(draw: st.DrawFn) -> Parsed:
    transcript = Transcript(Limits())
    transcript.add(BlockKind.PARAGRAPH, "x")
    for kind, text, level in draw(st.lists(st.tuples(KINDS, BODY, st.integers(1, 4)), max_size=12)):
        short = text[:60].replace("\n", " ") if kind is BlockKind.HEADING else text
        transcript.add(kind, short, level=level if kind is BlockKind.HEADING else 0)
    return transcript.finish("text/plain")


@given(documents(), st.integers(16, 60), st.integers(20, 90), st.sampled_from((0, 0, 6, 20)))
@settings(max_examples=200, deadline=None)
def test_chunks_are_exact_ordered_within_budget_and_complete(
    parsed: Parsed, budget: int, max_tokens: int, overlap: int
) -> None:
    chunks = cut(parsed, budget, max_tokens, overlap)
    at = 0
    covered = [False] * len(parsed.text)
    for each in chunks:
        assert each.text == parsed.text[each.start : each.end]
        assert each.id == chunk_id("v1", each.start, each.end)
        assert at <= each.start or count(parsed.text[each.start : at]) <= overlap
        assert each.text == each.text.strip() != ""
        assert count(each.text) <= budget
        at = each.end
        covered[each.start : each.end] = [True] * (each.end - each.start)
    said = {name for each in chunks for name in each.heading_path}
    for block in parsed.blocks:
        missing = "".join(
            parsed.text[i] for i in range(block.start, block.end) if not covered[i]
        ).strip()
        if missing and block.kind is BlockKind.HEADING:
            assert " ".join(parsed.text[block.start : block.end].split()) in said
        else:
            assert not missing


@given(BODY, st.integers(1, 30))
@example("a" * 300, 2)
@settings(max_examples=150, deadline=None)
def test_pieces_cover_the_text(text: str, limit: int) -> None:
    def fits(start: int, end: int) -> bool:
        return count(text[start:end]) <= limit

    spans = list(pieces(text, 0, len(text), fits))
    kept = "".join(text[start:end] for start, end in spans)
    assert "".join(kept.split()) == "".join(text.split())
    assert all(fits(start, end) or end - start == 1 for start, end in spans)
    assert all(a[1] <= b[0] for a, b in pairwise(spans))


def test_headings_open_their_section_and_travel_as_path() -> None:
    long = " ".join(f"Sentence number {n} says something." for n in range(30))
    parsed = markdown(f"# Handbook\n\n## Leave\n\n{long}\n\n## Pay\n\nWages come on the 25th.\n")
    chunks = cut(parsed)
    assert chunks[0].text.startswith("Leave\n\nSentence number 0")
    assert {each.heading_path for each in chunks[:-1]} == {("Handbook", "Leave")}
    assert chunks[1].text.startswith("Sentence number")
    assert all(each.text.endswith(".") for each in chunks)
    assert chunks[-1].heading_path == ("Handbook", "Pay")


def test_a_cut_section_goes_on_with_the_last_sentences_before() -> None:
    parsed = markdown("# A\n\n" + " ".join(f"Sentence number {n} says it." for n in range(30)))
    chunks = cut(parsed, 40, overlap=14)
    for one, other in pairwise(chunks):
        shared = parsed.text[other.start : one.end]
        assert shared.count("Sentence") == 2
        assert other.text.startswith(shared)
    assert not any(one.end > other.start for one, other in pairwise(cut(parsed, 40)))


def test_a_heading_starts_without_what_came_before() -> None:
    long = " ".join(f"Sentence number {n} says it." for n in range(9))
    parsed = markdown(f"## Leave\n\n{long}\n\n## Pay\n\n{long}\n")
    starts = [each.text for each in cut(parsed, 40, overlap=14) if "Pay" in each.text]
    assert starts
    assert starts[0].startswith("Pay")


def test_small_neighbours_are_joined() -> None:
    parsed = markdown("# Office\n\n## Keys\n\nAt the desk.\n\n## Post\n\nComes at nine.\n")
    (only,) = cut(parsed)
    assert only.text == "Office\n\nKeys\n\nAt the desk.\n\nPost\n\nComes at nine."
    assert only.heading_path == ("Office",)


def test_indexed_text_says_nothing_twice() -> None:
    first = Chunk("i", "v", 0, 5, "Leave\n\n27 days.", ("Handbook", "Leave"))
    later = Chunk("i", "v", 0, 5, "More days.", ("Handbook", "Leave"))
    assert indexed_text("Handbook", first) == "Handbook\nLeave\n\n27 days."
    assert indexed_text("Handbook", later) == "Handbook\nLeave\nMore days."
    assert indexed_text("Price list", later) == "Price list\nHandbook\nLeave\nMore days."


def test_long_headings_leave_room() -> None:
    heading = "very long heading " * 20
    parsed = markdown(f"# {heading}\n\n" + "word " * 200)
    assert all(count(each.text) <= 40 for each in cut(parsed, 40, 60))


def test_rows_of_a_long_table_stay_whole() -> None:
    rows = "\n".join(f"| item {n} | {n} euros | in stock |" for n in range(60))
    parsed = markdown(f"| Item | Price | State |\n|---|---|---|\n{rows}\n")
    lines = [line for each in cut(parsed) for line in each.text.split("\n")]
    assert lines == [f"Item: item {n}; Price: {n} euros; State: in stock" for n in range(60)]
