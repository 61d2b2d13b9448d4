"""One node removes rows for good, a few hundred at a time, with their postings and statistics."""

from __future__ import annotations

from collections.abc import Collection

from rag.index.postgresql.node import Connection, Node
from rag.index.postgresql.schema import LIVE, SEGMENT_BITS, Schema

_AT_ONCE = 500  # rows in one transaction
_TABLES = ("rows", "vectors", "postings")

_FIND = """
SELECT row FROM {rows} WHERE died <= %s OR (died < %s AND document = ANY(%s))
ORDER BY row LIMIT %s FOR UPDATE
"""
# A block loses the postings of the rows that go, and goes when none is left.
_POSTINGS = f"""
WITH gone AS (
    SELECT (row >> {SEGMENT_BITS})::int AS segment, (row & {2**SEGMENT_BITS - 1})::int AS at
    FROM unnest(%s::bigint[]) AS row
), leaving AS (SELECT segment, array_agg(at) AS ats FROM gone GROUP BY segment),
hit AS (
    DELETE FROM {{postings}} p USING leaving l
    WHERE p.segment = l.segment AND p.rows && l.ats
    RETURNING p.ctid, p.term, p.segment, p.rows, p.tfs, p.lens
), each AS (
    SELECT ctid, term, segment, unnest(rows) AS row, unnest(tfs) AS tf, unnest(lens) AS len FROM hit
), kept AS (
    INSERT INTO {{postings}} (term, segment, n, rows, tfs, lens)
    SELECT term, segment, count(*), array_agg(row ORDER BY row), array_agg(tf ORDER BY row),
        array_agg(len ORDER BY row)
    FROM each e WHERE NOT EXISTS (SELECT 1 FROM gone g WHERE g.segment = e.segment AND g.at = e.row)
    GROUP BY ctid, term, segment
)
SELECT coalesce(sum(len), 0)::bigint FROM (
    SELECT DISTINCT e.segment, e.row, e.len FROM each e
    JOIN gone g ON g.segment = e.segment AND g.at = e.row
) lengths
"""


def leave_out(
    node: Node, schema: Schema, build: str, documents: Collection[str], until: int
) -> int:
    """How many rows went. Their room is free for others afterwards. Raises BuildGone,
    IndexUnavailable."""
    removed = 0
    while True:
        with node.writing() as connection:
            schema.begun(connection, build, 0)
            rows = _leave(connection, schema, documents, until)
        removed += rows
        if rows < _AT_ONCE:
            break
    if removed:
        with node.alone() as connection:
            for table in _TABLES:
                connection.execute(schema.sql(f"VACUUM {{{table}}}"))
    return removed


def _leave(connection: Connection, schema: Schema, documents: Collection[str], until: int) -> int:
    found = connection.execute(
        schema.sql(_FIND), (until, LIVE, sorted(documents), _AT_ONCE)
    ).fetchall()
    rows = [row for (row,) in found]
    if not rows:
        return 0
    tokens = connection.execute(schema.sql(_POSTINGS), (rows,)).fetchone()
    for table in ("rows", "vectors"):
        connection.execute(schema.sql(f"DELETE FROM {{{table}}} WHERE row = ANY(%s)"), (rows,))
    connection.execute(
        schema.sql("UPDATE {state} SET rows = rows - %s, tokens = tokens - %s"),
        (len(rows), tokens[0] if tokens else 0),
    )
    return len(rows)
