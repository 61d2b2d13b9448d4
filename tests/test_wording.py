from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rag.analyse import analyse
from rag.wording import Wording, wording

QUESTION = "What does a late fee cost?"
DOCS = Path(__file__).parent.parent / "docs"


def of(question: str, texts: Mapping[str, str]) -> Wording:
    return wording(question, {chunk: analyse(text) for chunk, text in texts.items()})


def beside(question: str, *texts: str) -> list[float]:
    return list(of(question, dict(zip("abcdef", texts, strict=False))).beside.values())


def test_side_by_side_by_hand() -> None:
    first, second, third = beside(
        QUESTION, "The late fees cost a lot.", "Fees are late, they cost.", "Late fee, late fee."
    )
    rare, common = 0.9808 / 2.0794, 0.4700 / 2.0794  # of three texts, held by one and by two
    assert first == pytest.approx((common / 2.2 + rare / 2.2) / 2, abs=1e-3)
    assert second == 0, "the words are there, but not side by side"
    assert third == pytest.approx((common * 2 / 3.2) / 2, abs=1e-3)


def test_stop_words_between_do_not_part_a_pair() -> None:
    near, turned = beside("leave of absence", "a leave for an absence", "absence, leave")
    assert near > turned == 0


def test_what_is_covered_is_what_the_best_candidate_holds() -> None:
    texts = {"a": "A late arrival.", "b": "The fee is late.", "c": "Nothing of it."}
    rare = 1.0 + 0.9808 / 2.0794 + 0.4700 / 2.0794  # cost in none, fee in one, late in two
    assert of(QUESTION, texts).covered == pytest.approx(1 - 1 / rare, abs=1e-3)
    assert of("late fee", texts).covered == 1
    assert of("quarantine", texts).covered == 0


@pytest.mark.parametrize("question", ["fee", "fee fee"])
def test_without_a_pair_nothing_stands_side_by_side(question: str) -> None:
    assert beside(question, "fee fee", "") == [0.0, 0.0]


def test_without_words_or_candidates_nothing_is_said() -> None:
    assert of("of the", {"a": "of the"}) == of(QUESTION, {}) == Wording()


@given(st.text("ab ", max_size=12), st.lists(st.text("ab ", max_size=20), max_size=5))
def test_between_none_and_all(question: str, texts: list[str]) -> None:
    found = of(question, dict(zip("abcde", texts, strict=False)))
    assert all(0 <= score < 1 for score in found.beside.values())
    assert 0 <= found.covered <= 1 + 1e-9


def plainly(question: str, texts: Mapping[str, str]) -> Wording:
    """What it is by definition, word by word, with nothing left out or kept."""
    asked = analyse(question)
    pairs = {pair for pair in pairwise(asked) if pair[0] != pair[1]}

    def idf(holding: int) -> float:
        return math.log(1 + (len(texts) - holding + 0.5) / (holding + 0.5))

    def words(text: str) -> Counter[object]:
        return Counter([*analyse(text), *pairwise(analyse(text))])

    held = {chunk: words(text) for chunk, text in texts.items()}
    rarity = {
        each: idf(sum(each in count for count in held.values())) / idf(0)
        for each in (*set(asked), *pairs)
    }
    whole = math.fsum(rarity[term] for term in set(asked))
    return Wording(
        max(math.fsum(rarity[t] for t in set(asked) if t in count) for count in held.values())
        / whole,
        {
            chunk: math.fsum(rarity[pair] * count[pair] / (count[pair] + 1.2) for pair in pairs)
            / max(1, len(pairs))
            for chunk, count in held.items()
        },
    )


def test_real_text_stands_as_it_does_by_definition() -> None:
    """The paragraphs of this repository's pages, asked by the first words of each of them."""
    pages = [page.read_text("utf-8") for page in sorted(DOCS.glob("*.md"))]
    paragraphs = [each for page in pages for each in page.split("\n\n") if len(each) > 200]
    assert len(paragraphs) > 200
    lifted = 0
    for at in range(0, len(paragraphs) - 60, 7):
        texts = {str(n): text for n, text in enumerate(paragraphs[at : at + 60])}
        question = " ".join(paragraphs[at].split()[:12])
        if analyse(question):
            found = of(question, texts)
            assert found == plainly(question, texts)
            lifted += sum(score > 0 for score in found.beside.values())
    assert lifted > 40
