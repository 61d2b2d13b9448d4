"""A filter as SQL over the table of rows."""

from __future__ import annotations

from typing import Any

from psycopg.sql import SQL, Composed

from rag.domain import Filter
from rag.index.labels import condition_labels, reader_labels
from rag.index.postgresql.feeding import EVERYBODY
from rag.index.postgresql.node import Connection
from rag.index.postgresql.schema import Schema


class Permit:
    """`where` is a condition on a row `r` and `values` are its parameters."""

    def __init__(self, filter: Filter) -> None:
        parts = [SQL("r.born <= %(at)s AND r.died > %(at)s AND r.labels && %(readers)s")]
        self.values: dict[str, Any] = {
            "at": filter.generation,
            "readers": [EVERYBODY, *reader_labels(filter.groups)],
        }
        if filter.documents is not None:
            parts.append(SQL("r.document = ANY(%(documents)s)"))
            self.values["documents"] = sorted(filter.documents)
        for number, condition in enumerate(filter.conditions):
            parts.append(SQL(f"r.labels && %(condition{number})s::text[]"))
            self.values[f"condition{number}"] = condition_labels(condition)
        self.where: Composed = SQL(" AND ").join(parts)

    def count(self, connection: Connection, schema: Schema, most: int) -> int:
        """How many rows it permits, counted no further than `most`."""
        found = connection.execute(
            schema.sql(
                "SELECT count(*) FROM (SELECT FROM {rows} r WHERE {where} LIMIT %(most)s) found",
                where=self.where,
            ),
            self.values | {"most": most},
        ).fetchone()
        return int(found[0]) if found else 0
