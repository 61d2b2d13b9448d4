"""The chunks of one or several documents through the encoder, in batches across documents."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ingestion.prepare import Prepared
from rag.ports import Vectors

BATCH = 128  # chunks between two reports of progress; the encoder sorts them by length


def embed(documents: Sequence[Prepared]) -> list[Vectors]:
    """Of each document (its chunks, dimension) float32, with progress from 0.2 to 0.95. All have
    the same embedder. Once every lease is lost it stops, and what is given is of no use."""
    embedder = documents[0].embedder
    texts = [text for each in documents for text in each.indexed]
    vectors = np.empty((len(texts), embedder.dimension), dtype=np.float32)
    _show(documents, 0.0)
    for start in range(0, len(texts), BATCH):
        if all(each.lease.lost for each in documents):
            break
        batch = texts[start : start + BATCH]
        vectors[start : start + len(batch)] = embedder.embed(batch)
        _show(documents, (start + len(batch)) / len(texts))
    return np.split(vectors, np.cumsum([len(each.indexed) for each in documents])[:-1])


def _show(documents: Sequence[Prepared], done: float) -> None:
    for each in documents:
        each.lease.show("embedding", 0.2 + 0.75 * done)
