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
_ASKED = 256  # questions that the recall is measured with
_LEAST = 16  # lists looked into, however well fewer do
_TRAINED = 64  # vectors a centroid
_ROUNDS = 10  # of k-means
_BATCH = 65_536  # rows in memory at a time
_RESCORED = 200  # candidates for the exact scores, at least
_DEEPER = 4.0  # how many times the lists a filter may cost


@dataclass(frozen=True, slots=True)
class Looked:
    """Lists looked into, and the recall@10 against flat search that they reached. It is measured on
    vectors of the collection with noise of their own length, about as far from them as a question
    is from its passage: vectors as they are would find their neighbours in far fewer lists."""

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
    looked = _looked(Approximate(index, 1), lists, vectors, draw)
    faiss.write_index(index, str(path))
    return looked


def _some(draw: np.random.Generator, rows: int, n: int) -> NDArray[np.int64]:
    return np.sort(draw.choice(rows, min(rows, n), replace=False))


def _looked(
    approximate: Approximate, lists: int, vectors: Vectors, draw: np.random.Generator
) -> Looked:
    """The fewest lists, doubled from the least, that reach the target; all where none does."""
    own = vectors[_some(draw, len(vectors), _ASKED)]
    noise = draw.normal(size=own.shape)
    noise /= np.linalg.norm(noise, axis=1, keepdims=True)
    questions = np.ascontiguousarray(own + noise, np.float32)
    questions /= np.linalg.norm(questions, axis=1, keepdims=True)
    exact = _nearest(vectors, questions)
    probes = min(_LEAST, lists)
    while True:
        found = approximate._search(questions, _AT, probes)
        right = [
            len(set(_best(vectors, question, near)) & set(best.tolist()))
            for question, near, best in zip(questions, found, exact, strict=True)
        ]
        recall = sum(right) / exact.size
        if recall >= TARGET or probes == lists:
            return Looked(lists, probes, recall)
        probes = min(lists, 2 * probes)


def _best(vectors: Vectors, question: NDArray[np.float32], near: NDArray[np.int64]) -> list[int]:
    near = np.sort(near[near >= 0])
    order = np.argsort(-(vectors[near] @ question), kind="stable")[:_AT]
    return [int(at) for at in near[order]]


def _nearest(vectors: Vectors, questions: Vectors) -> NDArray[np.int64]:
    """Flat search, a batch of rows at a time: (questions, up to 10) positions in no order."""
    scores = np.empty((len(questions), 0), np.float32)
    places = np.empty((len(questions), 0), np.int64)
    for start in range(0, len(vectors), _BATCH):
        batch = questions @ vectors[start : start + _BATCH].T
        at = np.broadcast_to(np.arange(start, start + batch.shape[1]), batch.shape)
        scores = np.concatenate([scores, batch], axis=1)
        places = np.concatenate([places, at], axis=1)
        top = np.argpartition(-scores, min(_AT, scores.shape[1]) - 1, axis=1)[:, :_AT]
        scores = np.take_along_axis(scores, top, 1)
        places = np.take_along_axis(places, top, 1)
    return places
