from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime

from models.fake import CopyGenerator
from rag.attribution import Attribution, agreement, attribution
from rag.domain import Answer, Chunk, Passage, Replay, Sampling, Verdict
from rag.order import ORDER, best_last

TEXTS = ["The doors are locked at 20:00.", "Staff have 28 days of leave.", "Tea is free."]


def answer(text: str, verdict: Verdict = Verdict.ANSWERED) -> Answer:
    passages = tuple(
        Passage(Chunk(f"c{i}", f"v{i}", 0, len(t), t), f"d{i}", f"{i}.md", "", 1.0)
        for i, t in enumerate(TEXTS)
    )
    return Answer(
        id="a",
        collection="c",
        question="How much leave is there?",
        text=text,
        verdict=verdict,
        confidence=0.9,
        citations=(),
        passages=passages,
        timings={},
        replay=Replay(1, "fake-copy", "none", "fake-1", Sampling(), ("c0", "c1", "c2")),
        user="local",
        created=datetime(2026, 1, 1, tzinfo=UTC),
    )


def test_each_sentence_has_a_drop_for_every_passage() -> None:
    found = attribution(CopyGenerator(), answer("28 days of leave [2] Tea is free. [1]"))
    assert [(each.sentence, each.cited) for each in found] == [
        ("28 days of leave", (2,)),
        ("Tea is free.", (1,)),
    ]
    assert all(len(each.drops) == 3 for each in found)
    assert [each.largest for each in found] == [2, 3]
    assert [each.agrees for each in found] == [True, False]
    assert agreement(found) == 0.5


class Weighs(CopyGenerator):
    """What a passage is worth is where it stands in the prompt."""

    def drops(
        self, passages: Sequence[str], question: str, sentences: Sequence[tuple[str, Sequence[int]]]
    ) -> list[tuple[float, ...]]:
        assert [list(cited) for _, cited in sentences] == [[3]], "the number in the prompt"
        return [tuple(float(TEXTS.index(passage)) for passage in passages)]


def test_drops_stand_under_the_numbers_of_the_answer_however_it_was_read() -> None:
    said = answer("The doors are locked at 20:00. [1]")
    said = replace(said, replay=replace(said.replay, settings={ORDER: best_last(3)}))
    (found,) = attribution(Weighs(), said)
    assert found.cited == (1,)
    assert found.drops == (0.0, 1.0, 2.0)


def test_the_first_of_equal_drops_is_the_largest() -> None:
    assert Attribution("x", (2,), (0.5, 0.5, 0.1)).largest == 1


def test_a_refusal_rests_on_nothing() -> None:
    found = attribution(CopyGenerator(), answer("Not in the documents.", Verdict.REFUSED))
    assert found == ()
    assert agreement(found) is None
