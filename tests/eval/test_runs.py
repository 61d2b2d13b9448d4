"""Whole runs over a tiny set with a deterministic reader."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from eval import asking, runs
from eval.asking import Plan
from eval.measures import METRICS, Measures
from eval.predictions import Predictions
from eval.presenting import Presented
from eval.reply import reply_of
from eval.samples import read
from rag.domain import Answer, Passage, Verdict
from rag.errors import BadInput, QuestionTooLong, WeightsMissing
from rag.store.unit import SqlStore
from tests.eval.making import CITIES, WordReader, answer, contained, record, samples

MEASURES = Measures(contained, 0.6)
SILENT = dict.fromkeys(("file", "model"), "")


def make(
    asked: Sequence[Presented],
    reader: Any,
    seed: int = 0,
    predictions: Predictions | None = None,
) -> runs.Run:
    return runs.run(
        asked,
        reader,
        MEASURES,
        name="cities",
        settings=SILENT | {"seed": seed},
        question=lambda one: asking.question_of(one, 4000),
        predictions=predictions,
        say=lambda _: None,
    )


def test_a_run_by_hand() -> None:
    """The reader answers six rightly and refuses the two that have no answer here."""
    asked = asking.given(samples(), Plan(distractors=2))
    report = runs.report(make(asked, WordReader()))
    values = {name: row["value"] for name, row in report["metrics"].items()}
    assert report["n"] == 8
    assert report["failed"] == 0
    assert values["answered_share"] == 0.75
    assert report["verdicts"] == {"answered": 6, "refused": 2}
    assert values["right"] == 1.0
    assert values["wrong_answer_rate"] == 0.0
    assert values["refusal_precision"] == values["refusal_recall"] == 1.0
    assert values["citation_coverage"] == values["citation_precision"] == 1.0
    assert values["citation_recall"] == values["alce_citation_recall"] == 1.0
    assert values["exact_match"] == 0.25  # the two refusals; the rest are whole sentences
    assert values["k_precision"] == 1.0
    assert report["metrics"]["citation_precision"]["n"] == 6
    assert report["metrics"]["refusal_recall"] == {
        "value": 1.0, "low": 1.0, "high": 1.0, "n": 2, "level": 0.95, "unscored": 6,
    }  # fmt: skip
    assert set(report["splits"]["kind"]) == {"span", "unanswerable"}
    assert sum(row["n"] for row in report["splits"]["gold_position"].values()) == 8
    assert report["latency"]["generate"]["p50"] == pytest.approx(0.01)
    assert report["latency"]["total"]["n"] == 8
    json.dumps(report)


def test_a_reader_that_never_refuses() -> None:
    asked = asking.given(samples(), Plan(unanswerable_by_removal=True))
    report = runs.report(make(asked, WordReader(least=0)))
    metrics = report["metrics"]
    assert metrics["wrong_answer_rate"]["value"] == 1.0
    assert metrics["refusal_recall"]["value"] == 0.0
    assert metrics["refusal_precision"]["value"] is None  # it never refused: no data, not 0
    assert metrics["refusal_precision"]["n"] == 0
    assert metrics["citation_precision"]["value"] is None
    assert report["confidence"]["aurc"]["value"] == 1.0


def test_every_metric_is_scored_or_says_why_not() -> None:
    outcomes = make(asking.given(samples(), Plan()), WordReader()).outcomes
    for outcome in outcomes:
        assert set(outcome.scores) == {metric.name for metric in METRICS}
        for score in outcome.scores.values():
            assert score.scored or score.explanation
            assert score.value is None or 0 <= score.value <= 1


def test_runs_are_repeatable() -> None:
    asked = asking.given(samples(), Plan(seed=4, distractors=3))
    first, second = (runs.report(make(asked, WordReader())) for _ in range(2))
    for key in ("metrics", "splits", "confidence", "samples"):
        assert first[key] == second[key]


def test_bad_input_of_one_sample_is_counted_and_not_scored() -> None:
    def reader(question: str, passages: Sequence[Passage]) -> Answer:
        if "Bonn" in question:
            raise QuestionTooLong("too long")
        return WordReader()(question, passages)

    report = runs.report(make(asking.given(samples(), Plan()), reader))
    assert (report["n"], report["failed"]) == (8, 1)
    assert report["errors"] == [{"id": "q-Bonn", "error": "QuestionTooLong: too long"}]
    assert report["metrics"]["right"]["n"] == 7


def test_a_missing_model_ends_the_run() -> None:
    def reader(question: str, passages: Sequence[Passage]) -> Answer:
        raise WeightsMissing("no weights")

    with pytest.raises(WeightsMissing):
        make(asking.given(samples(), Plan()), reader)


def test_no_context_is_asked_too() -> None:
    report = runs.report(make(asking.given(samples(), Plan(context="none")), WordReader()))
    assert report["verdicts"] == {"refused": 8}
    assert report["metrics"]["groundedness"]["value"] is None


def test_numbers_are_matched_with_their_scale() -> None:
    text = "Revenue was 5,798 in the last year."
    sample = read(
        record(
            "Bonn",
            kind="number",
            question="What was the revenue?",
            answers=["5,798"],
            meta={"scale": "thousand"},
            evidence=[],
            passages=[{"id": "Bonn#0", "title": "", "text": text}],
        )
    )
    report = runs.report(make(asking.given([sample], Plan()), WordReader(least=1)))
    assert report["metrics"]["number_match"]["value"] == 1.0
    assert report["metrics"]["right"]["value"] == 1.0


def test_comparison_is_paired_over_shared_samples() -> None:
    every = samples()
    good = make(asking.given(every, Plan()), WordReader())
    bad = make(asking.given(every, Plan(limit=5)), lambda q, p: answer(q, p, "", 0))
    found = runs.compare(bad, good)
    assert found["shared"] == 5
    right = found["differences"]["right"]
    assert right["n"] == 5
    assert right["value"] == pytest.approx(4 / 5)  # Cork has no answer here
    assert right["sure"]
    assert found["differences"]["groundedness"]["value"] is None
    assert runs.compare(runs.report(bad), runs.report(good)) == found
    other = make(asking.given([read(record("Turin"))], Plan()), WordReader())
    with pytest.raises(BadInput, match="share no sample"):
        runs.compare(good, other)


def test_a_run_is_kept_in_sql(store: SqlStore) -> None:
    report = runs.report(make(asking.given(samples(), Plan()), WordReader()))
    id = runs.keep(store, report)
    with store() as work:
        kept = work.runs.get(id)
        assert [run.id for run in work.runs.recent(kind="answers")] == [id]
    assert kept.report == json.loads(json.dumps(report))


# --- predictions ----------------------------------------------------------------------------------


def lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text("utf-8").splitlines()]


def test_prediction_lines_are_the_contract(tmp_path: Path) -> None:
    out = tmp_path / "new" / "out.jsonl"
    asked = asking.given(samples(), Plan(distractors=1))
    make(asked, WordReader(), predictions=Predictions(out, {"seed": 0}))
    found = lines(out)
    assert [line["id"] for line in found] == [f"q-{city}" for city in CITIES]
    for line, one in zip(found, asked, strict=True):
        assert list(line) == ["id", "answer", "verdict", "cited", "passages"]
        assert line["passages"] == [p.id for p in one.passages]
        assert "[" not in line["answer"]
        if line["verdict"] == "refused":
            assert (line["answer"], line["cited"]) == ("", [])
        else:
            assert line["answer"] == f"The river of {line['id'][2:]} is the {line['id'][2:]}wash."
            assert line["cited"] == [f"{line['id'][2:]}#0"]
    assert [path.name for path in out.parent.iterdir()] == ["out.jsonl"]


class Stopping(WordReader):
    """Stops like a killed process at its n-th question."""

    def __init__(self, at: int) -> None:
        super().__init__()
        self.at = at

    def __call__(self, question: str, passages: Sequence[Passage]) -> Answer:
        if len(self.asked) == self.at:
            raise KeyboardInterrupt
        return super().__call__(question, passages)


def test_a_stopped_run_goes_on(tmp_path: Path) -> None:
    out, whole = tmp_path / "out.jsonl", tmp_path / "whole.jsonl"
    asked = asking.given(samples(), Plan())
    make(asked, WordReader(), predictions=Predictions(whole, {"seed": 0}))
    with pytest.raises(KeyboardInterrupt):
        make(asked, Stopping(at=5), predictions=Predictions(out, {"seed": 0}))
    assert len(lines(out)) == 5
    with (tmp_path / "out.jsonl.partial").open("a") as partial:
        partial.write('{"id": "q-Ni')  # cut short while writing
    reader = WordReader()
    done = make(asked, reader, predictions=Predictions(out, {"seed": 0}))
    assert len(reader.asked) == 3
    assert out.read_bytes() == whole.read_bytes()
    assert runs.report(done)["n"] == 8
    assert not (tmp_path / "out.jsonl.partial").exists()


def test_another_run_or_a_finished_one_starts_afresh(tmp_path: Path) -> None:
    out = tmp_path / "out.jsonl"
    asked = asking.given(samples(), Plan())
    with pytest.raises(KeyboardInterrupt):
        make(asked, Stopping(at=5), predictions=Predictions(out, {"seed": 0}))
    for _ in range(2):
        reader = WordReader()
        make(asked, reader, predictions=Predictions(out, {"seed": 1}))
        assert len(reader.asked) == 8
        assert len(lines(out)) == 8


def test_predictions_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "out.jsonl").mkdir()
    with pytest.raises(BadInput, match="cannot be written"):
        make([], WordReader(), predictions=Predictions(tmp_path / "out.jsonl", {}))


# --- replies --------------------------------------------------------------------------------------


def test_a_reply_reads_sentences_and_their_citations() -> None:
    asked = asking.given(samples(), Plan(limit=1))[0]
    passages = runs.passages_of(asked)
    made = answer("q", passages, passages[0].chunk.text, 1)
    several = type(made)(**{
        **{f: getattr(made, f) for f in made.__slots__},
        "text": "Dr. Who paid 3.5 % [1][2]. It rests [sic] on nothing. The end. [2]",
        "verdict": Verdict.PARTIAL,
    })  # fmt: skip
    ids = [p.chunk.id for p in passages]
    found = reply_of(several)
    assert [s.cited for s in found.sentences] == [tuple(ids), (), (ids[1],)]
    assert found.text == "Dr. Who paid 3.5 % It rests [sic] on nothing. The end."
