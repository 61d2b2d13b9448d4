from __future__ import annotations

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from rag.sentences import closed, marked_sentences, units


def cut(text: str) -> list[str]:
    return [text[a:b] for a, b in units(text)]


def test_sentences_and_lines_are_units() -> None:
    assert cut("Leave is 28 days. It is paid.\nMeals: 45 euros") == [
        "Leave is 28 days.",
        "It is paid.",
        "Meals: 45 euros",
    ]


def test_abbreviations_and_decimals_do_not_end_a_sentence() -> None:
    assert cut("Dr. Weber pays 1.50 euros, e.g. for tea. Not more.") == [
        "Dr. Weber pays 1.50 euros, e.g. for tea.",
        "Not more.",
    ]


@given(st.text(alphabet="ab .!?\n\u00e9[]1", max_size=80))
def test_units_cover_every_visible_character_once(text: str) -> None:
    spans = units(text)
    assert all(a < b for a, b in spans)
    assert all(x[1] <= y[0] for x, y in pairwise(spans))
    kept = "".join(text[a:b] for a, b in spans)
    assert "".join(kept.split()) == "".join(text.split())


def test_markers_belong_to_the_sentence_before_them() -> None:
    text = "Leave is 28 days [2]. Meals cost 45 euros [1][3] Nothing else."
    assert marked_sentences(text, 3) == [
        ("Leave is 28 days", (2,)),
        ("Meals cost 45 euros", (1, 3)),
        ("Nothing else.", ()),
    ]


def test_a_sentence_before_the_marked_one_stays_unmarked() -> None:
    assert marked_sentences("It rains. It pours. [1]", 1) == [
        ("It rains.", ()),
        ("It pours.", (1,)),
    ]


def test_a_marker_of_no_passage_is_text() -> None:
    assert marked_sentences("See rule [7].", 3) == [("See rule [7].", ())]


@given(st.lists(st.sampled_from(["It rains", ". ", " [1]", "[2]", " [", "9", "]", "\n", "Yes"])))
def test_what_is_closed_stays_as_it_is(pieces: list[str]) -> None:
    shown: list[tuple[str, tuple[int, ...]]] = []
    text = ""
    for piece in pieces:
        text += piece
        found = marked_sentences(closed(text, 2), 2)
        assert found[: len(shown)] == shown
        shown = found
    assert marked_sentences(text, 2)[: len(shown)] == shown
