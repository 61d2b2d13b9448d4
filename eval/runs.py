"""A run: samples put to a reader, scored, and summed up with n and intervals."""

from __future__ import annotations

import time
import uuid
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from typing import Any

from eval import statistics
from eval.measures import METRICS, Measures
from eval.outcome import Outcome, answered, failed
from eval.predictions import Predictions
from eval.presenting import Presented
from eval.progress import Progress, Say
from eval.reply import reply_of
from eval.scorers.confidence import aurc, ece, risk_coverage, thinned
from eval.scorers.latency import by_stage
from rag.domain import Answer, Chunk, Passage
from rag.errors import BadInput
from rag.ports import RunRecord, Store

Read = Callable[[str, Sequence[Passage]], Answer]
Question = Callable[[Presented], str]
SPLITS = ("kind", "dataset", "gold_position")


@dataclass(frozen=True, slots=True)
class Run:
    """`settings` is all that makes the run repeatable: file and its hash, seed, distractors, model,
    adapter, prompt version."""

    id: str
    name: str
    settings: Mapping[str, Any]
    outcomes: tuple[Outcome, ...]
    created: datetime

    @property
    def seed(self) -> int:
        return int(self.settings.get("seed", 0))


def run(
    asked: Sequence[Presented],
    read: Read,
    measures: Measures,
    *,
    name: str,
    settings: Mapping[str, Any],
    question: Question,
    predictions: Predictions | None = None,
    say: Say | None = None,
) -> Run:
    """Put each sample to `read`. Bad input of one sample is its outcome; any other error of the
    product (no weights, disk full) ends the run."""
    progress = Progress(f"eval {name}", len(asked), say)
    outcomes: list[Outcome] = []
    with predictions if predictions is not None else nullcontext():
        done = predictions.done if predictions is not None else {}
        for one in asked:
            outcome = done.get(one.sample.id)
            if outcome is None:
                outcome = _ask(one, read, measures, question)
                if predictions is not None:
                    predictions.add(outcome)
            outcomes.append(outcome)
            progress.step()
    return Run(uuid.uuid4().hex, name, dict(settings), tuple(outcomes), datetime.now(UTC))


def _ask(asked: Presented, read: Read, measures: Measures, question: Question) -> Outcome:
    began = time.perf_counter()
    try:
        answer = read(question(asked), passages_of(asked))
    except BadInput as exc:
        return failed(asked, exc)
    took = time.perf_counter() - began
    reply = reply_of(answer, [p.id for p in asked.passages])
    reply = replace(reply, timings={"total": took} | dict(reply.timings))
    scores = measures.score(asked, reply) | measures.attributed(answer)
    return answered(asked, reply, scores)


def passages_of(asked: Presented) -> list[Passage]:
    """The shown passages as the core reads them; a chunk's id is the passage's id."""
    return [
        Passage(
            chunk=Chunk(id=p.id, version=p.id, start=0, end=len(p.text), text=p.text),
            document=p.id,
            document_name=p.title or p.id,
            title=p.title,
            score=0.0,
        )
        for p in asked.passages
    ]


def report(run: Run) -> dict[str, Any]:
    """The JSON document of a run. `samples` holds every score by column, for paired comparison."""
    scored = [o for o in run.outcomes if not o.error]
    return {
        "id": run.id,
        "kind": "answers",
        "name": run.name,
        "created": run.created.isoformat(),
        "settings": dict(run.settings),
        "n": len(run.outcomes),
        "failed": len(run.outcomes) - len(scored),
        "errors": [{"id": o.id, "error": o.error} for o in run.outcomes if o.error][:20],
        "verdicts": _count(o.verdict for o in scored),
        "metrics": table(scored, run.seed),
        "splits": {split: _split(scored, split, run.seed) for split in SPLITS},
        "confidence": _confidence(scored, run.seed),
        "latency": by_stage(o.timings for o in scored),
        "samples": _columns(scored),
    }


