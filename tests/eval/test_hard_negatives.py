from __future__ import annotations

from dataclasses import replace

from eval.hard_negatives import Share, draw, mine
from eval.samples import Given, Sample
from models.fake import HashEmbedder

TOWNS = [f"Town{i}" for i in range(40)]


def sample(i: int, question: str = "", passages: tuple[Given, ...] = ()) -> Sample:
    town = TOWNS[i]
    own = Given(f"p{i}", town, f"The old bridge of {town} was built by mason{i:02} of stone.")
    return Sample(
        id=f"s{i}",
        dataset="towns",
        question=question or f"Who built the old bridge of {town}?",
        history=(),
        passages=(own, *passages),
        gold=(own.id,),
        answers=(f"mason{i:02}",),
        evidence=(),
        answerable=True,
        kind="span",
        doc=f"d{i}",
        meta={},
    )


SAMPLES = [sample(i) for i in range(40)]


def test_questions_of_held_out_documents_are_not_trained_on() -> None:
    found = draw(SAMPLES, Share(30))
    assert len(found.trained) == 30
    assert found.held
    assert not {s.doc for s in found.trained} & {s.doc for s in found.held}
    assert len(found.items) == 40
    assert found == draw(SAMPLES, Share(30))


def test_a_share_of_documents_and_only_the_passages_used() -> None:
    half = draw(SAMPLES, Share(30, documents=0.5))
    assert 5 < len({s.doc for s in (*half.trained, *half.held)}) < 35
    few = draw(SAMPLES, Share(3, own=True))
    assert len(few.items) == len(few.trained) + len(few.held) < 40


def test_questions_nobody_could_answer_alone_are_left_out() -> None:
    short = replace(SAMPLES[0], question="And then why?")
    said = "I see, so it was the old one of these then."
    turn = replace(SAMPLES[1], dataset="doc2dial", history=("user: hello",), question=said)
    unanswerable = replace(SAMPLES[2], answerable=False, gold=(), answers=())
    kept = draw([short, turn, unanswerable, *SAMPLES[3:]], Share(100))
    assert {s.id for s in (*kept.trained, *kept.held)} == {s.id for s in SAMPLES[3:]}


def test_what_stands_high_and_does_not_answer() -> None:
    copy = Given("copy", "", SAMPLES[4].passages[0].text.replace("The old", "An old"))
    samples = [replace(SAMPLES[3], passages=(*SAMPLES[3].passages, copy)), *SAMPLES[4:]]
    found = draw(samples, Share(100))
    embedder = HashEmbedder()
    asked = [s.question for s in (*found.trained, *found.held)]
    texts = [item.indexed for item in found.items]
    mined = mine(found, embedder.embed(texts), embedder.embed(asked))
    assert [each.held for each in mined] == [False] * len(found.trained) + [True] * len(found.held)
    every = (*found.trained, *found.held)
    for each, sample in zip(mined, every, strict=True):
        gold = [c for c in each.candidates if c.gold]
        assert [found.items[c.place].id for c in gold] == list(sample.gold)
        wrong = [c for c in each.candidates if not c.gold and not c.doubtful]
        assert len(wrong) >= 30  # all speak of an old bridge
        assert [c.fused for c in wrong] == sorted((c.fused for c in wrong), reverse=True)
        assert each.shared > 0.5
    fourth = next(
        e for e, s in zip(mined, (*found.trained, *found.held), strict=True) if s.id == "s4"
    )
    doubtful = [found.items[c.place].id for c in fourth.candidates if c.doubtful]
    assert doubtful == ["copy"]  # it spells out the answer
