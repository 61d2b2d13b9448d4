"""Trains the verifier's head on files of labelled pairs and writes it with its card.

    python -m eval.verifier_head OUT TRAIN.jsonl.gz ... --embedder FOLDER --cache DIR \
        [--most 1200] [--one-unit scifact] [--seed 0]

Each file counts alike, and so do its two labels. The cut, where pairs are told apart best, and the
figures of the card come from five-fold cross-validation in which no claim and no evidence of a
fold's test pairs was trained on; the development files are not read.
"""

from __future__ import annotations

import argparse
import json
import random
import shlex
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import save_file

from eval.pairs import Pair, best_of_groups, load_pairs
from eval.scorers.ranking import auroc, balanced_accuracy
from eval.vectors import embed_cached
from models.card import CARD
from models.embedder import SentenceEmbedder
from models.manifest import sha256_of
from models.training.verifier import HeadPlan, fit
from models.verifier import WEIGHTS, probabilities
from rag import similarity
from rag.errors import BadSamples
from rag.features import features
from rag.learned import INPUTS
from rag.ports import Embedder
from rag.verify import Lexical

Array = NDArray[np.float64]
FOLDS = 5


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m eval.verifier_head")
    parser.add_argument("out", type=Path)
    parser.add_argument("files", type=Path, nargs="+")
    parser.add_argument("--embedder", type=Path, required=True)
    parser.add_argument("--cache", type=Path, required=True, help="vectors, kept between runs")
    parser.add_argument("--most", type=int, default=1200, help="pairs of a file, drawn")
    parser.add_argument("--one-unit", action="append", default=[], metavar="DATASET")
    parser.add_argument("--seed", type=int, default=0)
    asked = parser.parse_args(arguments)
    files = {path: gathered(path, asked.most, asked.one_unit, asked.seed) for path in asked.files}
    embedder = SentenceEmbedder(asked.embedder, "cpu", threads=1)
    pairs = [pair for each in files.values() for pair in each]
    origin = np.array([path.name for path, each in files.items() for _ in each])
    card = train(pairs, origin, embedder, asked.cache, HeadPlan(seed=asked.seed), asked.out)
    card |= {
        "command": command(asked),
        "data": {p.name: {"pairs": len(each), "sha256": sha256_of(p)} for p, each in files.items()},
        "licences": "as the data's own; the weights hold no text",
    }
    (asked.out / CARD).write_text(json.dumps(card, indent=2) + "\n", "utf-8")
    print(json.dumps(card["cross_validation"], indent=2))


def command(asked: argparse.Namespace) -> str:
    """What made the weights, without where this machine keeps its files."""
    files = [f"TRAIN/{path.name}" for path in asked.files]
    line = ["python", "-m", "eval.verifier_head", f"models/verifiers/{asked.out.name}", *files]
    line += ["--embedder", f"MODELS/{asked.embedder.name}", "--cache", "DIR"]
    line += ["--most", str(asked.most), "--seed", str(asked.seed)]
    return shlex.join([*line, *(part for one in asked.one_unit for part in ("--one-unit", one))])


def gathered(path: Path, most: int, one_unit: Sequence[str], seed: int) -> list[Pair]:
    """At most `most` pairs. In a set named in `one_unit` the number of pieces of evidence tells the
    label by how it was made, so only the piece with most of the claim's words is kept."""
    pairs = load_pairs(path)
    if len(pairs) > most:
        pairs = random.Random(seed).sample(pairs, most)
    return [
        replace(p, evidence=similarity.near(p.evidence, p.claim)[1][0])
        if p.dataset in one_unit
        else p
        for p in pairs
    ]


