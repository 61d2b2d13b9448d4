"""The dense leg: inner products over the permitted rows, exact unless very many are permitted."""

from __future__ import annotations

from collections.abc import Sequence

import faiss
import numpy as np
from numpy.typing import NDArray

from rag.errors import Corrupt, ModelError
from rag.index.approximate import Approximate
from rag.index.mask import Mask
from rag.index.ranked import NOTHING, Ranked, best_of
from rag.index.sizes import SIZES, Sizes
from rag.ports import Row, Vectors

_UNIT = 1e-2  # how far the length of a stored or asked vector may be from 1
_BLOCK = 16_384  # rows; memory is taken block by block, so growing copies nothing
_DEEPEST = 1_000  # hits; who asks for more wants everything, and gets it exactly


class DenseLeg:
    """Rows are numbered from 0 in the order they were added and never removed. The first may be a
    snapshot's, read from its file, with an approximate index over them; those added since are
    compared one by one. Every score is the exact inner product, whichever way a row was found.

    A graph index loses more than half of the rows behind a filter that permits 2% of them, and an
    inverted file some: a filter that permits few rows has each of them compared.
    """

    def __init__(
        self,
        dimension: int,
        base: Vectors | None = None,
        approximate: Approximate | None = None,
        sizes: Sizes = SIZES,
    ) -> None:
        self.dimension = dimension
        self._base = np.empty((0, dimension), np.float32) if base is None else base
        self._approximate = approximate
        self._sizes = sizes
        self._tail: list[Vectors] = []
        self._rows = self.base = len(self._base)

    def __len__(self) -> int:
        return self._rows

    def matrix(self, born: Sequence[Row]) -> Vectors:
        """The rows' vectors, shape (len(born), dimension), checked. Raises Corrupt."""
        if not born:
            return np.empty((0, self.dimension), np.float32)
        if all(row.vector.shape == (self.dimension,) for row in born):
            vectors = np.ascontiguousarray(np.stack([row.vector for row in born]), np.float32)
            lengths = np.linalg.norm(vectors.astype(np.float64), axis=1)
            if (np.abs(lengths - 1) <= _UNIT).all():  # false where one is no number
                return vectors
        for row in born:
            if wrong := wrong_vector(row.vector, self.dimension):
                raise Corrupt(
                    f"the stored vector of chunk {row.chunk} {wrong}; run `attest doctor`"
                )
        raise AssertionError("one of the vectors is wrong")

    def extend(self, vectors: Vectors) -> None:
        """Append what `matrix` gave."""
        while len(vectors):
            used = (self._rows - self.base) % _BLOCK
            if not used:
                self._tail.append(np.empty((_BLOCK, self.dimension), np.float32))
            fitting = vectors[: _BLOCK - used]
            self._tail[-1][used : used + len(fitting)] = fitting
            self._rows += len(fitting)
            vectors = vectors[len(fitting) :]

    def search(self, vector: NDArray[np.float32], mask: Mask, k: int) -> Ranked:
        """The k best permitted rows by cosine, ties by position. Raises ModelError for a vector
        that is no unit vector of the index's dimension."""
        if wrong := wrong_vector(vector, self.dimension):
            raise ModelError(f"the question's vector {wrong}; check the embedder of the collection")
        if k < 1 or not mask.count:
            return NOTHING
        question = np.ascontiguousarray(vector, np.float32)
        wide = mask.count > self._sizes.exact_rows and k <= _DEEPEST
        if self._approximate is not None and wide:
            found = self._approximate.candidates(question, mask, k)
            found = np.concatenate([found[found < self.base], mask.behind(self.base)])
            best = best_of(found, self._products(question, found), k)
            if len(best) == k:
                return best
        return best_of(mask.positions, self._products(question, mask.positions), k)

    def _products(
        self, question: NDArray[np.float32], positions: NDArray[np.int64]
    ) -> NDArray[np.float32]:
        """Of `positions`, block after block; those of one block stand together."""
        scores = np.empty(len(positions), np.float32)
        blocks = [(0, self._base), *((self.base + n * _BLOCK, t) for n, t in enumerate(self._tail))]
        block_of = np.maximum(positions - self.base, -1) // _BLOCK  # -1: the base
        edges = np.searchsorted(block_of, np.arange(-1, len(self._tail) + 1))
        for (start, block), low, high in zip(blocks, edges[:-1], edges[1:], strict=True):
            if low < high:
                inside = positions[low:high] - start if start else positions[low:high]
                products(block, inside, question, scores[low:high])
        return scores


def products(
    vectors: Vectors,
    positions: NDArray[np.int64],
    question: NDArray[np.float32],
    into: NDArray[np.float32],
) -> None:
    """The inner products of `question` with vectors[positions], without copying them. FAISS sums
    them in the order of its flat index, so the scores are equal to it bit for bit."""
    inside = np.ascontiguousarray(positions)
    rows, dimension = vectors.shape
    if len(inside) and not 0 <= int(inside.min()) <= int(inside.max()) < rows:
        raise IndexError(f"positions up to {inside.max()} of {rows} rows")
    faiss.fvec_inner_products_by_idx(  # type: ignore[attr-defined]  # not in its stubs
        faiss.swig_ptr(into),
        faiss.swig_ptr(question),
        faiss.swig_ptr(vectors),
        faiss.swig_ptr(inside),
        dimension,
        1,
        len(inside),
    )


def wrong_vector(vector: NDArray[np.float32], dimension: int) -> str:
    """What is wrong with a vector, "" when nothing is."""
    if vector.shape != (dimension,):
        return f"has shape {vector.shape}, not ({dimension},)"
    if not np.isfinite(vector).all():
        return "holds a value that is not finite"
    length = float(np.linalg.norm(vector.astype(np.float64)))
    if abs(length - 1) > _UNIT:
        return f"has length {length:.4g}, not 1"
    return ""
