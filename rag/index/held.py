"""What a searcher holds in memory, or mapped from a snapshot, at one generation."""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from rag.domain import Hit, Leg
from rag.index import approximate, columns, row_words
from rag.index.dense import DenseLeg
from rag.index.labels import row_labels
from rag.index.lexical import Lexical
from rag.index.ranked import Ranked
from rag.index.row_words import Numbers, RowWords, numbered
from rag.index.rows import RowTable
from rag.index.sizes import Sizes
from rag.index.snapshot import ENDS, LISTS, SHOWN, VECTORS, WORDS, Snapshot
from rag.index.standing import Standing
from rag.index.tantivy_lexical import TantivyLexical
from rag.index.terms import read
from rag.index.working import Working
from rag.ports import Row, Vectors
from rag.wording import Places

_MET = 16_384  # hits that are found again by their chunk


class Held:
    """Position i is the same row in all four. Rows that died up to `floor` are not here."""

    def __init__(
        self,
        rows: RowTable,
        dense: DenseLeg,
        lexical: Lexical,
        words: RowWords,
        snapshot: Snapshot | None = None,
        working: Working | None = None,
    ) -> None:
        self.rows = rows
        self.dense = dense
        self.lexical = lexical
        self.words = words
        self.snapshot = snapshot
        self.generation = 0 if snapshot is None else snapshot.manifest.generation
        self.mark = "" if snapshot is None else snapshot.manifest.mark
        self.floor = 0 if snapshot is None else snapshot.manifest.floor
        self.ended_before = rows.ended  # when the snapshot was made
        self.verified = False  # the snapshot's vectors and words
        self._working = working
        self._met: dict[str, int] = {}  # where hits of late lie, by chunk

    @property
    def name(self) -> str:
        """Of the snapshot under it, "" without one."""
        return "" if self.snapshot is None else self.snapshot.folder.name

    def prepare(self, born: Sequence[Row]) -> Prepared:
        """All that is slow about new rows; questions go on beside it. Raises Corrupt,
        IndexUnavailable."""
        self.rows.check(born)
        vectors = self.dense.matrix(born)
        shown: list[Numbers] = []
        if born:
            read = [_read(row) for row in born]
            self.lexical.add([terms for terms, _, _ in read], [labels for _, _, labels in read])
            shown = [numbers for _, numbers, _ in read]
        return Prepared(born, vectors, shown)

    def show(
        self, prepared: Prepared, died: Sequence[tuple[int, int]], generation: int, mark: str
    ) -> None:
        """Make it visible; no question may run meanwhile. Raises Corrupt, IndexUnavailable."""
        self.rows.extend(prepared.born)
        self.rows.end(died)
        self.dense.extend(prepared.vectors)
        self.words.extend(prepared.shown)
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
        chunks = self.rows.chunks_at(ranked.positions)
        if len(self._met) >= _MET:
            self._met = {}
        self._met.update(zip(chunks, ranked.positions.tolist(), strict=True))
        found = zip(chunks, ranked.scores.tolist(), strict=True)
        return [Hit(chunk, score, rank, leg) for rank, (chunk, score) in enumerate(found, start=1)]

    def places(self, asked: Sequence[str], chunks: Iterable[str]) -> dict[str, Places]:
        """Of chunks that were hits of late: no order of all chunks is kept to find others by."""
        met = self._met
        known = {chunk: met[chunk] for chunk in chunks if chunk in met}
        return dict(zip(known, self.words.places(asked, list(known.values())), strict=True))

    def close(self) -> None:
        if self._working is not None:
            self._working.close()


def _read(row: Row) -> tuple[list[str], Numbers, list[str]]:
    """Terms, shown words and labels. Lets other threads in: a question would else wait for the
    interpreter, 5 ms each time it has given it up."""
    time.sleep(0)
    terms, shown = read(row)
    return terms, numbered(shown), row_labels(row)


@dataclass(frozen=True, slots=True)
class Prepared:
    born: Sequence[Row]
    vectors: Vectors
    shown: Sequence[Numbers]


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
    dense = DenseLeg(told.dimension, base, near, sizes)
    words = row_words.opened(folder / SHOWN, columns.ends(folder / ENDS, told.rows))
    return Held(rows, dense, lexical, words, snapshot, working)
