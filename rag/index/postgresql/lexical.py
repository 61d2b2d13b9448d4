"""The lexical leg on one node: exact BM25 by blocks of postings."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from rag.domain import Filter
from rag.index.engine import Found
from rag.index.lexical import K1, B
from rag.index.postgresql.node import Connection
from rag.index.postgresql.permitting import Permit
from rag.index.postgresql.schema import SEGMENT_BITS, Schema

SORTED = 64  # times k: enough where a filter permits more than one row in 64
NARROW = 5_000  # permitted rows up to which they are listed first

# Unnesting in the select list walks the three arrays in step. The sum becomes a float4, so that
# rows with the same counts tie in whatever order their terms were added.
_SCORED = f"""
WITH matched AS (
    SELECT (p.segment::bigint << {SEGMENT_BITS}) + unnest(p.rows) AS row, asked.weight,
        unnest(p.tfs) AS tf, unnest(p.lens) AS len
    FROM unnest(%(terms)s::text[], %(weights)s::float8[]) AS asked(term, weight)
    JOIN {{postings}} p ON p.term = asked.term
)"""
_HOLDING = "SELECT term, sum(n)::bigint FROM {postings} WHERE term = ANY(%s) GROUP BY term"
_SCORE = "sum(weight * tf / (tf + %(plain)s::float8 + %(by_length)s::float8 * len))::float4"
_FEW = f"""{_SCORED}, permitted AS MATERIALIZED (SELECT row, chunk FROM {{rows}} r WHERE {{where}})
SELECT row, chunk, {_SCORE} AS score FROM matched JOIN permitted USING (row)
GROUP BY row, chunk ORDER BY score DESC, row LIMIT %(k)s
"""
# From the best on, each row is looked up, until k were permitted. Only the best `most` are sorted.
_MANY = f"""{_SCORED}, scored AS (SELECT row, {_SCORE} AS score FROM matched GROUP BY row)
SELECT s.row, r.chunk, s.score
FROM (SELECT row, score FROM scored ORDER BY score DESC, row LIMIT %(most)s) s
CROSS JOIN LATERAL (SELECT r.chunk FROM {{rows}} r WHERE r.row = s.row AND {{where}} OFFSET 0) r
ORDER BY s.score DESC, s.row LIMIT %(k)s
"""


@dataclass(frozen=True, slots=True)
class Statistics:
    """What BM25 counts over all rows, ended ones too; `holding`: in how many each term is."""

    rows: int
    tokens: int
    holding: Mapping[str, int]

    @staticmethod
    def of(parts: Iterable[Statistics]) -> Statistics:
        """Of all nodes together."""
        every = list(parts)
        holding: Counter[str] = Counter()
        for part in every:
            holding.update(part.holding)
        return Statistics(
            sum(part.rows for part in every), sum(part.tokens for part in every), holding
        )

    def weight(self, term: str) -> float:
        """A term's IDF in Lucene's form, ln(1 + (N - n + .5) / (n + .5)), times k1 + 1."""
        n = self.holding[term]
        return (K1 + 1) * math.log(1 + (self.rows - n + 0.5) / (n + 0.5))


def statistics(
    connection: Connection, schema: Schema, build: str, generation: int, tokens: Sequence[str]
) -> Statistics:
    """This node's part of what the question needs. Raises BuildGone."""
    state = schema.begun(connection, build, generation)
    found = connection.execute(
        schema.sql(_HOLDING),
        (sorted(set(tokens)),),
    )
    return Statistics(state.rows, state.tokens, dict(found))


def search(
    connection: Connection,
    schema: Schema,
    build: str,
    tokens: Sequence[str],
    known: Statistics,
    filter: Filter,
    k: int,
) -> list[Found]:
    """This node's k best by the statistics of all nodes: Robertson and Zaragoza (2009), "The
    Probabilistic Relevance Framework: BM25 and Beyond". Raises BuildGone."""
    state = schema.begun(connection, build, filter.generation)
    times = {term: n for term, n in sorted(Counter(tokens).items()) if known.holding.get(term)}
    if not times:
        return []
    permit = Permit(filter)
    few = state.rows <= NARROW or permit.count(connection, schema, NARROW + 1) <= NARROW
    query = schema.sql(_FEW if few else _MANY, where=permit.where)
    values = permit.values | {
        "terms": list(times),
        "weights": [n * known.weight(term) for term, n in times.items()],
        "plain": K1 * (1 - B),
        "by_length": K1 * B * known.rows / max(1, known.tokens),
        "k": k,
        "most": SORTED * k,
    }
    rows = connection.execute(query, values).fetchall()
    if not few and len(rows) < k:  # too few of those were permitted, or there are no more
        rows = connection.execute(query, values | {"most": None}).fetchall()
    return [Found(row, chunk, float(score)) for row, chunk, score in rows]
