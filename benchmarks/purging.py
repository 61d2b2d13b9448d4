"""What a purge costs, and what a searcher asks first after a change of embedder.

    python -m benchmarks.purging --rows 100000

Makes a collection of so many rows in SQLite, in documents of 100 chunks with random vectors, swaps
the embedder, deletes a tenth of the documents and purges. Prints seconds of processor time of this
process (and by the clock); for `news` the least of five.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from uuid import uuid4

import numpy as np

from ingestion import purge as purging
from rag.bootstrap import Attest, open_attest
from rag.domain import LOCAL_GROUP, Block, BlockKind, Chunk, EmbeddingState, Right, chunk_id
from rag.index.building import pages
from rag.ports import Publication
from rag.settings import Settings

CHUNKS, DIMENSION = 100, 384
WORDS = ("invoice", "paid", "late", "fee", "goods", "terms", "leave", "travel", "train", "office")


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="benchmarks.purging", description=__doc__)
    parser.add_argument("--rows", type=int, default=100_000)
    asked = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as folder:
        attest = open_attest(Settings(data=Path(folder) / "data"))
        try:
            measure(attest, asked.rows)
        finally:
            attest.close()


def measure(attest: Attest, rows: int) -> None:
    draw = np.random.default_rng(7)
    with attest.store() as work:
        into = work.collections.create("many", {LOCAL_GROUP: Right.MANAGE}).id
        work.commit()
    began = time.monotonic()
    documents = [take_in(attest, into, n, draw) for n in range(rows // CHUNKS)]
    print(f"{rows} rows made in {time.monotonic() - began:.0f} s", file=sys.stderr)
    tell("news(0), first embedder", [timed(lambda: news(attest, into)) for _ in range(5)])
    new = swap(attest, into, draw)
    tell("news(0), after the change", [timed(lambda: news(attest, new)) for _ in range(5)])
    tell("all rows read, page by page", [timed(lambda: read(attest, into, new))])
    for id in documents[::10]:
        with attest.store() as work:
            work.documents.delete(id)
            work.commit()
    tell("dry run", [timed(lambda: purging.due(attest))])
    waits: list[float] = []
    last = time.monotonic()

    def between(_: object) -> None:
        nonlocal last
        waits.append(time.monotonic() - last)
        last = time.monotonic()

    tell("purge", [timed(lambda: purging.purge(attest, "ann", progress=between))])
    print(f"{len(waits)} commits; the longest took {max(waits):.2f} s by the clock")


def timed(act: Callable[[], object]) -> tuple[float, float]:
    cpu, clock = time.process_time(), time.monotonic()
    act()
    return time.process_time() - cpu, time.monotonic() - clock


def tell(what: str, taken: Sequence[tuple[float, float]]) -> None:
    cpu, clock = min(taken)
    print(f"{what}: {cpu:.3f} s of the processor, {clock:.3f} by the clock", flush=True)


def news(attest: Attest, embedding: str) -> object:
    with attest.store() as work:
        return work.chunks.news(embedding, 0)


def read(attest: Attest, collection: str, embedding: str) -> int:
    with attest.store() as work:
        newest = work.collections.get(collection).generation
    return sum(len(page) for page in pages(attest.store, embedding, newest))


def take_in(attest: Attest, into: str, n: int, draw: np.random.Generator) -> str:
    texts = [" ".join(draw.choice(WORDS, 60)) for _ in range(CHUNKS)]
    whole = f"{n}\n" + "\n".join(texts)
    blob = attest.blobs.put(whole.encode())
    vectors = draw.standard_normal((CHUNKS, DIMENSION)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    with attest.store() as work:
        job = work.documents.accept(into, f"{n}.txt", blob, len(whole))
        work.commit()
    version, start, chunks = uuid4().hex, len(f"{n}\n"), []
    for text in texts:
        end = start + len(text)
        chunks.append(Chunk(chunk_id(version, start, end), version, start, end, text, (), None))
        start = end + 1
    made = Publication(
        version, "text/plain", f"{n}", len(whole), None, blob, None, {},
        [Block(BlockKind.PARAGRAPH, each.start, each.end, None, ()) for each in chunks],
        chunks, texts, vectors, "random-1",
    )  # fmt: skip
    with attest.store() as work:
        work.jobs.lease(job.id, "w", 600)
        work.documents.publish(job.id, "w", made)
        work.commit()
    return job.document


def swap(attest: Attest, into: str, draw: np.random.Generator) -> str:
    with attest.store() as work:
        id = work.embeddings.begin(into, "random-2", DIMENSION, "ann").id
        work.embeddings.lease(id, "w", 10**6)
        work.commit()
    while True:
        with attest.store() as work:
            missing = work.embeddings.missing(id, 1_000)
            if not missing:
                break
            vectors = draw.standard_normal((len(missing), DIMENSION)).astype(np.float32)
            work.embeddings.put(id, "w", missing, vectors)
            work.commit()
    with attest.store() as work:
        work.embeddings.complete(id, "w")
        work.embeddings.swap(id, "w")
        work.embeddings.drop(into, [EmbeddingState.LEAVING])
        work.commit()
    return id


if __name__ == "__main__":
    main()
