"""Shuffling, distractors, removal: seeded, and never giving the answer away."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from eval import asking
from eval.asking import Plan
from eval.presenting import Presenter
from eval.samples import Sample, read
from eval.scorers.squad import normalise
from tests.eval.making import record, samples


@given(st.integers(0, 10**6), st.integers(0, 20))
def test_distractors_are_others_and_hold_no_answer(seed: int, n: int) -> None:
    every = samples()
    presenter = Presenter(every, seed)
    for sample in every:
        shown = presenter.present(sample, n)
        own = {p.id for p in sample.passages}
        ids = [p.id for p in shown.passages]
        added = [p for p in shown.passages if p.id not in own]
        assert own <= set(ids)
        assert len(set(ids)) == len(ids)
        assert len(added) == min(n, 14)  # all other passages of the file qualify
        for passage in added:
            assert not any(
                f" {normalise(a)} " in f" {normalise(passage.text)} " for a in sample.answers
            )


@given(st.integers(0, 10**6))
def test_what_is_drawn_depends_on_seed_and_id_only(seed: int) -> None:
    every = samples()
    forward = [Presenter(every, seed).present(s, 3) for s in every]
    presenter = Presenter(every, seed)
    backward = [presenter.present(s, 3) for s in reversed(every)]
    assert forward == backward[::-1]
    limited = asking.given(every, Plan(seed=seed, limit=3, distractors=3))
    assert limited == forward[:3]


def test_gold_stands_everywhere() -> None:
    every = samples()
    places = {Presenter(every, seed).present(every[0], 2).gold_position for seed in range(40)}
    assert places == {1, 2, 3, 4}


def test_the_same_document_comes_first() -> None:
    every = samples()
    north = {p.id for s in every if s.doc == "north" for p in s.passages}
    shown = Presenter(every, 1).present(every[0], 4)
    added = [p.id for p in shown.passages if not p.id.startswith("Aarau")]
    assert len(added) == 4
    assert set(added) <= north


def test_a_passage_with_the_answer_or_the_same_text_is_no_distractor() -> None:
    twin = record("Bonn", id="q-twin", passages=[
        {"id": "twin#0", "title": "", "text": record("Bonn")["passages"][0]["text"]},
        {"id": "twin#1", "title": "", "text": "They call it the Bonnwash, too."},
        {"id": "twin#2", "title": "", "text": record("Bonn")["passages"][1]["text"]},
        {"id": "twin#3", "title": "", "text": "Nothing of interest."},
    ], gold=["twin#0"], evidence=[])  # fmt: skip
    every = [read(record("Bonn")), read(twin)]
    shown = Presenter(every, 0).present(every[0], 10)
    assert {p.id for p in shown.passages} == {"Bonn#0", "Bonn#1", "twin#3"}


@given(st.integers(0, 10**6), st.integers(0, 3))
def test_removal_leaves_no_answer(seed: int, n: int) -> None:
    every = samples()
    presenter = Presenter(every, seed)
    for sample in every:
        shown = presenter.present(sample, n, remove_gold=True)
        assert not shown.answerable
        assert shown.answers == ()
        assert shown.gold_position is None
        assert len(shown.passages) == len(sample.passages) + n  # as many as without removal
        if sample.answerable:
            assert not {p.id for p in shown.passages} & set(sample.gold)
            assert all(sample.answers[0] not in p.text for p in shown.passages)


def test_removal_where_answers_cannot_be_looked_for_takes_other_documents() -> None:
    every = [
        read(record(id, kind="yesno", answers=["yes"], evidence=[], doc=doc))
        for id, doc in (("Bonn", "n"), ("Cork", "n"), ("Lund", "s"), ("Metz", "s"))
    ]
    shown = Presenter(every, 0).present(every[0], 0, remove_gold=True)
    assert {p.id[:4] for p in shown.passages} <= {"Lund", "Metz"}


def test_oracle_and_no_context() -> None:
    every = samples()
    presenter = Presenter(every, 0)
    assert [p.id for p in presenter.present(every[0], 3, "oracle").passages] == ["Aarau#0"]
    assert presenter.present(every[0], 3, "none").passages == ()


def test_limit_takes_the_first_and_spread_draws() -> None:
    every = samples()
    first = asking.chosen(every, Plan(limit=3))
    assert first == every[:3]
    drawn = {
        tuple(s.id for s in asking.chosen(every, Plan(seed=seed, limit=3, spread=True)))
        for seed in range(10)
    }
    assert len(drawn) > 1
    assert asking.chosen(every, Plan(limit=99)) == every


@pytest.mark.parametrize(
    ("most", "said"),
    [
        (4000, "user: b\nagent: c\nuser: d\nagent: e\nWhat is the river of Bonn?"),
        (40, "agent: e\nWhat is the river of Bonn?"),
        (5, "What is the river of Bonn?"),
    ],
)
def test_history_goes_before_the_question(most: int, said: str) -> None:
    lines = ["agent: a", "user: b", "agent: c", "user: d", "agent: e"]
    sample: Sample = read(record("Bonn", history=lines))
    shown = Presenter([sample], 0).present(sample)
    assert asking.question_of(shown, most) == said


def test_found_passages_come_in_the_order_of_the_search() -> None:
    every = samples()
    asked = asking.found(every, Plan(limit=1), lambda _: ["Oslo#1", "Aarau#0", "Bonn#0"], 2)
    assert [p.id for p in asked[0].passages] == ["Oslo#1", "Aarau#0"]
    assert asked[0].gold_position == 2
