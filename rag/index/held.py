"""What a searcher holds in memory, or mapped from a snapshot, at one generation."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from rag.domain import Hit, Leg
from rag.index import approximate, columns
from rag.index.dense import DenseLeg
from rag.index.labels import row_labels
from rag.index.lexical import Lexical
from rag.index.ranked import Ranked
from rag.index.rows import RowTable
from rag.index.sizes import Sizes
from rag.index.snapshot import LISTS, VECTORS, WORDS, Snapshot
from rag.index.standing import Standing
from rag.index.tantivy_lexical import TantivyLexical
from rag.index.terms import terms
from rag.index.working import Working
from rag.ports import Row, Vectors


class Held:
    """Position i is the same row in all three. Rows that died up to `floor` are not here."""

    def __init__(
        self,
        rows: RowTable,
        dense: DenseLeg,
        lexical: Lexical,
        snapshot: Snapshot | None = None,
        working: Working | None = None,
    ) -> None:
        self.rows = rows
        self.dense = dense
        self.lexical = lexical
        self.snapshot = snapshot
        self.generation = 0 if snapshot is None else snapshot.manifest.generation
        self.mark = "" if snapshot is None else snapshot.manifest.mark
        self.floor = 0 if snapshot is None else snapshot.manifest.floor
        self.ended_before = rows.ended  # when the snapshot was made
        self.verified = False  # the snapshot's vectors
        self._working = working

    @property
    def name(self) -> str:
        """Of the snapshot under it, "" without one."""
        return "" if self.snapshot is None else self.snapshot.folder.name

    def prepare(self, born: Sequence[Row]) -> Prepared:
        """All that is slow about new rows; questions go on beside it. Raises Corrupt,
        IndexUnavailable."""
        self.rows.check(born)
        vectors = self.dense.matrix(born)
        if born:
            found = [_words(row) for row in born]
            self.lexical.add([words for words, _ in found], [labels for _, labels in found])
        return Prepared(born, vectors)

    def show(
        self, prepared: Prepared, died: Sequence[tuple[int, int]], generation: int, mark: str
    ) -> None:
        """Make it visible; no question may run meanwhile. Raises Corrupt, IndexUnavailable."""
        self.rows.extend(prepared.born)
        self.rows.end(died)
        self.dense.extend(prepared.vectors)
        self.lexical.show()
        self.generation, self.mark = generation, mark

    @property
    def working(self) -> Path | None:
        """The folder of postings that this process adds to."""
        return None if self._working is None else self._working.path

    @property
    def swept(self) -> bool:
        """Whether another process took that folder away."""
        return self.working is not None and not self.working.exists()

    def standing(self) -> Standing:
        if self.snapshot is None:
            rows, ended = len(self.rows), self.rows.ended
            return Standing("memory", self.generation, self.floor, rows, 0, ended, 1.0, 0, 0, 0.0)
        told = self.snapshot.manifest
        return Standing(
            kind="approximate" if told.lists else "flat",
            generation=self.generation,
            floor=self.floor,
            rows=len(self.rows),
            tail=len(self.rows) - told.rows,
            dead=self.rows.ended,
            recall=told.recall,
            probes=told.probes,
            bytes=told.bytes,
            seconds=told.seconds,
        )

    def hits(self, ranked: Ranked, leg: Leg) -> list[Hit]:
        found = zip(self.rows.chunks_at(ranked.positions), ranked.scores.tolist(), strict=True)
        return [Hit(chunk, score, rank, leg) for rank, (chunk, score) in enumerate(found, start=1)]

    def close(self) -> None:
        if self._working is not None:
            self._working.close()


def _words(row: Row) -> tuple[list[str], list[str]]:
    """Terms and labels. Lets other threads in: a question would else wait for the interpreter, 5 ms
    each time it has given it up."""
    time.sleep(0)
    return terms(row), row_labels(row)


@dataclass(frozen=True, slots=True)
class Prepared:
    born: Sequence[Row]
    vectors: Vectors


def opened(snapshot: Snapshot, sizes: Sizes) -> Held:
    """The snapshot, mapped: its vectors, lists and postings are read where a question looks.
    Raises Corrupt, DiskFull."""
    told, folder = snapshot.manifest, snapshot.folder
    rows = columns.load(folder, told.rows)
    if told.rows:
        shape = (told.rows, told.dimension)
        base = np.memmap(folder / VECTORS, "<f4", "r", shape=shape)
    else:
        base = None
    near = approximate.opened(folder / LISTS, told.rows, told.probes) if told.lists else None
    working = Working(folder.parent, folder / WORDS)
    lexical = TantivyLexical(working.path, told.rows)
    return Held(rows, DenseLeg(told.dimension, base, near, sizes), lexical, snapshot, working)