def table(outcomes: Sequence[Outcome], seed: int) -> dict[str, dict[str, Any]]:
    """Every metric's mean over the samples it is defined on."""
    found: dict[str, dict[str, Any]] = {}
    for metric in METRICS:
        scores = [o.scores[metric.name].value for o in outcomes if metric.name in o.scores]
        values = [value for value in scores if value is not None]
        estimate = asdict(statistics.mean(values, seed))
        found[metric.name] = estimate | {"unscored": len(outcomes) - len(values)}
    return found


def compare(
    a: Run | Mapping[str, Any], b: Run | Mapping[str, Any], seed: int = 0
) -> dict[str, Any]:
    """b - a for every metric over the samples that both scored, paired. Takes runs or reports.
    Raises BadInput when they share no sample."""
    first, second = (_columns_of(one) for one in (a, b))
    rows = {id: i for i, id in enumerate(second["ids"])}
    pairs = [(i, rows[id]) for i, id in enumerate(first["ids"]) if id in rows]
    if not pairs:
        raise BadInput("the two runs share no sample, so they cannot be compared")
    found: dict[str, Any] = {}
    for metric in METRICS:
        left, right = (c["scores"].get(metric.name, []) for c in (first, second))
        both = [
            (left[i], right[j])
            for i, j in pairs
            if left and right and left[i] is not None and right[j] is not None
        ]
        difference = statistics.paired([x for x, _ in both], [y for _, y in both], seed)
        found[metric.name] = asdict(difference) | {"sure": difference.sure}
    return {"shared": len(pairs), "seed": seed, "differences": found}


def keep(store: Store, document: Mapping[str, Any]) -> str:
    """Store a report in SQL; returns its id."""
    record = RunRecord(
        id=str(document["id"]),
        kind=str(document["kind"]),
        name=str(document["name"]),
        report=document,
        created=datetime.fromisoformat(str(document["created"])),
    )
    with store() as work:
        work.runs.add(record)
        work.commit()
    return record.id


def _split(outcomes: Sequence[Outcome], by: str, seed: int) -> dict[str, Any]:
    held: dict[str, list[Outcome]] = defaultdict(list)
    for outcome in outcomes:
        held[outcome.groups.get(by, "")].append(outcome)
    return {value: {"n": len(held[value])} | table(held[value], seed) for value in sorted(held)}


def _confidence(outcomes: Sequence[Outcome], seed: int) -> dict[str, Any]:
    """Over what was answered, as refusals have no answer that could be wrong."""
    rows = [
        (o.confidence, o.scores["wrong_answer_rate"].value == 0.0)
        for o in outcomes
        if o.scores["wrong_answer_rate"].scored
    ]

    def over(of: Callable[[list[float], list[bool]], float | None]) -> dict[str, Any]:
        def value(drawn: Iterable[Any]) -> float:
            picked = [rows[int(i)] for i in drawn]
            return of([c for c, _ in picked], [ok for _, ok in picked]) or 0.0

        return asdict(statistics.statistic(len(rows), value, seed))

    curve = risk_coverage([c for c, _ in rows], [ok for _, ok in rows])
    shown = [list(point) for point in thinned(curve)]
    return {"aurc": over(aurc), "ece": over(ece), "risk_coverage": shown}


def _columns(outcomes: Sequence[Outcome]) -> dict[str, Any]:
    scores = {
        metric.name: [_rounded(o.scores[metric.name].value) for o in outcomes]
        for metric in METRICS
        if all(metric.name in o.scores for o in outcomes)
    }
    return {"ids": [o.id for o in outcomes], "scores": scores}


def _columns_of(one: Run | Mapping[str, Any]) -> Mapping[str, Any]:
    if isinstance(one, Run):
        return _columns([o for o in one.outcomes if not o.error])
    columns: Mapping[str, Any] = one["samples"]
    return columns


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 6)


def _count(values: Iterable[str]) -> dict[str, int]:
    found: dict[str, int] = defaultdict(int)
    for value in values:
        found[value] += 1
    return dict(found)
