from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rag.analyse import analyse
from rag.wording import BESIDE, CLOSE, HELD, NEAR, Wording, wording

QUESTION = "What does a late fee cost?"
DOCS = Path(__file__).parent.parent / "docs"


def standing(question: str, *texts: str) -> list[float]:
    held = {name: analyse(text) for name, text in zip("abcdef", texts, strict=False)}
    return list(wording(question, held).standing.values())


def test_by_hand() -> None:
    late_fee_cost, turned, twice = standing(
        QUESTION, "The late fees cost a lot.", "Fees are late, they cost.", "Late fee, late fee."
    )
    # Of three texts: late and fee in all, cost in two; the pair late fee in two, fee cost in one.
    everywhere, two, one = 0.1335 / 2.0794, 0.4700 / 2.0794, 0.9808 / 2.0794
    whole = 2 * everywhere + two
    assert late_fee_cost == pytest.approx(
        HELD + CLOSE + NEAR + BESIDE * (two / 2.2 + one / 2.2) / 2, abs=1e-3
    )
    assert turned == pytest.approx(HELD + CLOSE + NEAR, abs=1e-3), "near, but not side by side"
    share = 2 * everywhere / whole
    assert twice == pytest.approx(
        (HELD + CLOSE) * share + NEAR / 2 + BESIDE * (two * 2 / 3.2) / 2, abs=1e-3
    )


def test_words_that_stand_together_count_more_than_words_that_are_strewn() -> None:
    between = "nothing here speaks about such matters anywhere " * 4
    together, strewn = standing(
        "parental leave policy",
        f"parental and other policy about leave {between}",
        f"parental {between} leave {between} policy",
    )
    assert together == pytest.approx(HELD + CLOSE + NEAR)
    assert strewn < HELD + 0.7 * CLOSE


def test_stop_words_between_do_not_part_a_pair() -> None:
    near, turned = standing("leave of absence", "a leave for an absence", "absence, leave")
    assert near > turned == pytest.approx(HELD + CLOSE + NEAR)


def test_what_is_covered_is_what_the_best_candidate_holds() -> None:
    texts = {"a": "A late arrival.", "b": "The fee is late.", "c": "Nothing of it."}
    held = {name: analyse(text) for name, text in texts.items()}
    rare = 1.0 + 0.9808 / 2.0794 + 0.4700 / 2.0794  # cost in none, fee in one, late in two
    assert wording(QUESTION, held).covered == pytest.approx(1 - 1 / rare, abs=1e-3)
    assert wording("late fee", held).covered == 1
    assert wording("quarantine", held).covered == 0


@pytest.mark.parametrize("question", ["fee", "fee fee"])
def test_without_a_pair_only_the_words_themselves_count(question: str) -> None:
    assert standing(question, "fee fee", "") == [pytest.approx(HELD + CLOSE), 0.0]


def test_without_words_or_candidates_nothing_is_said() -> None:
    assert wording("of the", {"a": ["word"]}) == wording(QUESTION, {}) == Wording()


@given(st.text("ab ", max_size=12), st.lists(st.text("ab ", max_size=20), max_size=5))
def test_between_none_and_all(question: str, texts: list[str]) -> None:
    held = {name: text.split() for name, text in zip("abcde", texts, strict=False)}
    found = wording(question, held)
    assert all(0 <= score < HELD + CLOSE + NEAR + BESIDE for score in found.standing.values())
    assert 0 <= found.covered <= 1 + 1e-9


def plainly(question: str, held: Mapping[str, Sequence[str]]) -> Wording:
    """What it is by definition, every window and every pair of places by itself."""
    asked = analyse(question)
    pairs = {pair for pair in pairwise(asked) if pair[0] != pair[1]}

    def idf(holding: int) -> float:
        return math.log(1 + (len(held) - holding + 0.5) / (holding + 0.5))

    def rarity(holding: Iterable[bool]) -> float:
        return idf(sum(holding)) / idf(0)

    rare = {term: rarity(term in words for words in held.values()) for term in asked}
    rare_pair = {pair: rarity(pair in pairwise(words) for words in held.values()) for pair in pairs}
    whole = math.fsum(rare.values())

    def share(words: Sequence[str]) -> float:
        return math.fsum(rare[term] for term in {*asked} if term in words) / whole

    def together(a: str, b: str, words: Sequence[str]) -> bool:
        places = [(i, j) for i in range(len(words)) for j in range(max(0, i - 4), i + 5)]
        return any((words[i], words[j : j + 1]) == (a, [b]) for i, j in places)

    def standing(words: Sequence[str]) -> float:
        words = list(words)
        windows = [words[at : at + 16] for at in range(max(1, len(words) - 15))]
        count = Counter(pairwise(words))
        beside = math.fsum(rare_pair[pair] * count[pair] / (count[pair] + 1.2) for pair in pairs)
        near = sum(together(*pair, words) for pair in pairs)
        of = max(1, len(pairs))
        closest = max(map(share, windows), default=0.0)
        return HELD * share(words) + CLOSE * closest + (NEAR * near + BESIDE * beside) / of

    return Wording(max(map(share, held.values())), {c: standing(w) for c, w in held.items()})


def test_real_text_stands_as_it_does_by_definition() -> None:
    """The paragraphs of this repository's pages, asked by the first words of some of them."""
    pages = [page.read_text("utf-8") for page in sorted(DOCS.glob("*.md"))]
    paragraphs = [each for page in pages for each in page.split("\n\n") if len(each) > 200]
    assert len(paragraphs) > 200
    asked = 0
    for at in range(0, len(paragraphs) - 30, 17):
        held = {str(n): analyse(text) for n, text in enumerate(paragraphs[at : at + 30])}
        question = " ".join(paragraphs[at].split()[:12])
        if len(analyse(question)) > 1:
            found, plain = wording(question, held), plainly(question, held)
            assert found.standing == pytest.approx(plain.standing)
            assert found.covered == pytest.approx(plain.covered)
            asked += 1
    assert asked > 10
