"""The dense leg: exact inner products over the permitted rows, by FAISS."""

from __future__ import annotations

from collections.abc import Sequence

import faiss
import numpy as np
from numpy.typing import NDArray

from rag.errors import Corrupt, ModelError
from rag.index.mask import Mask
from rag.index.ranked import NOTHING, Ranked, exact_top
from rag.ports import Row, Vectors

_UNIT = 1e-2  # how far the length of a stored or asked vector may be from 1


class DenseLeg:
    """A flat index, so every answer is exact at every width of the filter. (A graph index loses
    more than half of the rows behind a filter that permits 2% of them.) Rows are numbered from 0
    in the order they were added and never removed."""

    def __init__(self, dimension: int) -> None:
        self.dimension = dimension
        self._index = faiss.IndexFlatIP(dimension)

    def matrix(self, born: Sequence[Row]) -> Vectors:
        """The rows' vectors, shape (len(born), dimension), checked. Raises Corrupt."""
        for row in born:
            if wrong := wrong_vector(row.vector, self.dimension):
                raise Corrupt(
                    f"the stored vector of chunk {row.chunk} {wrong}; run `attest doctor`"
                )
        if not born:
            return np.empty((0, self.dimension), np.float32)
        return np.ascontiguousarray(np.stack([row.vector for row in born]), np.float32)

    def extend(self, vectors: Vectors) -> None:
        """Append what `matrix` gave."""
        if len(vectors):
            self._index.add(vectors)

    def search(self, vector: NDArray[np.float32], mask: Mask, k: int) -> Ranked:
        """The k best permitted rows by cosine, ties by position. Raises ModelError for a vector
        that is no unit vector of the index's dimension."""
        if wrong := wrong_vector(vector, self.dimension):
            raise ModelError(f"the question's vector {wrong}; check the embedder of the collection")
        if k < 1 or not mask.count:
            return NOTHING
        question = np.ascontiguousarray(vector, np.float32).reshape(1, self.dimension)
        # FAISS's Python layer takes arrays and keywords that its stubs do not know.
        selector = faiss.IDSelectorBitmap(mask.bits)  # type: ignore[call-arg, arg-type]
        parameters = faiss.SearchParameters(sel=selector)  # type: ignore[call-arg]

        def best(n: int) -> Ranked:
            n = min(n, mask.count)
            scores, positions = self._index.search(question, n, params=parameters)
            return Ranked(positions[0].astype(np.int64), scores[0].astype(np.float64))

        return exact_top(best, mask.allowed, k, k + 1)


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
