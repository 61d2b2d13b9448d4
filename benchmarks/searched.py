"""What pipelines are held against each other on: texts and questions with their vectors."""

from __future__ import annotations

import gzip
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from eval.beir import Item, RetrievalSet
from eval.vectors import embed_cached
from rag.errors import BadSamples
from rag.ports import Embedder, Vectors

NOISE = 0.02  # of each number of a made vector; a real one's are about .05


@dataclass(frozen=True, slots=True)
class Searched:
    """`vectors[i]` belongs to `items[i].indexed`, shape (n, dimension). `grades[q]` maps items' ids
    to grades; empty where nothing was judged."""

    name: str
    items: Sequence[Item]
    vectors: Vectors
    questions: Sequence[str]
    question_vectors: Vectors
    grades: Sequence[Mapping[str, int]] = ()

    @property
    def texts(self) -> list[str]:
        """As every pipeline reads them, ours too; only ours is told which part is the title."""
        return [item.indexed for item in self.items]


class Known:
    """The embedder port over vectors that were made before."""

    identity, max_tokens = "known", 512

    def __init__(self, searched: Searched) -> None:
        rows = zip(searched.texts, searched.vectors, strict=True)
        asked = zip(searched.questions, searched.question_vectors, strict=True)
        self._vectors = dict(rows) | dict(asked)
        self.dimension = searched.vectors.shape[1]

    def count_tokens(self, text: str) -> int:
        return len(text.split())

    def embed(self, texts: Sequence[str]) -> Vectors:
        return np.stack([self._vectors[text] for text in texts])


def judged(found: RetrievalSet, embedder: Embedder, cache: Path) -> Searched:
    """Every text of the set that has words is one chunk."""
    items = [item for item in found.items if item.text.strip()]
    questions = list(found.queries.values())
    return Searched(
        found.name,
        items,
        embed_cached([item.indexed for item in items], embedder, cache),
        questions,
        embed_cached(questions, embedder, cache),
        [found.grades[query] for query in found.queries],
    )


def articles(path: Path) -> list[str]:
    """The paragraphs of a file of articles (`paragraphs` a line, gzip). Raises BadSamples."""
    found: list[str] = []
    try:
        with gzip.open(path, "rt", encoding="utf-8") as lines:
            for line in lines:
                found += [text for text in json.loads(line)["paragraphs"] if len(text.split()) > 1]
    except (OSError, EOFError, ValueError, KeyError, TypeError) as exc:
        raise BadSamples(f"{path} cannot be read as articles: {exc}") from exc
    if not found:
        raise BadSamples(f"{path} holds no paragraphs")
    return found


def many(
    texts: Sequence[str],
    vectors: Vectors,
    asked: Sequence[Searched],
    rows: int,
    questions: int,
    seed: int,
) -> Searched:
    """`rows` chunks, each half of one real text and half of another, with a vector near the mean of
    two real ones: made for the clock, not for judging. So many real questions of `asked` are put to
    them. There may be fewer vectors than texts."""
    rng = np.random.default_rng(seed)
    words = [text.split() for text in texts]
    pairs = rng.integers(0, len(texts), (rows, 2))
    made = [
        Item(str(n), "", " ".join(words[a][: len(words[a]) // 2] + words[b][len(words[b]) // 2 :]))
        for n, (a, b) in enumerate(pairs)
    ]
    near = vectors[pairs % len(vectors)].mean(axis=1) + rng.normal(
        0, NOISE, (rows, vectors.shape[1])
    )
    near /= np.linalg.norm(near, axis=1, keepdims=True)
    every = [text for each in asked for text in each.questions]
    known = np.concatenate([each.question_vectors for each in asked])
    chosen = rng.permutation(len(every))[:questions]
    return Searched(
        f"{rows:,} chunks", made, near.astype(np.float32), [every[n] for n in chosen], known[chosen]
    )
