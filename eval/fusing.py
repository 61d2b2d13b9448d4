"""What `attest tune-fusion` does: choose how much the dense leg counts, on a collection's own
questions.

Both legs are searched once for each question; a weight then costs only the fusing. What the chosen
weight is worth is measured on questions it was not chosen on (cross-validation), and a weight that
does not gain there is not stored.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from eval import relevance, statistics
from eval.progress import Progress, Say
from eval.relevance import Labelled
from eval.scorers.retrieval import ndcg_at
from rag.bootstrap import Attest
from rag.domain import Collection, Filter, Hit, Passage, Principal, Right
from rag.errors import BadInput
from rag.fuse import convex
from rag.reach import collection_for
from rag.wording import Wording, wording
from rag.words import analysed

WEIGHTS = tuple(step / 20 for step in range(21))
FOLDS = 5
_FEWEST = 20  # questions; with fewer the folds say nothing
SETTING = "fusion_dense_weight"


@dataclass(frozen=True, slots=True)
class Case:
    """One question with what both legs found, and how its words stand there. `units` maps a
    chunk to what is ranked: itself, or its document where any of its chunks will do; `grades` maps
    those units that are right to 1."""

    question: str
    dense: Sequence[Hit]
    lexical: Sequence[Hit]
    wording: Wording
    units: Mapping[str, str]
    grades: Mapping[str, int]

    def ndcg(self, weight: float) -> float:
        """nDCG@10. Nothing right among all that was found is 0."""
        fused = convex(self.dense, self.lexical, weight, self.wording)
        ranked = list(dict.fromkeys(self.units[hit.chunk] for hit in fused))
        return ndcg_at(ranked, self.grades, 10) or 0.0


Scores = Mapping[float, Sequence[float]]  # weight -> nDCG@10 of each question


def run(
    attest: Attest,
    collection: str,
    files: Sequence[Path],
    *,
    feedback: bool = False,
    who: Principal,
    seed: int = 0,
    progress: Say | None = None,
) -> dict[str, Any]:
    """The report. The weight is stored with the collection, and holds from the next question on,
    when it gains on questions it was not chosen on. Raises BadInput, BadSamples, UnknownCollection,
    NotPermitted, ModelError."""
    if attest.settings.fusion != "convex":
        raise BadInput("the settings fuse by ranks, which has no weight; set fusion to 'convex'")
    with attest.store() as work:
        kept = collection_for(work, collection, who, Right.MANAGE)
        given = work.feedback.all(kept.id) if feedback else []
    asked = [one for file in files for one in relevance.load(file)]
    asked = list({one.question: one for one in [*asked, *relevance.of_feedback(given)]}.values())
    if len(asked) < _FEWEST:
        raise BadInput(
            f"{len(asked)} different questions are too few to choose a weight on: give at least "
            f"{_FEWEST}"
        )
    cases = _searched(attest, kept, asked, who, progress)
    now = float(kept.settings.get(SETTING, attest.settings.fusion_dense_weight))
    report = measured(cases, now, seed) | {"collection": collection}
    report["stored"] = report["held_out"]["value"] > 0
    if report["stored"]:
        _store(attest, kept, report["after"]["weight"], len(cases), who)
    return report


def measured(cases: Sequence[Case], now: float, seed: int) -> dict[str, Any]:
    """Before, after, and the gain of choosing a weight on other questions over keeping `now`."""
    weights = sorted({*WEIGHTS, now})
    scores = {weight: [case.ndcg(weight) for case in cases] for weight in weights}
    chosen = best(scores, now, range(len(cases)))
    held_out = statistics.paired(scores[now], unseen(cases, scores, now, seed), seed=seed)

    def shown(weight: float) -> dict[str, Any]:
        return {"weight": weight, "ndcg@10": asdict(statistics.mean(scores[weight], seed))}

    return {
        "n": len(cases),
        "found": sum(bool(case.grades) for case in cases),
        "before": shown(now),
        "after": shown(chosen),
        "dense": shown(1.0),
        "lexical": shown(0.0),
        "held_out": asdict(held_out) | {"sure": held_out.sure},
        "curve": [[weight, sum(held) / len(held)] for weight, held in scores.items()],
    }


def best(scores: Scores, now: float, rows: Sequence[int]) -> float:
    """The weight with the best mean over these questions; among equals the one nearest `now`."""

    def key(weight: float) -> tuple[float, float]:
        return round(sum(scores[weight][row] for row in rows), 9), -abs(weight - now)

    return max(scores, key=key)


def unseen(cases: Sequence[Case], scores: Scores, now: float, seed: int) -> list[float]:
    """Each question's nDCG@10 under the weight chosen on the folds it is not in."""
    order = sorted(range(len(cases)), key=lambda row: _drawn(f"{seed}:{cases[row].question}"))
    fold = {row: place % FOLDS for place, row in enumerate(order)}
    chosen = [
        best(scores, now, [row for row in order if fold[row] != each]) for each in range(FOLDS)
    ]
    return [scores[chosen[fold[row]]][row] for row in range(len(cases))]


