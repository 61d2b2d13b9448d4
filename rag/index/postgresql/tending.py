"""What keeps a node quick after it was fed; a question is right without it."""

from __future__ import annotations

from rag.index.postgresql import dense
from rag.index.postgresql.node import Connection, Node
from rag.index.postgresql.schema import Schema, State

LOOSE = 50_000  # new blocks of postings from which merging is worth its scan
_SMALL = 2_048  # postings of a block from which it is left as it is
_BLOCKS = 8  # small blocks of one term from which they are merged

_MERGE = f"""
WITH many AS (
    SELECT term, segment FROM {{postings}} WHERE n < {_SMALL}
    GROUP BY term, segment HAVING count(*) >= {_BLOCKS}
), gone AS (
    DELETE FROM {{postings}} p USING many m
    WHERE p.term = m.term AND p.segment = m.segment AND p.n < {_SMALL}
    RETURNING p.term, p.segment, p.rows, p.tfs, p.lens
), each AS (
    SELECT term, segment, unnest(rows) AS row, unnest(tfs) AS tf, unnest(lens) AS len FROM gone
)
INSERT INTO {{postings}} (term, segment, n, rows, tfs, lens)
SELECT term, segment, count(*), array_agg(row ORDER BY row), array_agg(tf ORDER BY row),
    array_agg(len ORDER BY row)
FROM each GROUP BY term, segment
"""


def tend(node: Node, schema: Schema, graph_from: int | None) -> None:
    """Merge small blocks of postings, and make the HNSW graph once there are `graph_from` rows
    (None: never). One process does it, the others find it done. Raises IndexUnavailable, and
    BuildGone when the collection was wiped meanwhile."""
    with node.alone() as connection:
        state = schema.state(connection)
        if state is None or not due(state, graph_from) or not _first(connection, schema):
            return
        if state.loose >= LOOSE:
            with connection.transaction():
                connection.execute(schema.sql(_MERGE))
                connection.execute(
                    schema.sql("UPDATE {state} SET loose = loose - %s"), (state.loose,)
                )
            for table in ("VACUUM (ANALYZE) {postings}", "VACUUM (ANALYZE) {rows}"):
                connection.execute(schema.sql(table))
        if _wants_graph(state, graph_from):
            dense.build(connection, schema)


def due(state: State, graph_from: int | None) -> bool:
    """Whether there is anything to do."""
    return state.loose >= LOOSE or _wants_graph(state, graph_from)


def _wants_graph(state: State, graph_from: int | None) -> bool:
    return graph_from is not None and state.rows >= graph_from and not state.graph


def _first(connection: Connection, schema: Schema) -> bool:
    """Whether nobody else tends it; until the connection closes nobody else will."""
    found = connection.execute(
        "SELECT pg_try_advisory_lock(hashtextextended(%s, 0))", (schema.name,)
    ).fetchone()
    return bool(found and found[0])
