"""A collection of any size for `benchmarks.search_size`: real passages recombined.

Every row joins the halves of two real passages on like subjects. Its vector lies between theirs,
with noise, so that rows are as crowded as MiniLM's vectors of real text are; nothing is embedded
but the real passages and the real questions. One document in fifty may be read by the group `few`
only, every second of the others by `half` only; one in five has metadata `kind = "manual"`.
"""

from __future__ import annotations

import hashlib
import json
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from eval.progress import Progress, Say
from eval.samples import load
from eval.vectors import embed_cached
from rag.domain import LOCAL_GROUP, Right
from rag.ports import Embedder, Vectors
from rag.store.migrate import upgrade
from rag.store.unit import open_store

FEW, HALF = "few", "half"
WORDS = 90  # of a passage, and of a chunk
LIKE = 8  # neighbours of a passage that it may be joined with
NOISE = 0.35  # its length, beside vectors of length 1
CHUNKS = 20  # a document, which is a generation
_BATCH = 20_000  # rows


@dataclass(frozen=True)
class Real:
    texts: list[str]
    vectors: Vectors
    questions: list[str]
    asked: Vectors

    @cached_property
    def like(self) -> NDArray[np.int64]:
        """The `LIKE` nearest others of each passage, in no order."""
        near = self.vectors @ self.vectors.T
        np.fill_diagonal(near, -1)
        return np.argpartition(-near, LIKE, axis=1)[:, :LIKE]


def real(dev: Path, embedder: Embedder, cache: Path, passages: int, questions: int) -> Real:
    """Passages and questions of a folder of samples, embedded."""
    files = [p for p in sorted(dev.glob("*.jsonl.gz")) if not p.name.startswith("verifier_")]
    samples = [sample for path in files for sample in load(path)]
    order = np.random.default_rng(0).permutation(len(samples))
    cut = (" ".join(p.text.split()[:WORDS]) for at in order for p in samples[at].passages)
    texts = list(dict.fromkeys(text for text in cut if len(text) > 200))[:passages]
    asked = [samples[at].question for at in order][:questions]
    return Real(
        texts, embed_cached(texts, embedder, cache), asked, embed_cached(asked, embedder, cache)
    )


def fill(path: Path, known: Real, embedder: str, rows: int, say: Say | None = None) -> str:
    """Write a database of so many rows at `path`, straight into its tables; the collection's id.
    Every document is a generation, as if it had been published by itself."""
    upgrade(f"sqlite:///{path}")
    store = open_store(f"sqlite:///{path}")
    with store() as work:
        held = work.collections.create("size", dict.fromkeys((LOCAL_GROUP, FEW, HALF), Right.READ))
        work.commit()
    store.close()
    progress = Progress("rows written", rows, say)
    with closing(sqlite3.connect(path)) as db:
        db.execute("PRAGMA synchronous = OFF")
        db.execute("PRAGMA foreign_keys = OFF")
        for start in range(0, rows, _BATCH):
            _write(db, held.id, known, start, min(rows, start + _BATCH))
            progress.step(min(rows, start + _BATCH) - start)
        documents = -(-rows // CHUNKS)
        db.execute(
            "UPDATE collections SET generation = ? WHERE id = ?",
            (documents, held.id),
        )
        db.execute(
            "UPDATE embeddings SET embedder = ?, dimension = ? WHERE id = ?",
            (embedder, known.vectors.shape[1], held.id),
        )
        db.commit()
    return held.id


def _write(
    db: sqlite3.Connection, collection: str, known: Real, start: int, end: int, commit: bool = True
) -> None:
    at = "2026-01-01 00:00:00.000000"
    for document in range(start // CHUNKS, -(-end // CHUNKS)):
        id = f"d{document:08}"
        readers, metadata = _access(document)
        db.execute(
            "INSERT INTO documents (id, collection, name, readers, metadata, created) "
            "VALUES (?, ?, ?, ?, ?, ?)",
            (id, collection, f"{id}.txt", readers, metadata, at),
        )
        db.execute(
            "INSERT INTO versions (id, collection, document, sha256, media_type, title, size, "
            "text_blob, metadata, chunks, born, created) "
            "VALUES (?, ?, ?, ?, 'text/plain', '', 0, ?, '{}', ?, ?, ?)",
            (id, collection, id, id, id, min(CHUNKS, end - document * CHUNKS), document + 1, at),
        )
        db.execute(
            "INSERT INTO generations VALUES (?, ?, 'published', ?, ?)",
            (collection, document + 1, id, at),
        )
    texts, vectors = mixed(known, np.arange(start, end))
    db.executemany(
        "INSERT INTO chunks (collection, document, version, chunk, start, end, heading_path, text, "
        "indexed, readers, metadata, born) VALUES (?, ?, ?, ?, 0, ?, '[]', ?, ?, ?, ?, ?)",
        _rows(collection, start, texts),
    )
    made = (vector.astype("<f4").tobytes() for vector in vectors)
    db.executemany(
        "INSERT INTO vectors (chunk, embedding, vector) VALUES (?, ?, ?)",
        ((_chunk(row), collection, data) for row, data in enumerate(made, start)),
    )
    if commit:
        db.commit()


def _rows(collection: str, start: int, texts: list[str]) -> Iterator[tuple[object, ...]]:
    for row, text in enumerate(texts, start):
        document = row // CHUNKS
        id = f"d{document:08}"
        access = _access(document)
        yield (collection, id, id, _chunk(row), len(text), text, text, *access, document + 1)


def _chunk(row: int) -> str:
    return hashlib.sha256(f"{row}".encode()).hexdigest()[:32]


def _access(document: int) -> tuple[str | None, str]:
    """Readers and metadata, as JSON."""
    few, half = document % 50 == 0, document % 2 == 0
    readers = (
        json.dumps([FEW]) if few else json.dumps([HALF]) if half else json.dumps([LOCAL_GROUP])
    )
    return readers, json.dumps({"kind": "manual"} if document % 5 == 0 else {})


def mixed(known: Real, rows: np.ndarray) -> tuple[list[str], Vectors]:
    """Texts and unit vectors of these rows; the same number always gives the same row."""
    draw = np.random.default_rng(int(rows[0]))
    one = draw.integers(0, len(known.texts), len(rows))
    other = known.like[one, draw.integers(0, LIKE, len(rows))]
    share = draw.uniform(0.2, 0.8, (len(rows), 1)).astype(np.float32)
    noise = draw.normal(size=(len(rows), known.vectors.shape[1])).astype(np.float32)
    noise *= NOISE / np.linalg.norm(noise, axis=1, keepdims=True)
    vectors = share * known.vectors[one] + (1 - share) * known.vectors[other] + noise
    texts = []
    for a, b, part in zip(one, other, share[:, 0], strict=True):
        first, second = known.texts[a].split(), known.texts[b].split()
        words = round(WORDS * float(part))
        from_first = draw.integers(0, max(1, len(first) - words + 1))
        texts.append(" ".join(first[from_first : from_first + words] + second[: WORDS - words]))
    return texts, vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def grow(path: Path, known: Real, rows: int) -> None:
    """Commit so many rows more, as new documents, in one transaction."""
    with closing(sqlite3.connect(path, timeout=30)) as db:
        collection, generation = db.execute("SELECT id, generation FROM collections").fetchone()
        start = generation * CHUNKS
        _write(db, collection, known, start, start + rows, commit=False)
        db.execute("UPDATE collections SET generation = ?", (generation + rows // CHUNKS,))
        db.commit()
