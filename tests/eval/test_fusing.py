"""`attest tune-fusion` over a real store and index; the embedder is the shipped stand-in."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from eval import relevance
from eval.fusing import Case, best, measured, text, unseen
from models.fake import CopyGenerator, HashEmbedder
from rag.bootstrap import Attest, open_attest
from rag.cli import main
from rag.domain import LOCAL_GROUP, Chunk, Feedback, Hit, Leg, Opinion, Passage, Right
from rag.errors import BadSamples
from rag.settings import Settings
from rag.wording import Wording
from tests.test_answering import add

WORDS = ("apple", "bread", "cedar", "delta", "ember", "fjord", "grape", "honey", "ivory", "jolly")


def case(number: int, lexical_is_right: bool) -> Case:
    """The dense leg is sure of a, the lexical one of b."""
    dense = [Hit("a", 0.9, 1, Leg.DENSE), Hit("b", 0.1, 2, Leg.DENSE)]
    lexical = [Hit("b", 9.0, 1, Leg.LEXICAL), Hit("a", 1.0, 2, Leg.LEXICAL)]
    units = {"a": "a", "b": "b"}
    return Case(
        f"q{number}", dense, lexical, Wording(), units, {"b" if lexical_is_right else "a": 1}
    )


def test_the_leg_that_is_right_gets_the_weight() -> None:
    lexical = [case(n, True) for n in range(30)]
    report = measured(lexical, 0.8, seed=0)
    assert report["after"]["weight"] == 0.45, "of those that are best the nearest to what was"
    assert report["held_out"]["value"] == pytest.approx(1 - 0.6309, abs=1e-3)
    assert report["held_out"]["sure"]
    assert "+0.369" in text(report | {"collection": "house", "stored": True})


def test_what_gains_by_chance_gains_nothing_on_other_questions() -> None:
    mixed = [case(n, n % 2 == 0) for n in range(60)]
    report = measured(mixed, 0.5, seed=0)
    assert report["held_out"]["value"] <= 0


def test_a_weight_is_judged_on_questions_it_was_not_chosen_on() -> None:
    cases = [case(n, n != 7) for n in range(20)]
    scores = {weight: [one.ndcg(weight) for one in cases] for weight in (0.0, 1.0)}
    assert best(scores, 1.0, range(20)) == 0.0
    assert best(scores, 1.0, [7]) == 1.0
    assert unseen(cases, scores, 1.0, seed=3) == [one.ndcg(0.0) for one in cases]


def test_labels(tmp_path: Path) -> None:
    def passage(name: str, said: str) -> Passage:
        return Passage(Chunk("c", "v", 0, len(said), said), "d", name, "", 0.0)

    file = tmp_path / "questions.jsonl"
    rows = [
        {"question": "Where?", "documents": ["a.md"]},
        {"question": "When?", "documents": ["a.md"], "contains": ["At  NOON"]},
    ]
    file.write_text("\n".join(map(json.dumps, rows)))
    where, when = relevance.load(file)
    assert where.right(passage("a.md", "x"))
    assert not where.right(passage("b.md", "x"))
    assert when.right(passage("a.md", "It is at\nnoon."))
    assert not when.right(passage("a.md", "x"))
    assert [where.of_documents, when.of_documents] == [True, False]
    for wrong in ({"question": "Why?"}, {"documents": ["a"]}, {"question": "?", "documents": "a"}):
        file.write_text(json.dumps(wrong))
        with pytest.raises(BadSamples, match=r"questions\.jsonl:1"):
            relevance.load(file)


def test_answers_called_right_label_what_they_cite() -> None:
    def said(question: str, verdict: Opinion, *cited: str) -> Feedback:
        now = datetime.now(UTC)
        return Feedback("f", "a", "c", "u", question, verdict, "", cited, cited, now)

    found = relevance.of_feedback(
        [
            said("One?", Opinion.RIGHT, "c1"),
            said("One?", Opinion.RIGHT, "c2"),
            said("Two?", Opinion.WRONG, "c3"),
            said("Three?", Opinion.RIGHT),
        ]
    )
    assert [(one.question, one.chunks) for one in found] == [("One?", {"c1", "c2"})]


@pytest.fixture
def attest(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Attest]:
    opened = open_attest(Settings(data=tmp_path / "data"))
    opened.generator = CopyGenerator()
    opened.embedder = HashEmbedder()
    with opened.store() as work:
        house = work.collections.create("house", {LOCAL_GROUP: Right.MANAGE})
        work.commit()
    for word in WORDS:
        add(opened, house.id, f"{word}.md", f"The {word} is kept in its own room of the house.")
    monkeypatch.setattr("rag.bootstrap.open_attest", lambda _: opened)
    monkeypatch.setattr(opened, "close", lambda: None)
    yield opened
    opened.store.close()


def test_the_command_refuses_to_store_what_does_not_gain(
    attest: Attest, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "questions.jsonl"
    rows = [
        {"question": f"{ask} is the {word}?", "documents": [f"{word}.md"]}
        for ask in ("Where", "In which room")
        for word in WORDS
    ]
    file.write_text("\n".join(map(json.dumps, rows)))
    given = ["tune-fusion", str(file), "--collection", "house", "--data", str(attest.settings.data)]
    assert main(given) == 1, "what is found already cannot be found better"
    assert "NOT stored" in capsys.readouterr().out
    with attest.store() as work:
        assert "fusion_dense_weight" not in work.collections.named("house").settings
    file.write_text(json.dumps(rows[0]))
    assert main(given) == 1
    assert "too few" in capsys.readouterr().err
