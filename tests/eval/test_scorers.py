"""Hand-checked values and bounds of every scorer."""

from __future__ import annotations

import math
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from eval.scorers import citation, confidence, groundedness, latency, overlap, refusal, squad
from eval.scorers.citation import CitedSentence, Shown
from eval.scorers.correctness import right

WORDS = st.lists(st.sampled_from(["the", "cat", "sat", "12", "on", "mat", "dog", "."]), max_size=8)
TEXTS = WORDS.map(" ".join)


# --- SQuAD --------------------------------------------------------------------------------------


def test_normalising_is_squads() -> None:
    assert squad.normalise("The  Cat's, (an) Apple-pie!") == "cats applepie"
    assert squad.normalise("theatre a-b U.S.") == "theatre ab us"


@pytest.mark.parametrize(
    ("answer", "golds", "exact", "f1"),
    [
        ("The Cat", ["cat"], 1.0, 1.0),
        ("the cat sat", ["cat"], 0.0, 2 / 3),  # tokens cat, sat against cat: p 1/2, r 1
        ("cat cat dog", ["cat dog dog"], 0.0, 2 / 3),  # multiset overlap 2 of 3 and 3
        ("dog", ["cat", "dog"], 1.0, 1.0),
        ("", [], 1.0, 1.0),
        ("cat", [], 0.0, 0.0),
        ("", ["cat"], 0.0, 0.0),
        ("the", [], 1.0, 1.0),  # normalises to nothing
    ],
)
def test_exact_match_and_f1(answer: str, golds: list[str], exact: float, f1: float) -> None:
    assert squad.exact_match(answer, golds) == exact
    assert squad.f1(answer, golds) == pytest.approx(f1)


def test_contains_is_by_whole_words() -> None:
    assert squad.contains("They have 27 days of leave.", ["27 days"]) == 1.0
    assert squad.contains("They have 127 days of leave.", ["27 days"]) == 0.0
    assert squad.contains("", []) == 1.0
    assert squad.contains("something", []) == 0.0


@given(TEXTS, st.lists(TEXTS, max_size=3))
def test_f1_is_bounded_and_at_least_exact_match(answer: str, golds: list[str]) -> None:
    assert 0 <= squad.exact_match(answer, golds) <= squad.f1(answer, golds) <= 1


@given(TEXTS, TEXTS)
def test_f1_is_symmetric(one: str, other: str) -> None:
    assert squad.f1(one, [other]) == pytest.approx(squad.f1(other, [one]))


def test_right_depends_on_the_kind() -> None:
    assert right("Yes, it does.", ["yes"], "yesno")
    assert not right("It says yes.", ["yes"], "yesno")
    assert right("It was 12,300 thousand.", ["$12.3 million"], "number")
    assert right("It is 5,798.", ["5,798"], "number", "thousand")
    assert right("He was born in Paris in 1832.", ["Paris"], "span")
    assert not right("He was born in Rome.", ["Paris"], "span")
    with pytest.raises(ValueError, match="no gold"):
        right("anything", [], "span")


# --- overlap ------------------------------------------------------------------------------------


def test_k_precision_counts_tokens() -> None:
    assert overlap.k_precision("a cat sat sat", ["The cat sat."]) == pytest.approx(2 / 3)
    assert overlap.k_precision("the", ["cat"]) is None


def test_content_precision_stems_and_ignores_function_words() -> None:
    assert overlap.content_precision("Employees were paid", ["An employee; payment, paid"]) == 1.0
    assert overlap.content_precision("She is not paid", ["paid"]) == pytest.approx(0.5)  # not
    assert overlap.content_precision("they are", ["anything"]) is None


@given(TEXTS, st.lists(TEXTS, max_size=3))
def test_overlap_is_bounded_and_full_on_the_text_itself(answer: str, passages: list[str]) -> None:
    for measure in (overlap.k_precision, overlap.content_precision):
        value = measure(answer, passages)
        assert value is None or 0 <= value <= 1
        assert measure(answer, [*passages, answer]) in (None, 1.0)


# --- citations ----------------------------------------------------------------------------------

PASSAGES = {
    "a": Shown("Leave", "Staff have 27 days."),
    "b": Shown("Notice", "Notice is one week."),
    "c": Shown("", "Lunch is free."),
}


def entail(premise: str, hypothesis: str) -> float:
    """All its words stand in the premise."""
    return float(set(squad.tokens(hypothesis)) <= set(squad.tokens(premise)))


def test_citations_against_gold() -> None:
    assert citation.gold_precision(["a", "b", "a"], ["a"]) == 0.5
    assert citation.gold_recall(["a", "b"], ["a", "c"]) == 0.5
    assert citation.gold_hit(["a"], ["a", "c"]) == 1.0
    assert citation.gold_precision([], ["a"]) == 0.0
    assert citation.gold_precision(["a"], []) is None
    assert citation.gold_recall(["a"], []) is None


def test_coverage() -> None:
    said = [CitedSentence("One.", ("a",)), CitedSentence("Two.", ())]
    assert citation.coverage(said) == 0.5
    assert citation.coverage([]) is None


def test_alce_recall() -> None:
    said = [
        CitedSentence("27 days", ("a",)),  # entailed
        CitedSentence("27 days notice week", ("a", "b")),  # entailed by both together
        CitedSentence("27 days", ("b",)),  # not entailed
        CitedSentence("27 days", ()),  # uncited
        CitedSentence("27 days", ("a", "gone")),  # out of range
    ]
    assert citation.alce_recall(said, PASSAGES, entail) == pytest.approx(2 / 5)
    assert citation.alce_recall([], PASSAGES, entail) is None