def train(
    pairs: Sequence[Pair],
    origin: NDArray[np.str_],
    embedder: Embedder,
    cache: Path,
    plan: HeadPlan,
    out: Path,
) -> dict[str, Any]:
    """Writes the weights to `out` and returns what belongs in the card. Raises BadSamples when the
    pairs fall into fewer than five folds."""
    fold = folds(pairs)
    if len(np.unique(fold)) < FOLDS:
        raise BadSamples(f"the pairs share claims or evidence: they do not fall into {FOLDS} folds")
    rows = numbers(pairs, embedder, cache)
    labels = np.array([float(pair.supported) for pair in pairs])
    weights = even(origin, labels)
    scores = np.zeros(len(pairs))
    for k in range(FOLDS):
        known = fold != k
        head = fit(rows[known], labels[known], weights[known], plan)
        scores[~known] = probabilities(head, rows[~known])
    cut = best_cut(scores, labels, origin)
    out.mkdir(parents=True, exist_ok=True)
    head = fit(rows, labels, weights, plan)
    save_file({k: v.astype(np.float32) for k, v in head.items()}, out / WEIGHTS)
    return {
        "inputs": list(INPUTS),
        "embedder": embedder.identity,
        "cut": cut,
        "sha256": sha256_of(out / WEIGHTS),
        "plan": asdict(plan),
        "cross_validation": measured(pairs, scores, origin),
    }


def numbers(pairs: Sequence[Pair], embedder: Embedder, cache: Path) -> Array:
    """(pairs, inputs)."""
    texts: dict[str, int] = {}
    places = []
    for pair in pairs:
        both = similarity.near(pair.evidence, pair.claim)
        places.append([[texts.setdefault(t, len(texts)) for t in each] for each in both])
    vectors = embed_cached(list(texts), embedder, cache)
    rows = []
    for pair, (parts, held) in zip(pairs, places, strict=True):
        near = similarity.similarities(vectors[parts], vectors[held])
        rows.append((*features(pair.evidence, pair.claim), *similarity.rounded(near)))
    return np.array(rows)


def even(origin: NDArray[np.str_], labels: Array) -> Array:
    """Weights under which each file, and each label in it, counts alike."""
    weights = np.zeros(len(labels))
    for name in np.unique(origin):
        for label in (0.0, 1.0):
            rows = (origin == name) & (labels == label)
            weights[rows] = 1 / max(1, int(rows.sum()))
    return weights


def folds(pairs: Sequence[Pair]) -> NDArray[np.intp]:
    """A fold for each pair; those that share a claim, evidence or group are in one."""
    parent = list(range(len(pairs)))

    def root(i: int) -> int:
        while parent[i] != i:
            parent[i] = parent[parent[i]]
            i = parent[i]
        return i

    first: dict[str, int] = {}
    for i, pair in enumerate(pairs):
        keys = ["c" + pair.claim, "e" + pair.evidence]
        for key in keys + (["g" + pair.group] if pair.group else []):
            parent[root(i)] = root(first.setdefault(key, i))
    roots = [root(i) for i in range(len(pairs))]
    order = {r: n for n, r in enumerate(sorted(set(roots)))}
    shuffled = np.random.default_rng(0).permutation(len(order))
    return np.array([shuffled[order[r]] % FOLDS for r in roots], dtype=np.intp)


def best_cut(scores: Array, labels: Array, origin: NDArray[np.str_]) -> float:
    """The threshold with the best balanced accuracy, averaged over the files."""

    def mean(cut: float) -> float:
        each = [
            balanced_accuracy(scores[origin == n], labels[origin == n], cut)
            for n in np.unique(origin)
        ]
        return float(np.mean([value for value in each if value is not None]))

    return max((round(float(c), 3) for c in np.linspace(0.05, 0.95, 91)), key=mean)


def measured(
    pairs: Sequence[Pair], scores: Array, origin: NDArray[np.str_]
) -> dict[str, dict[str, float | int | None]]:
    """AUROC on pairs that were not trained on, with that of the lexical score beside it; groups by
    their best pair."""
    found: dict[str, dict[str, float | int | None]] = {}
    lexical = Lexical()
    for name in np.unique(origin):
        rows = np.flatnonzero(origin == name).tolist()
        own = [pairs[i] for i in rows]
        words = [lexical.support(pair.evidence, pair.claim, "") for pair in own]
        head, labels = best_of_groups([float(scores[i]) for i in rows], own)
        base, _ = best_of_groups(words, own)
        found[str(name)] = {
            "n": len(labels),
            "auroc": _rounded(auroc(head, labels)),
            "lexical": _rounded(auroc(base, labels)),
        }
    return found


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 4)


if __name__ == "__main__":
    main()
