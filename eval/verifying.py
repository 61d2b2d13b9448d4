"""How well a verifier tells supported claims from others, file by file."""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from eval import statistics
from eval.pairs import Pair, best_of_groups, load_pairs
from eval.progress import Progress, Say
from eval.scorers.ranking import auroc, balanced_accuracy
from rag.ports import Verifier


def measure(
    verifier: Verifier, files: Sequence[Path], min_support: float, seed: int, say: Say | None
) -> dict[str, Any]:
    """AUROC, and balanced accuracy at `min_support`, of each file. A file whose pairs form groups
    has two rows: its groups by their best pair, and its pairs. Raises BadSamples."""
    rows: dict[str, Any] = {}
    total = 0
    for file in files:
        pairs, name = load_pairs(file), file.name.removesuffix(".gz").removesuffix(".jsonl")
        scores, each = _scored(verifier, pairs, name, say)
        total += len(pairs)
        grouped = any(pair.group for pair in pairs)
        if grouped:
            best, supported = best_of_groups(scores, pairs)
            title = f"{name}, best window"
            rows[title] = _row(best, supported, min_support, seed) | each
        title = f"{name}, each window" if grouped else name
        labels = [pair.supported for pair in pairs]
        rows[title] = _row(scores, labels, min_support, seed) | each
    return {
        "id": uuid.uuid4().hex,
        "kind": "verifier",
        "name": verifier.identity,
        "created": datetime.now(UTC).isoformat(),
        "settings": {"seed": seed, "min_support": min_support},
        "n": total,
        "files": rows,
    }


def _scored(
    verifier: Verifier, pairs: Sequence[Pair], name: str, say: Say | None
) -> tuple[list[float], dict[str, float]]:
    progress = Progress(f"verify {name}", len(pairs), say)
    scores: list[float] = []
    verifier.support("It is.", "It is.", "")  # what is read once is no cost of a sentence
    began = time.perf_counter()
    for pair in pairs:
        scores.append(verifier.support(pair.evidence, pair.claim, ""))
        progress.step()
    return scores, {"milliseconds_per_pair": 1000 * (time.perf_counter() - began) / len(pairs)}


def _row(
    scores: Sequence[float], labels: Sequence[bool], threshold: float, seed: int
) -> dict[str, Any]:
    values, truth = np.asarray(scores), np.asarray(labels, dtype=bool)

    def over(of: Callable[[Any, Any], float | None]) -> dict[str, Any]:
        def value(drawn: NDArray[np.intp]) -> float:
            found = of(values[drawn], truth[drawn])
            return float("nan") if found is None else found

        return asdict(statistics.stratified(truth, value, seed))

    return {
        "supported": int(truth.sum()),
        "auroc": over(auroc),
        "balanced_accuracy": over(lambda s, y: balanced_accuracy(s, y, threshold)),
    }
