"""What `attest eval run`, `retrieval` and `verifier` do; the nightly job does the same."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from eval import asking, beir, runs, verifying
from eval import gate as gates
from eval import report as reports
from eval import retrieval as retrieving
from eval.asking import Context, Plan
from eval.beir import Item
from eval.corpus import open_corpus
from eval.measures import Measures
from eval.predictions import Predictions
from eval.presenting import Presented
from eval.progress import Say
from eval.samples import Sample, load
from rag.attribution import agreement
from rag.attribution import attribution as about
from rag.bootstrap import Attest, open_attest
from rag.domain import Leg
from rag.errors import BadInput
from rag.verifiers import ChosenVerifiers, Method

Report = dict[str, Any]
text = reports.text
markdown = reports.markdown


def run(
    attest: Attest,
    file: Path,
    *,
    limit: int | None = None,
    distractors: int = 0,
    predictions: Path | None = None,
    adapter: str | None = None,
    seed: int = 0,
    context: Context = "given",
    unanswerable_by_removal: bool = False,
    spread: bool = False,
    attribution: bool = False,
    injected: bool = False,
    gate: Path | None = None,
    against: str | None = None,
    name: str | None = None,
    progress: Say | None = None,
) -> Report:
    """Answer the samples of `file` from the passages given with them, score, and store the run in
    SQL. `adapter` replaces the one of the settings; `attribution` also measures
    whether leaving passages out agrees with the citations; `gate` is a file of thresholds;
    `against` an earlier run's id, compared sample by sample. Returns the report without each
    sample's scores. Raises BadSamples, BadInput, NotFound, ModelError."""
    thresholds = gates.load(gate) if gate is not None else None
    plan = Plan(seed, limit, distractors, context, unanswerable_by_removal, spread, injected)
    samples = load(file)
    earlier = None if against is None else _stored(attest, against)
    with _with_adapter(attest, adapter) as reader:
        settings = _settings(reader, file, plan) | {"attribution": attribution}
        asked = _asked(reader, samples, plan, progress)
        kept = None if predictions is None else Predictions(predictions, settings)
        least = reader.answering.policy.limits(reader.generator, {}).min_support
        measures = Measures(
            reader.verifier.support,
            least,
            (lambda answer: agreement(about(reader.generator, answer))) if attribution else None,
        )
        done = runs.run(
            asked,
            reader.answering.read,
            measures,
            name=name or name_of(file),
            settings=settings,
            question=lambda one: asking.question_of(one, reader.settings.max_question_characters),
            predictions=kept,
            say=progress,
        )
    report = runs.report(done)
    if earlier is not None:
        report["against"] = {"run": against} | runs.compare(earlier, report, seed)
    if thresholds is not None:
        ruling = gates.check(report, thresholds)
        report["gate"] = {"passed": ruling.passed, "reasons": list(ruling.reasons)}
    runs.keep(attest.store, report)
    return shown(report)


def retrieval(
    attest: Attest,
    folder: Path,
    *,
    leg: Leg | str = Leg.HYBRID,
    limit: int | None = None,
    seed: int = 0,
    graded: bool = False,
    progress: Say | None = None,
) -> Report:
    """Search a BEIR folder through the product's index; `leg` is hybrid, dense, lexical, rrf or
    reranked. Beside a fused leg the single ones are measured too, beside hybrid reranked as well.
    Any grade above 0 counts as 1 unless `graded`. Stores the run in SQL and returns its report.
    Raises BadSamples, BadInput."""
    name = str(leg)
    if name not in retrieving.LEGS:
        raise BadInput(f"leg {name!r} is none of {', '.join(retrieving.LEGS)}")
    found = beir.load(folder)
    found = found if graded else found.binary()
    own = attest.settings
    legs = [name] if name in ("dense", "lexical") else [name, "dense", "lexical"]
    if name == "hybrid" and attest.reranker.identity != "none":
        legs.insert(1, "reranked")
    with open_corpus(found.items, attest.embedder, cache(attest), own.lexical, progress) as corpus:
        fuse = retrieving.fusion(own)
        search = retrieving.searches(corpus, attest.embedder, fuse, attest.reranker)
        measured = retrieving.measure(found, search, legs, limit=limit, seed=seed, say=progress)
    settings = {
        "folder": folder.name,
        "grades": "as given" if graded else "above 0 counts 1",
        "limit": limit,
        "seed": seed,
        "embedder": attest.embedder.identity,
        "lexical": own.lexical,
        "fusion": own.fusion,
        "dense_weight": own.fusion_dense_weight,
        "candidates": retrieving.DEPTH,
        "reranker": attest.reranker.identity,
        "rerank_candidates": own.rerank_candidates,
    }
    report = retrieving.report(found, measured, name, settings)
    runs.keep(attest.store, report)
    return shown(report)


