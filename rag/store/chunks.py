"""Reading chunks: what searchers must apply, and the passages a question may see."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Sequence
from datetime import datetime
from functools import lru_cache
from typing import Any

import numpy as np
from sqlalchemy import (
    BigInteger,
    BindParameter,
    ColumnElement,
    Select,
    Text,
    bindparam,
    cast,
    func,
    or_,
    select,
)
from sqlalchemy import Row as SqlRow
from sqlalchemy.orm import Session

from rag.domain import Chunk, Filter, Passage
from rag.errors import UnknownCollection
from rag.ports import Delta, Fresh, News, Row
from rag.prompt import shown_text
from rag.store.progress import news_since, settled_before
from rag.store.showing import newest_of, shown_of
from rag.store.spaces import Space, space_and_mark, space_of
from rag.store.tables import ChunkRow, CollectionRow, DocumentRow, VectorRow, VersionRow
from rag.store.transaction import Transaction

_TOGETHER = 32  # rows that are made without a pause, about 2 ms


class SqlChunks:
    def __init__(self, tx: Transaction) -> None:
        self._tx = tx

    def since(self, embedding: str, generation: int, limit: int | None = None) -> Delta:
        """Rows born and already ended inside the window come with their `died`, so that a searcher
        can answer for every generation in it. A `generation` newer than the collection's (a
        restored backup) gives an empty delta that ends before it began."""
        session = self._tx.read()
        space = space_of(session, embedding)
        newest = space.newest
        if limit is not None:
            beyond = session.scalar(_beyond(space.collection, generation, limit))
            if beyond is not None:
                newest = min(newest, max(generation + 1, beyond - 1))
        born = _born(space, generation, newest).order_by(ChunkRow.row)
        ended = session.execute(
            select(ChunkRow.row, ChunkRow.died)
            .join(VectorRow, space.holds)
            .where(
                ChunkRow.collection == space.collection,
                ChunkRow.born <= generation,
                ChunkRow.died > generation,
                ChunkRow.died <= newest,
            )
            .order_by(ChunkRow.row)
        )
        return Delta(
            since=generation,
            generation=newest,
            born=_row_nouns(session, born, newest),
            died=[(row, died) for row, died in ended if died is not None],
        )

    def news(self, embedding: str, generation: int) -> News:
        return news_since(self._tx.read(), embedding, generation)

    def stretch(self, embedding: str, after: int, generation: int, limit: int) -> list[Row]:
        """In the order of (born, row), which is that of `row` and has an index."""
        session = self._tx.read()
        begun = session.scalar(select(ChunkRow.born).where(ChunkRow.row == after)) or 1
        space = space_of(session, embedding)
        page = _born(space, begun - 1, generation).where(ChunkRow.row > after)
        page = page.order_by(ChunkRow.born, ChunkRow.row).limit(limit)
        return _row_nouns(session, page, generation)

    def mark(self, embedding: str, generation: int) -> str:
        return space_and_mark(self._tx.read(), embedding, generation)[1]

    def settled(self, embedding: str, before: datetime) -> int:
        session = self._tx.read()
        return settled_before(session, space_of(session, embedding).collection, before)

    def passages(self, collection: str, ids: Sequence[str], filter: Filter) -> list[Passage]:
        wanted = dict.fromkeys(ids)
        asked = {"ids": list(wanted), "at": filter.generation, "collection": collection}
        rows = self._tx.read().connection().execute(_VISIBLE, asked).all() if wanted else []
        if not rows or not _readable(rows[0][0], filter):
            self._readable(collection, filter)
            return []
        found = {
            row[2]: row[2:]
            for row in rows
            if row[1] == collection and _permitted(row[3], row[4], row[5], filter)
        }
        return [_passage(*found[id]) for id in wanted if id in found]

    def count(self, collection: str, filter: Filter) -> int:
        if not self._readable(collection, filter):
            return 0
        rows = self._tx.read().execute(_alike(collection, filter.generation))
        return sum(
            alike
            for document, readers, merged, alike in rows
            if _permitted(document, readers, merged, filter)
        )

    def _readable(self, collection: str, filter: Filter) -> bool:
        """Rows are for readers of the collection only, whatever the rows say."""
        connection = self._tx.read().connection()
        rights = connection.execute(_RIGHTS, {"collection": collection}).scalar()
        if rights is None:
            raise UnknownCollection(f"there is no collection {collection!r:.100}")
        return _readable(rights, filter)

    def shown(self, collection: str) -> Iterator[str]:
        live = (ChunkRow.collection == collection, ChunkRow.died.is_(None))
        return shown_of(self._tx.read(), *live)

    def newest(self, limit: int, before: int | None, collection: str | None) -> list[Fresh]:
        return newest_of(self._tx.read(), limit, before, collection)


def _born(space: Space, after: int, until: int) -> Select[Any]:
    return (
        select(
            ChunkRow.row,
            ChunkRow.chunk,
            ChunkRow.document,
            ChunkRow.born,
            ChunkRow.died,
            ChunkRow.readers,
            ChunkRow.merged,
            ChunkRow.indexed,
            ChunkRow.start,
            ChunkRow.end,
            ChunkRow.heading_path,
            ChunkRow.text,
            VersionRow.title,
            VectorRow.vector,
        )
        .join(VectorRow, space.holds)
        .join(VersionRow, VersionRow.id == ChunkRow.version)
        .where(
            ChunkRow.collection == space.collection,
            ChunkRow.born > after,
            ChunkRow.born <= until,
        )
    )


def _beyond(collection: str, after: int, limit: int) -> Select[Any]:
    """The generation of the first row that is one too many."""
    return (
        select(ChunkRow.born)
        .where(ChunkRow.collection == collection, ChunkRow.born > after)
        .order_by(ChunkRow.born)
        .offset(limit)
        .limit(1)
    )


def _alike(collection: str, generation: int) -> Select[Any]:
    """A row for all that a document began in one generation, as they share rights and metadata,
    with their number."""
    together = (
        select(func.min(ChunkRow.row).label("first"), func.count().label("alike"))
        .where(ChunkRow.collection == collection, *_live(generation))
        .group_by(ChunkRow.document, ChunkRow.born)
        .subquery()
    )
    return select(ChunkRow.document, *_ACCESS, together.c.alike).join(
        together, together.c.first == ChunkRow.row
    )


def _live(generation: int | BindParameter[int]) -> tuple[ColumnElement[bool], ...]:
    return ChunkRow.born <= generation, or_(ChunkRow.died.is_(None), ChunkRow.died > generation)


# Made once, and JSON read only where it is needed: of a search's hundred hits, making the statement
# and reading the JSON of every row took five times as long as SQLite itself.
_ACCESS = cast(ChunkRow.readers, Text), cast(ChunkRow.merged, Text)
_RIGHTS = select(cast(CollectionRow.rights, Text)).where(
    CollectionRow.id == bindparam("collection")
)
# Of any collection: asked for one, SQLite would read all its rows by (collection, born), a second
# at 100,000, instead of these by (chunk, born).
_VISIBLE = (
    select(
        _RIGHTS.scalar_subquery(),
        ChunkRow.collection,
        ChunkRow.chunk,
        ChunkRow.document,
        *_ACCESS,
        ChunkRow.version,
        ChunkRow.start,
        ChunkRow.end,
        ChunkRow.text,
        cast(ChunkRow.heading_path, Text),
        ChunkRow.page,
        DocumentRow.name,
        VersionRow.title,
    )
    .join(DocumentRow, DocumentRow.id == ChunkRow.document)
    .join(VersionRow, VersionRow.id == ChunkRow.version)
    .where(
        ChunkRow.chunk.in_(bindparam("ids", expanding=True)),
        *_live(bindparam("at", type_=BigInteger)),
    )
)


def _readable(rights: str | None, filter: Filter) -> bool:
    """`rights` is JSON; None of a collection that is not there."""
    return rights is not None and not filter.groups.isdisjoint(_groups(rights))


def _permitted(document: str, readers: str | None, merged: str, filter: Filter) -> bool:
    """`readers` and `merged` are JSON."""
    if readers is not None and filter.groups.isdisjoint(_groups(readers)):
        return False
    if filter.documents is not None and document not in filter.documents:
        return False
    if not filter.conditions:
        return True
    metadata = json.loads(merged)
    return all(
        condition.key in metadata and metadata[condition.key] in condition.values
        for condition in filter.conditions
    )


@lru_cache(1024)
def _groups(listed: str) -> frozenset[str]:
    """Of a JSON list, or an object by group."""
    return frozenset(json.loads(listed))


def _row_nouns(session: Session, born: Select[Any], newest: int) -> list[Row]:
    """Questions of this process come in between; else they wait for the interpreter."""
    made = []
    for row in session.execute(born.execution_options(yield_per=_TOGETHER)):
        made.append(_row_noun(row, newest))
        if not len(made) % _TOGETHER:
            time.sleep(0)
    return made


def _row_noun(row: SqlRow[Any], newest: int) -> Row:
    return Row(
        row=row.row,
        chunk=row.chunk,
        document=row.document,
        born=row.born,
        died=row.died if row.died is not None and row.died <= newest else None,
        readers=None if row.readers is None else frozenset(row.readers),
        metadata=row.merged,
        text=row.indexed,
        own=_own(row),
        shown=shown_text(row.title, row.heading_path, row.text),
        vector=np.frombuffer(row.vector, dtype="<f4").astype(np.float32, copy=False),
    )


def _own(row: SqlRow[Any]) -> int:
    """Where the words under the headings begin; a chunk may open with its section's heading."""
    above: int = max(0, len(row.indexed) - (row.end - row.start))
    heading: str = row.heading_path[-1] if row.heading_path else ""
    return above + len(heading) if row.indexed.startswith(heading, above) else above


def _passage(
    chunk: str,
    document: str,
    _readers: str | None,
    _merged: str,
    version: str,
    start: int,
    end: int,
    text: str,
    heading_path: str,
    page: int | None,
    name: str,
    title: str,
) -> Passage:
    path = () if heading_path == "[]" else tuple(json.loads(heading_path))
    return Passage(
        Chunk(chunk, version, start, end, text, path, page), document, name, title, score=0.0
    )
