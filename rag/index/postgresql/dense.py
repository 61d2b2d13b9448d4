"""The dense leg on one node: every permitted row where these are few, an HNSW graph where not."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from pgvector import Vector
from psycopg.sql import SQL, Composed, Literal

from rag.domain import Filter
from rag.index.engine import Found
from rag.index.postgresql.node import Connection
from rag.index.postgresql.permitting import Permit
from rag.index.postgresql.schema import Schema

# Negated, the distance is nothing an index is ordered by: every permitted row is compared.
_EXACT = """
SELECT row, r.chunk, -(v.vector <#> %(question)s::vector) AS score
FROM {rows} r JOIN {vectors} v USING (row) WHERE {where}
ORDER BY score DESC, row LIMIT %(k)s
"""
# The graph holds float2; its best are compared once more by the stored float4.
_GRAPH = """
SELECT row, chunk, -(vector <#> %(question)s::vector) AS score FROM (
    SELECT v.row, r.chunk, v.vector FROM {vectors} v
    CROSS JOIN LATERAL (SELECT r.chunk FROM {rows} r WHERE r.row = v.row AND {where} OFFSET 0) r
    ORDER BY v.vector::halfvec({dimension}) <#> %(question)s::halfvec({dimension})
    LIMIT %(over)s
) near ORDER BY score DESC, row LIMIT %(k)s
"""
_BUILD = """
CREATE INDEX CONCURRENTLY graph ON {vectors}
USING hnsw ((vector::halfvec({dimension})) halfvec_ip_ops)
"""


def search(
    connection: Connection,
    schema: Schema,
    build: str,
    vector: NDArray[np.float32],
    filter: Filter,
    k: int,
) -> list[Found]:
    """This node's k best. Raises BuildGone."""
    state = schema.begun(connection, build, filter.generation)
    permit = Permit(filter)
    values = permit.values | {"question": Vector(vector).to_text(), "k": k, "over": 2 * k + 40}
    if state.graph:
        narrow = _narrow(state.rows, values["over"])
        permitted = permit.count(connection, schema, narrow + 1)
        if permitted > narrow:
            query = schema.sql(_GRAPH, where=permit.where, dimension=_dimension(len(vector)))
            rows = connection.execute(query, values).fetchall()
            if len(rows) == k:  # else pgvector gave up early
                return [Found(row, chunk, float(score)) for row, chunk, score in rows]
    rows = connection.execute(schema.sql(_EXACT, where=permit.where), values).fetchall()
    return [Found(row, chunk, float(score)) for row, chunk, score in rows]


def build(connection: Connection, schema: Schema) -> None:
    """Make the graph beside running questions and feeding; a half-made one of a killed process goes
    first. `connection` is outside any transaction."""
    found = connection.execute(
        schema.sql("SELECT vector_dims(vector) FROM {vectors} LIMIT 1")
    ).fetchone()
    if found is not None:
        connection.execute(schema.sql("DROP INDEX IF EXISTS {schema}.graph"))
        connection.execute(schema.sql(_BUILD, dimension=_dimension(found[0])))
        connection.execute(schema.sql("ANALYZE {vectors}"))


def _narrow(rows: int, over: int) -> int:
    """Permitted rows up to which comparing each costs less than the graph, which visits about
    over x rows / permitted of them."""
    return int((over * rows) ** 0.5)


def _dimension(dimension: int) -> Composed:
    return SQL("{}").format(Literal(dimension))
