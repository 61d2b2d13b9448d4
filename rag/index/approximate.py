"""An inverted file over a snapshot's rows: near rows without comparing all, for rescoring.

The vectors are divided among lists by their nearest centroid, one byte a number (FAISS
`IVF,SQ8`, Jegou, Douze and Schmid 2011); a question looks into the lists nearest to it. How many
is chosen when the file is built, by the recall measured then.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import faiss
import numpy as np
from numpy.typing import NDArray

from rag.errors import Corrupt
from rag.index.mask import Mask
from rag.ports import Vectors

TARGET = 0.985  # recall@10 that the number of lists looked into must reach
_AT = 10
_ASKED = 256  # own vectors that the recall is measured with
_TRAINED = 64  # vectors a centroid
_ROUNDS = 10  # of k-means
_BATCH = 65_536  # rows in memory at a time
_RESCORED = 200  # candidates for the exact scores, at least
_DEEPER = 4.0  # how many times the lists a filter may cost


@dataclass(frozen=True, slots=True)
class Looked:
    """Lists looked into, and the recall@10 against flat search that they reached on vectors of the
    collection itself (each asked for its ten nearest others)."""

    lists: int
    probes: int
    recall: float


class Approximate:
    """Safe to share by threads: each search has its own parameters."""

    def __init__(self, index: faiss.IndexIVF, probes: int) -> None:
        self._index = index
        self._probes = probes

    @property
    def rows(self) -> int:
        return int(self._index.ntotal)

    def candidates(self, question: NDArray[np.float32], mask: Mask, k: int) -> NDArray[np.int64]:
        """Positions of permitted rows that are likely among the k best, ascending. A filter that
        permits a part of the rows leaves fewer good ones in each list, so more are looked into."""
        share = mask.count / max(1, len(mask.allowed))
        probes = int(self._probes * min(_DEEPER, share**-0.5))
        # FAISS's Python layer takes arrays and keywords that its stubs do not know.
        selector = faiss.IDSelectorBitmap(mask.bits)  # type: ignore[call-arg, arg-type]
        found = self._search(question.reshape(1, -1), k, probes, sel=selector)[0]
        found = np.sort(found[(found >= 0) & (found < len(mask.allowed))])
        kept: NDArray[np.int64] = found[mask.allowed[found]]  # an index's filter is not trusted
        return kept

    def _search(self, questions: Vectors, k: int, probes: int, **more: object) -> NDArray[np.int64]:
        parameters = faiss.SearchParametersIVF(  # type: ignore[call-arg]
            nprobe=min(probes, self._index.nlist), **more
        )
        wanted = max(_RESCORED, 4 * k)
        found: NDArray[np.int64] = self._index.search(questions, wanted, params=parameters)[1]
        return found


def opened(path: Path, rows: int, probes: int) -> Approximate:
    """The file, mapped into memory: only what a question looks into is read. Raises Corrupt."""
    try:
        index = faiss.read_index(str(path), faiss.IO_FLAG_MMAP)
    except RuntimeError as exc:
        raise Corrupt(f"{path} is no index: {exc}") from exc
    if not isinstance(index, faiss.IndexIVF) or index.ntotal != rows:
        raise Corrupt(f"{path} is no inverted file of {rows} rows")
    return Approximate(index, probes)


def build(vectors: Vectors, path: Path, seed: int = 0) -> Looked:
    """Write the inverted file of `vectors` (rows, dimension); they may lie in a mapped file."""
    rows, dimension = vectors.shape
    lists = max(1, min(rows // 40, round(2 * rows**0.5)))
    draw = np.random.default_rng(seed)
    index: Any = faiss.index_factory(dimension, f"IVF{lists},SQ8", faiss.METRIC_INNER_PRODUCT)
    index.cp.niter, index.cp.seed = _ROUNDS, seed
    index.cp.min_points_per_centroid = 1
    index.train(vectors[_some(draw, rows, _TRAINED * lists)])
    for start in range(0, rows, _BATCH):
        index.add(np.ascontiguousarray(vectors[start : start + _BATCH]))
    looked = _looked(Approximate(index, 1), lists, vectors, _some(draw, rows, _ASKED))
    faiss.write_index(index, str(path))
    return looked


def _some(draw: np.random.Generator, rows: int, n: int) -> NDArray[np.int64]:
    return np.sort(draw.choice(rows, min(rows, n), replace=False))


def _looked(
    approximate: Approximate, lists: int, vectors: Vectors, asked: NDArray[np.int64]
) -> Looked:
    """The fewest lists, doubled from 4, that reach the target; all of them where none does."""
    questions = np.ascontiguousarray(vectors[asked])
    exact = _nearest(vectors, questions, asked)
    probes = 4
    while True:
        probes = min(probes, lists)
        found = approximate._search(questions, _AT, probes)
        best = [
            _best(vectors, question, near[(near >= 0) & (near != own)])
            for question, near, own in zip(questions, found, asked.tolist(), strict=True)
        ]
        right = [len(set(one) & set(other)) for one, other in zip(best, exact, strict=True)]
        recall = sum(right) / max(1, sum(len(each) for each in exact))
        if recall >= TARGET or probes == lists:
            return Looked(lists, probes, recall)
        probes *= 2


def _best(vectors: Vectors, question: NDArray[np.float32], near: NDArray[np.int64]) -> list[int]:
    near = np.sort(near)
    order = np.argsort(-(vectors[near] @ question), kind="stable")[:_AT]
    return [int(at) for at in near[order]]


def _nearest(vectors: Vectors, questions: Vectors, own: NDArray[np.int64]) -> list[list[int]]:
    """Flat search, a batch of rows at a time; without the question itself."""
    scores = np.full((len(questions), 0), 0, np.float32)
    places = np.empty((len(questions), 0), np.int64)
    for start in range(0, len(vectors), _BATCH):
        batch = questions @ vectors[start : start + _BATCH].T
        at = np.arange(start, start + batch.shape[1])
        batch[own[:, None] == at[None, :]] = -np.inf
        scores = np.concatenate([scores, batch], axis=1)
        places = np.concatenate([places, np.broadcast_to(at, batch.shape)], axis=1)
        top = np.argpartition(-scores, min(_AT, scores.shape[1]) - 1, axis=1)[:, :_AT]
        scores = np.take_along_axis(scores, top, 1)
        places = np.take_along_axis(places, top, 1)
    return [
        [int(at) for at, score in zip(line, values, strict=True) if np.isfinite(score)]
        for line, values in zip(places, scores, strict=True)
    ]