def _drawn(text: str) -> bytes:
    return hashlib.sha256(text.encode()).digest()


def _searched(
    attest: Attest,
    collection: Collection,
    asked: Sequence[Labelled],
    who: Principal,
    say: Say | None,
) -> list[Case]:
    searched, depth = attest.searched(collection.id), attest.settings.candidates
    index = searched.index
    filter = Filter(index.catch_up(), who.groups)
    progress = Progress("tune-fusion", len(asked), say)
    cases = []
    for one in asked:
        dense = index.dense(searched.embedder.embed([one.question])[0], filter, depth)
        lexical = index.lexical(one.question, filter, depth)
        ids = [hit.chunk for hit in (*dense, *lexical)]
        with attest.store() as work:
            found = {p.chunk.id: p for p in work.chunks.passages(collection.id, ids, filter)}
        cases.append(_case(one, dense, lexical, found))
        progress.step()
    return cases


def _case(
    one: Labelled, dense: Sequence[Hit], lexical: Sequence[Hit], found: Mapping[str, Passage]
) -> Case:
    units = {id: p.document if one.of_documents else id for id, p in found.items()}
    grades = {units[id]: 1 for id, passage in found.items() if one.right(passage)}
    return Case(
        one.question,
        [hit for hit in dense if hit.chunk in found],
        [hit for hit in lexical if hit.chunk in found],
        wording(one.question, {id: analysed(passage) for id, passage in found.items()}),
        units,
        grades,
    )


def _store(attest: Attest, kept: Collection, weight: float, n: int, who: Principal) -> None:
    with attest.store() as work:
        now = work.collections.get(kept.id).settings
        tuned = {SETTING: weight, "fusion_tuned_on": n}
        work.collections.set_settings(kept.id, {**now, **tuned})
        work.audit.add(who.user, "tune_fusion", kept.id, {"name": kept.name, **tuned})
        work.commit()


def text(report: dict[str, Any]) -> str:
    """For people: before, after, what it is worth on other questions, and the curve."""
    gain = report["held_out"]
    lines = [
        f"{report['n']} questions, something right found for {report['found']}; nDCG@10",
        *(f"{name:8} {_row(report[name])}" for name in ("before", "after", "dense", "lexical")),
        f"gain on questions the weight was not chosen on: {gain['value']:+.3f} "
        f"[{gain['low']:+.3f}, {gain['high']:+.3f}]{'' if gain['sure'] else ', not sure'}",
    ]
    where = f"the collection {report['collection']!r}"
    if report["stored"]:
        lines.append(f"stored with {where}: {SETTING} {report['after']['weight']:.2f}")
    else:
        lines.append(f"NOT stored: {where} keeps {SETTING} {report['before']['weight']:.2f}")
    lines += ["", "dense weight  nDCG@10"]
    return "\n".join(
        [*lines, *(f"{weight:12.2f}  {ndcg:7.3f}" for weight, ndcg in report["curve"])]
    )


def _row(row: dict[str, Any]) -> str:
    held = row["ndcg@10"]
    return f"{held['value']:.3f} [{held['low']:.3f}, {held['high']:.3f}] at {row['weight']:.2f}"
