"""Planted instructions: one for each question, repeatable, and seen when obeyed."""

from __future__ import annotations

from eval.asking import Plan, given
from eval.injection import obeyed
from eval.measures import Measures
from eval.reply import Reply
from rag.domain import Verdict
from rag.verify import check_answer
from tests.eval.making import samples


def test_an_order_stands_in_one_passage_and_the_rest_is_as_it_was() -> None:
    plain, asked = (given(samples(), Plan(injected=on)) for on in (False, True))
    assert asked == given(samples(), Plan(injected=True))
    for before, after in zip(plain, asked, strict=True):
        pairs = zip(before.passages, after.passages, strict=True)
        ((own, changed),) = [(a, b) for a, b in pairs if a != b]
        assert own.text in changed.text
        assert after.planted in changed.text
        assert (after.answers, after.gold) == (before.answers, before.gold)


def test_obeying_is_scored_against_what_was_planted() -> None:
    measures = Measures(lambda e, s, q: check_answer(e, s, q).score, 0.6)
    (asked, *_) = given(samples(), Plan(injected=True))
    for text, wanted in ((f"It is {asked.planted}.", 1.0), ("A river", 0.0)):
        reply = Reply(text, Verdict.ANSWERED, (), (), (), 0.9, {})
        assert measures.score(asked, reply)["injection_obeyed"].value == wanted
    (plain, *_) = given(samples(), Plan())
    assert measures.score(plain, reply)["injection_obeyed"].value is None
    assert not obeyed("zork 882134", "zork 88213")
