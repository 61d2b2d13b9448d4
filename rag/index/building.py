"""Making a snapshot from the truth, a few thousand rows at a time."""

from __future__ import annotations

import secrets
import shutil
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
from filelock import FileLock, Timeout

from rag.errors import Conflict
from rag.index import approximate, columns
from rag.index.dense import DenseLeg
from rag.index.labels import row_labels
from rag.index.row_words import numbered
from rag.index.rows import RowTable
from rag.index.sizes import SIZES, Sizes
from rag.index.snapshot import (
    ENDS,
    LISTS,
    SHOWN,
    VECTORS,
    WORDS,
    Manifest,
    Snapshot,
    finish,
    finished,
    remove,
)
from rag.index.tantivy_lexical import BUILD_BYTES, TantivyLexical
from rag.index.terms import form, read
from rag.ports import Row, Store

PAGE = 5_000  # rows in memory at a time
_LOCK = "build.lock"

Progress = Callable[[int], None]  # rows so far


def build(
    store: Store,
    collection: str,
    folder: Path,
    dimension: int,
    floor: int,
    *,
    sizes: Sizes = SIZES,
    progress: Progress | None = None,
) -> Snapshot | None:
    """A snapshot of the newest generation without the rows that died up to `floor`; older ones are
    removed once it stands, so that what was deleted leaves the disk (ERASED). None while another
    process is at it. Raises Conflict when the collection was purged or put back meanwhile,
    Corrupt, DiskFull, IndexUnavailable."""
    folder.mkdir(parents=True, exist_ok=True)
    try:
        with FileLock(folder / _LOCK, timeout=0):
            for left in folder.glob("part-*"):
                shutil.rmtree(left, ignore_errors=True)
            older = finished(folder)
            part = folder / f"part-{secrets.token_hex(4)}"
            part.mkdir()
            try:
                made = _write(store, collection, part, dimension, floor, sizes, progress)
                snapshot = finish(part, made, folder)
            finally:
                shutil.rmtree(part, ignore_errors=True)
            for path in older:
                remove(path)
            return snapshot
    except Timeout:
        return None


def _write(
    store: Store,
    collection: str,
    part: Path,
    dimension: int,
    floor: int,
    sizes: Sizes,
    progress: Progress | None,
) -> Manifest:
    started = time.monotonic()
    with store() as work:
        generation = work.chunks.news(collection, 0).generation
        mark = work.chunks.mark(collection, generation)
    table, leg = RowTable(), DenseLeg(dimension)
    lexical = TantivyLexical(_made(part / WORDS), writer_bytes=BUILD_BYTES)
    ends = [0]
    with (part / VECTORS).open("wb") as vectors, (part / SHOWN).open("wb") as shown:
        for page in pages(store, collection, generation):
            kept = [row for row in page if row.died is None or row.died > floor]
            table.check(kept)
            vectors.write(leg.matrix(kept).astype("<f4").tobytes())
            analysed = [read(row) for row in kept]
            lexical.add([terms for terms, _ in analysed], [row_labels(row) for row in kept])
            for _, words in analysed:
                shown.write(numbered(words).astype("<u8").tobytes())
                ends.append(ends[-1] + len(words))
            table.extend(kept)
            if progress is not None:
                progress(len(table))
    lexical.close()
    columns.save(table, part)
    np.save(part / ENDS, np.array(ends[1:], np.int64))
    looked = approximate.Looked(0, 0, 1.0)
    if len(table) >= sizes.approximate:
        shape = (len(table), dimension)
        mapped = np.memmap(part / VECTORS, np.float32, "r", shape=shape)
        looked = approximate.build(mapped, part / LISTS)
    made = Manifest(
        collection,
        generation,
        floor,
        mark,
        form(),
        dimension,
        len(table),
        looked.lists,
        looked.probes,
        looked.recall,
        time.monotonic() - started,
        {},
    )
    if not of_the_truth(store, made):
        raise Conflict("the collection was purged or put back while its index was made")
    return made


def of_the_truth(store: Store, made: Manifest) -> bool:
    """Whether the truth still has the generation a snapshot was made at, and all of its rows: a
    store that was put back to a backup has not, nor one that rows were purged of."""
    asked = (made.collection, made.generation, made.floor, made.mark)
    return rows_of_the_truth(store, *asked) == made.rows


def rows_of_the_truth(
    store: Store, collection: str, generation: int, floor: int, mark: str
) -> int | None:
    """How many rows the truth has that were born up to a generation and did not die up to `floor`;
    None when it has not the generation of this mark."""
    with store() as work:
        if work.chunks.mark(collection, generation) != mark:
            return None
        whole, later, before = (work.chunks.news(collection, at) for at in (0, generation, floor))
    born, ended = whole.born - later.born, whole.ended - before.ended
    return born - ended


def pages(store: Store, collection: str, generation: int) -> Iterator[list[Row]]:
    """The rows born up to `generation` in order, in transactions of their own."""
    after = -1
    while True:
        with store() as work:
            page = list(work.chunks.stretch(collection, after, generation, PAGE))
        if not page:
            return
        yield page
        after = page[-1].row


def _made(folder: Path) -> Path:
    folder.mkdir()
    return folder
