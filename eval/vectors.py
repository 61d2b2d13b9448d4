"""Vectors of texts that were embedded before, by content hash; a cache that may be deleted."""

from __future__ import annotations

import hashlib
import sqlite3
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

import numpy as np

from eval.progress import Progress, Say
from rag.ports import Embedder, Vectors

BATCH = 64


def embed_cached(
    texts: Sequence[str], embedder: Embedder, folder: Path, say: Say | None = None
) -> Vectors:
    """Unit vectors (n, dimension) of the texts; only texts unknown under this embedder's identity
    are embedded. The cache is one SQLite file per identity in `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    name = hashlib.sha256(embedder.identity.encode()).hexdigest()[:16]
    keys = [hashlib.sha256(text.encode()).digest() for text in texts]
    with closing(sqlite3.connect(folder / f"vectors-{name}.db", timeout=30)) as cache:
        cache.execute("CREATE TABLE IF NOT EXISTS vector (key BLOB PRIMARY KEY, data BLOB)")
        known: dict[bytes, bytes] = {}
        for key in dict.fromkeys(keys):
            row = cache.execute("SELECT data FROM vector WHERE key = ?", (key,)).fetchone()
            if row is not None:
                known[key] = row[0]
        missing = {k: t for k, t in zip(keys, texts, strict=True) if k not in known}
        progress = Progress("embedding", len(missing), say)
        todo = list(missing)
        for at in range(0, len(todo), BATCH):
            batch = todo[at : at + BATCH]
            vectors = embedder.embed([missing[key] for key in batch])
            found = {k: v.astype("<f4").tobytes() for k, v in zip(batch, vectors, strict=True)}
            cache.executemany("INSERT OR REPLACE INTO vector VALUES (?, ?)", found.items())
            cache.commit()
            known |= found
            progress.step(len(batch))
    flat = b"".join(known[key] for key in keys)
    return (
        np.frombuffer(flat, dtype="<f4").reshape(len(keys), embedder.dimension).astype(np.float32)
    )
