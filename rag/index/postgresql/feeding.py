"""One node takes over what a delta brings it, in one transaction."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from pgvector.psycopg import register_vector

from rag.errors import Corrupt
from rag.index.engine import Held
from rag.index.labels import metadata_labels, reader_labels
from rag.index.postgresql.node import Connection
from rag.index.postgresql.schema import LIVE, SEGMENT_BITS, Schema, home
from rag.index.terms import terms
from rag.ports import Delta, Row

EVERYBODY = "*"  # the reader label of rows without readers of their own; no group has it
_MOST = 2**15 - 1  # what a count of one term saturates far below

_COPY_ROWS = "COPY {rows} (row, chunk, document, born, died, labels) FROM STDIN (FORMAT BINARY)"
_COPY_VECTORS = "COPY {vectors} (row, vector) FROM STDIN (FORMAT BINARY)"
_COPY_POSTINGS = "COPY {postings} (term, segment, n, rows, tfs, lens) FROM STDIN (FORMAT BINARY)"
_END = """
UPDATE {rows} r SET died = e.died
FROM unnest(%s::bigint[], %s::bigint[]) AS e(row, died) WHERE r.row = e.row
"""
_RECORD = """
UPDATE {state} SET generation = %s, mark = %s, rows = rows + %s, tokens = tokens + %s,
    loose = loose + %s
"""


def feed(
    connection: Connection, schema: Schema, delta: Delta, held: Held, nodes: int, node: int
) -> None:
    """Apply the part of `delta` that belongs to node number `node` of so many, and record `held`.
    Rows that the node has already stay as they are. Raises Corrupt for an ended row that is not
    here, BuildGone."""
    schema.begun(connection, held.build, 0)
    here = [row for row in delta.born if home(row.row, nodes) == node]
    known = _known(connection, schema, [row.row for row in here])
    ended = [(row, died) for row, died in delta.died if home(row, nodes) == node]
    again = [(row.row, row.died) for row in here if row.row in known and row.died is not None]
    _end(connection, schema, [*ended, *again])
    born = [row for row in here if row.row not in known]
    tokens, loose = _add(connection, schema, born) if born else (0, 0)
    connection.execute(schema.sql(_RECORD), (held.generation, held.mark, len(born), tokens, loose))


def _known(connection: Connection, schema: Schema, rows: Sequence[int]) -> set[int]:
    """Those of the rows that are here."""
    if not rows:
        return set()
    found = connection.execute(
        schema.sql("SELECT row FROM {rows} WHERE row = ANY(%s)"), (list(rows),)
    )
    return {row for (row,) in found}


def _end(connection: Connection, schema: Schema, ended: Sequence[tuple[int, int]]) -> None:
    if not ended:
        return
    rows, died = zip(*ended, strict=True)
    found = connection.execute(schema.sql(_END), (list(rows), list(died))).rowcount
    if found != len(set(rows)):
        missing = min(set(rows) - _known(connection, schema, rows))
        raise Corrupt(f"row {missing} ended but never began; run `attest doctor`")


def _add(connection: Connection, schema: Schema, born: Sequence[Row]) -> tuple[int, int]:
    """How many tokens the rows have, and how many blocks of postings they made."""
    register_vector(connection)
    blocks: dict[tuple[str, int], list[tuple[int, int, int]]] = defaultdict(list)
    tokens = 0
    for row in born:
        found = terms(row)
        tokens += len(found)
        segment, offset = divmod(row.row, 2**SEGMENT_BITS)
        for term, times in Counter(found).items():
            blocks[term, segment].append((offset, min(times, _MOST), len(found)))
    types = ["int8", "text", "text", "int8", "int8", "text[]"]
    _copy(connection, schema, _COPY_ROWS, types, map(_columns, born))
    pairs = ((row.row, row.vector) for row in born)
    _copy(connection, schema, _COPY_VECTORS, ["int8", "vector"], pairs)
    types = ["text", "int4", "int4", "int4[]", "int2[]", "int4[]"]
    _copy(connection, schema, _COPY_POSTINGS, types, _postings(blocks))
    return tokens, len(blocks)


def _copy(
    connection: Connection,
    schema: Schema,
    into: str,
    types: list[str],
    rows: Iterable[Sequence[Any]],
) -> None:
    with connection.cursor() as cursor, cursor.copy(schema.sql(into)) as copy:
        copy.set_types(types)
        for row in rows:
            copy.write_row(row)


def _columns(row: Row) -> tuple[Any, ...]:
    readers = [EVERYBODY] if row.readers is None else reader_labels(row.readers)
    labels = [*readers, *metadata_labels(row.metadata)]
    died = LIVE if row.died is None else row.died
    return (row.row, row.chunk, row.document, row.born, died, labels)


def _postings(
    blocks: dict[tuple[str, int], list[tuple[int, int, int]]],
) -> Iterator[tuple[Any, ...]]:
    for (term, segment), block in sorted(blocks.items()):
        rows, tfs, lens = zip(*block, strict=True)
        yield (term, segment, len(block), list(rows), list(tfs), list(lens))