def test_alce_precision() -> None:
    def precision(*said: CitedSentence) -> float | None:
        return citation.alce_precision(said, PASSAGES, entail)

    assert precision(CitedSentence("27 days", ("a",))) == 1.0
    # c alone does not entail and a still does without it: c does not count
    assert precision(CitedSentence("27 days", ("a", "c"))) == 0.5
    # neither alone entails, both are needed: both count
    assert precision(CitedSentence("27 days notice week", ("a", "b"))) == 1.0
    # a sentence that is not entailed gives nothing
    assert precision(CitedSentence("27 years", ("a", "b"))) == 0.0
    assert precision(CitedSentence("27 days", ())) == 0.0
    # the sum is over citations, not sentences
    both = (CitedSentence("27 days", ("a", "c")), CitedSentence("free", ("c",)))
    assert precision(*both) == pytest.approx(2 / 3)


def test_alce_reads_the_title_and_the_first_three_markers() -> None:
    assert citation.alce_recall([CitedSentence("title leave", ("a",))], PASSAGES, entail) == 1.0
    many = {str(i): Shown("", f"w{i}") for i in range(5)}
    late = [CitedSentence("w4", ("0", "1", "2", "4"))]
    assert citation.alce_recall(late, many, entail) == 0.0


def test_groundedness() -> None:
    said = ["27 days", "nothing of the kind"]
    passages = [shown.text for shown in PASSAGES.values()]
    assert groundedness.sentence_support(said, passages, entail) == 0.5
    assert groundedness.grounded_share(said, passages, entail, 0.6) == 0.5
    assert groundedness.sentence_support(said, [], entail) == 0.0
    with pytest.raises(ValueError, match="no sentence"):
        groundedness.sentence_support([], passages, entail)


# --- refusals, confidence, latency --------------------------------------------------------------


def test_refusals_are_counted_apart() -> None:
    # four questions: (refused, answerable)
    rows = [(True, False), (True, True), (False, False), (False, True)]
    precision = [refusal.refusal_precision(*row) for row in rows]
    recall = [refusal.refusal_recall(*row) for row in rows]
    assert precision == [1.0, 0.0, None, None]
    assert recall == [1.0, None, 0.0, None]
    assert refusal.wrong_answer(True, right=False) is None
    assert refusal.wrong_answer(False, right=False) == 1.0


def test_risk_coverage_by_hand() -> None:
    points = confidence.risk_coverage([0.9, 0.8, 0.7, 0.6], [True, False, True, False])
    assert [p.coverage for p in points] == [0.25, 0.5, 0.75, 1.0]
    assert [p.risk for p in points] == pytest.approx([0, 1 / 2, 1 / 3, 1 / 2])
    area = confidence.aurc([0.9, 0.8, 0.7, 0.6], [True, False, True, False])
    assert area == pytest.approx((0 + 1 / 2 + 1 / 3 + 1 / 2) / 4)
    assert confidence.aurc([], []) is None


def test_equal_confidences_have_no_order() -> None:
    assert confidence.aurc([0.5, 0.5], [True, False]) == pytest.approx(0.5)
    assert confidence.aurc([0.5, 0.5], [False, True]) == pytest.approx(0.5)


def test_ece_by_hand() -> None:
    # bins of 0.1: {0.95, 0.95} accuracy 0.5, gap 0.45; {0.25} accuracy 0, gap 0.25
    found = confidence.ece([0.95, 0.95, 0.25], [True, False, False])
    assert found == pytest.approx((2 * 0.45 + 0.25) / 3)
    assert confidence.ece([1.0, 0.0], [True, False]) == 0.0
    assert confidence.ece([], []) is None
    with pytest.raises(ValueError, match="outside"):
        confidence.ece([1.1], [True])


JUDGED = st.lists(st.tuples(st.floats(0, 1), st.booleans()), min_size=1, max_size=40)


@given(JUDGED, st.randoms(use_true_random=False))
def test_confidence_measures_are_bounded_and_do_not_depend_on_order(
    rows: list[tuple[float, bool]], rng: random.Random
) -> None:
    mixed = rng.sample(rows, len(rows))
    for measure in (confidence.aurc, confidence.ece):
        value = measure([c for c, _ in rows], [ok for _, ok in rows])
        again = measure([c for c, _ in mixed], [ok for _, ok in mixed])
        assert value is not None
        assert 0 <= value <= 1
        assert value == pytest.approx(again)
    last = confidence.risk_coverage([c for c, _ in rows], [ok for _, ok in rows])[-1]
    assert last.risk == pytest.approx(sum(not ok for _, ok in rows) / len(rows))


def test_percentiles() -> None:
    found = latency.percentiles([4.0, 1.0, 3.0, 2.0])
    assert found["p50"] == 2.5
    assert found["mean"] == 2.5
    assert found["n"] == 4
    assert latency.percentiles([]) == {}
    stages = latency.by_stage([{"generate": 2.0, "total": 3.0}, {"total": 1.0}])
    assert stages["generate"]["n"] == 1
    assert stages["total"]["p50"] == 2.0
    assert math.isclose(stages["total"]["p95"], 2.9)
