"""What `attest calibrate` does: ask labelled questions, fit, measure on held-out ones, store."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from eval import asking
from eval.asking import Plan
from eval.calibration import Case, calibrate, drawn, halves, measured
from eval.measures import is_right
from eval.presenting import Presented, Presenter
from eval.progress import Progress, Say
from eval.reply import reply_of
from eval.runs import passages_of
from eval.samples import load
from models.manifest import sha256_of
from rag.bootstrap import Attest
from rag.domain import Collection, MetadataValue, Principal, Right
from rag.errors import BadInput
from rag.reach import collection_for


@dataclass(frozen=True, slots=True)
class Labelled:
    """Which questions are asked: `limit` of each file, drawn over it, over their own passages and
    `distractors`; of the answerable ones the share `removed` without their gold passages."""

    files: Sequence[Path]
    limit: int | None = None
    distractors: int = 4
    removed: float = 0.3
    seed: int = 0


def run(
    attest: Attest,
    labelled: Labelled,
    *,
    wrong_rate: float,
    held_out: float = 0.5,
    collection: str | None = None,
    who: Principal,
    progress: Say | None = None,
) -> dict[str, Any]:
    """The report; with `collection` (a name) its threshold and weights are stored with it and hold
    from the next question on, for as long as the same model and adapter answer. Raises BadInput,
    BadSamples, UnknownCollection, NotPermitted, ModelError."""
    if not 0 < wrong_rate < 1 or not 0 <= held_out < 1:
        raise BadInput("the wrong-answer rate and the held-out share lie between 0 and 1")
    kept = None if collection is None else _managed(attest, collection, who)
    cases, weights = _cases(attest, labelled, None if kept is None else kept.id, progress)
    fitting, measuring = halves(cases, labelled.seed, held_out)
    found = calibrate(fitting, wrong_rate)
    settings: dict[str, MetadataValue] = {
        **found.as_settings(),
        "calibrated_for": weights,
        "calibrated_wrong_rate": wrong_rate,
        "calibrated_on": ", ".join(f"{f.name}@{sha256_of(f)[:12]}" for f in labelled.files),
    }
    if kept is not None:
        _store(attest, kept, settings, who)
    return {
        "collection": collection,
        "settings": settings,
        "wrong_rate": wrong_rate,
        "limit": labelled.limit,
        "distractors": labelled.distractors,
        "removed": labelled.removed,
        "seed": labelled.seed,
        "fitted_on": measured(fitting, found, labelled.seed),
        "held_out": measured(measuring, found, labelled.seed),
    }


def text(report: dict[str, Any]) -> str:
    """For people: the threshold, what it came to, and the risk-coverage curve."""
    held, fitted = report["held_out"], report["fitted_on"]
    lines = [
        f"threshold {report['settings']['min_confidence']:.3f} for at most "
        f"{report['wrong_rate']:.0%} wrong answers, fitted on {fitted['n']} questions",
        *(f"{part}: {_row(row)}" for part, row in (("fitted  ", fitted), ("held out", held))),
        "",
        "answered    wrong (held out, surest first)",
        *(f"{coverage:8.0%} {risk:8.1%}" for coverage, risk in held["risk_coverage"]),
    ]
    stored = report["collection"]
    lines += ["", f"stored with the collection {stored!r}"] if stored else []
    return "\n".join(lines)


def _row(row: dict[str, Any]) -> str:
    names = ("wrong_answer_rate", "coverage", "answerable_refused", "unanswerable_refused")
    return ", ".join(f"{name.replace('_', ' ')} {_share(row[name])}" for name in names)


def _share(estimate: dict[str, Any]) -> str:
    value, low, high = (estimate[key] for key in ("value", "low", "high"))
    if value is None:
        return "- (n=0)"
    within = "" if low is None else f" [{low:.1%}, {high:.1%}]"
    return f"{value:.1%}{within} (n={estimate['n']})"


def _cases(
    attest: Attest, labelled: Labelled, collection: str | None, say: Say | None
) -> tuple[list[Case], str]:
    cases: list[Case] = []
    weights = ""
    asked = [(file.name, one) for file in labelled.files for one in _presented(file, labelled)]
    progress = Progress("calibrate", len(asked), say)
    for name, one in asked:
        question = asking.question_of(one, attest.settings.max_question_characters)
        answer, signals, weights = attest.answering.assess(question, passages_of(one), collection)
        reply = reply_of(answer, [p.id for p in one.passages])
        right = is_right(one, reply) and not reply.refused
        cases.append(Case(f"{name}:{one.sample.id}", signals, right, one.answerable))
        progress.step()
    return cases, weights


def _presented(file: Path, labelled: Labelled) -> list[Presented]:
    samples = load(file)
    presenter = Presenter(samples, labelled.seed)
    plan = Plan(labelled.seed, labelled.limit, spread=True)
    return [
        presenter.present(one, labelled.distractors, remove_gold=_removed(one.id, labelled))
        for one in asking.chosen(samples, plan)
    ]


def _removed(id: str, labelled: Labelled) -> bool:
    return drawn(f"gold {labelled.seed}:{id}") < labelled.removed


def _managed(attest: Attest, name: str, who: Principal) -> Collection:
    with attest.store() as work:
        return collection_for(work, name, who, Right.MANAGE)


def _store(
    attest: Attest, kept: Collection, settings: dict[str, MetadataValue], who: Principal
) -> None:
    with attest.store() as work:
        now = work.collections.get(kept.id).settings
        work.collections.set_settings(kept.id, {**now, **settings})
        detail = {k: str(settings[k]) for k in ("min_confidence", "calibrated_wrong_rate")}
        work.audit.add(who.user, "calibrate", kept.id, {"name": kept.name, **detail})
        work.commit()