def verifier(
    attest: Attest,
    files: Sequence[Path],
    *,
    method: Method | None = None,
    seed: int = 0,
    progress: Say | None = None,
) -> Report:
    """How well a verifier tells supported claims from others: AUROC and balanced accuracy of each
    file of labelled pairs. `method` replaces the verifier of the settings. Nothing is stored.
    Raises BadSamples, BadSettings, ModelError."""
    chosen = method or attest.settings.verifier
    verifier = ChosenVerifiers(chosen, lambda: attest.embedder).now()
    return verifying.measure(verifier, files, attest.settings.min_support, seed, progress)


def shown(report: Report) -> Report:
    """The report without each sample's scores, which are kept for comparison only."""
    return {key: value for key, value in report.items() if key != "samples"}


def name_of(file: Path) -> str:
    return file.name.removesuffix(".gz").removesuffix(".jsonl")


def cache(attest: Attest) -> Path:
    """Where vectors of evaluated corpora are remembered; it may be deleted."""
    data: Path = attest.settings.data
    return data / "cache" / "evaluation"


def _stored(attest: Attest, id: str) -> Mapping[str, Any]:
    with attest.store() as work:
        found = work.runs.get(id).report
    if found.get("kind") != "answers":
        raise BadInput(f"run {id} did not measure answers, so answers cannot be compared with it")
    return found


@contextmanager
def _with_adapter(attest: Attest, adapter: str | None) -> Iterator[Attest]:
    if adapter is None or adapter == attest.settings.adapter:
        yield attest
        return
    other = open_attest(attest.settings.model_copy(update={"adapter": adapter}))
    try:
        yield other
    finally:
        other.close()


def _asked(
    attest: Attest, samples: Sequence[Sample], plan: Plan, say: Say | None
) -> list[Presented]:
    if plan.context in asking.GIVEN:
        return asking.given(samples, plan)
    if plan.unanswerable_by_removal or plan.distractors or plan.injected:
        raise BadInput(
            "distractors, removal and planted instructions go with the passages given, not with "
            "found ones"
        )
    items = [Item(p.id, p.title, p.text) for p in asking.pool(samples).values()]
    own = attest.settings
    with open_corpus(items, attest.embedder, cache(attest), own.lexical, say) as corpus:
        fuse = retrieving.fusion(own)
        search = retrieving.searches(corpus, attest.embedder, fuse, attest.reranker)
        leg = "reranked" if plan.context == Leg.HYBRID.value else plan.context  # as is asked
        return asking.found(samples, plan, search[leg], own.passages)


def _settings(attest: Attest, file: Path, plan: Plan) -> dict[str, Any]:
    """All that makes the run repeatable."""
    generator, own = attest.generator, attest.settings
    limits = attest.answering.policy.limits(generator, {})
    return {
        "file": file.name,
        "sha256": hashlib.sha256(file.read_bytes()).hexdigest(),
        "seed": plan.seed,
        "limit": plan.limit,
        "spread": plan.spread,
        "injected": plan.injected,
        "distractors": plan.distractors,
        "context": plan.context,
        "unanswerable_by_removal": plan.unanswerable_by_removal,
        "model": generator.model,
        "adapter": generator.adapter,
        "prompt_version": generator.prompt_version,
        "max_answer_tokens": own.max_answer_tokens,
        "min_support": limits.min_support,
        "verifier": attest.verifier.identity,
        "min_confidence": limits.min_confidence,
    }
