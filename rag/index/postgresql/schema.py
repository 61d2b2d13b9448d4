"""What one node holds of one collection: four tables in a schema of their own."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

from psycopg.sql import SQL, Composed, Identifier

from rag.errors import IndexUnavailable
from rag.index.engine import BuildGone, Held
from rag.index.labels import label
from rag.index.postgresql.node import Connection

SEGMENT_BITS = 30  # a posting's row is its block's segment and an offset of so many bits
LIVE = 2**63 - 1  # `died` of a row that has not

_TABLES = """
CREATE TABLE {state} (
    build text NOT NULL, generation bigint NOT NULL, mark text NOT NULL,
    nodes int NOT NULL, node int NOT NULL,
    rows bigint NOT NULL, tokens bigint NOT NULL, loose bigint NOT NULL
);
CREATE TABLE {rows} (
    row bigint PRIMARY KEY, chunk text NOT NULL, document text NOT NULL,
    born bigint NOT NULL, died bigint NOT NULL, labels text[] NOT NULL
) WITH (fillfactor = 90);
CREATE INDEX ON {rows} (document);
CREATE INDEX ON {rows} USING gin (labels);
CREATE TABLE {vectors} (row bigint PRIMARY KEY, vector vector NOT NULL);
ALTER TABLE {vectors} ALTER COLUMN vector SET STORAGE {storage};
CREATE TABLE {postings} (
    term text NOT NULL, segment int NOT NULL, n int NOT NULL,
    rows int[] NOT NULL, tfs smallint[] NOT NULL, lens int[] NOT NULL
);
CREATE INDEX ON {postings} (term)
"""
_STATE = "SELECT build, generation, mark, nodes, node, rows, tokens, loose FROM {state}"
_INLINE = 1_900  # dimensions up to which a vector fits a page; others are kept beside the row


@dataclass(frozen=True, slots=True)
class State:
    """What a node's part of a collection says of itself. `rows` and `tokens` are counts over all
    rows it holds, ended ones too; `loose` counts the blocks of postings since they were last
    merged; `graph`: whether its HNSW index is there."""

    held: Held
    nodes: int
    node: int
    rows: int
    tokens: int
    loose: int
    graph: bool


def home(row: int, nodes: int) -> int:
    """The node of so many that holds a row: by Fibonacci hashing (Knuth, The Art of Computer
    Programming 3, 6.4), since row numbers may come in steps."""
    return (row * 11400714819323198485 % 2**64 >> 32) % nodes


def named(connection: Connection) -> set[str]:
    """The schemas of all collections on a node."""
    found = connection.execute(
        "SELECT nspname FROM pg_namespace WHERE nspname ~ '^attest_[0-9a-f]{32}$'"
    )
    return {name for (name,) in found}


class Schema:
    """Names of a collection's tables on any node."""

    def __init__(self, name: str) -> None:
        self.name = name

    @classmethod
    def of(cls, collection: str) -> Self:
        return cls(f"attest_{label(collection)}")

    def sql(self, text: str, **parts: SQL | Composed) -> Composed:
        """`text` with the tables' names, and other parts, in their places."""
        tables = ("state", "rows", "vectors", "postings")
        names = {table: Identifier(self.name, table) for table in tables}
        return SQL(text).format(schema=Identifier(self.name), **names, **parts)

    def state(self, connection: Connection) -> State | None:
        """None where the node holds nothing of it."""
        found = connection.execute(
            "SELECT to_regclass(%s) IS NOT NULL, "
            "(SELECT indisvalid FROM pg_index WHERE indexrelid = to_regclass(%s))",
            (f"{self.name}.state", f"{self.name}.graph"),
        ).fetchone()
        if found is None or not found[0]:
            return None
        row = connection.execute(self.sql(_STATE)).fetchone()
        if row is None:
            return None
        build, generation, mark, nodes, node, rows, tokens, loose = row
        held = Held(build, generation, mark)
        return State(held, nodes, node, rows, tokens, loose, graph=bool(found[1]))

    def begun(self, connection: Connection, build: str, generation: int) -> State:
        """The state, of this build and at least this generation. Raises BuildGone, and
        IndexUnavailable where the build is older, as a replica's may be."""
        state = self.state(connection)
        if state is None or state.held.build != build:
            raise BuildGone
        if state.held.generation < generation:
            raise IndexUnavailable(
                f"the search node holds generation {state.held.generation} only, and not "
                f"{generation} any more: a replica that was behind took over; ask again"
            )
        return state

    def create(
        self, connection: Connection, build: str, nodes: int, node: int, dimension: int
    ) -> None:
        """Empty tables for a new build, in place of what was there."""
        self.drop(connection)
        connection.execute("CREATE EXTENSION IF NOT EXISTS vector")
        storage = SQL("PLAIN" if dimension <= _INLINE else "EXTERNAL")
        connection.execute(self.sql("CREATE SCHEMA {schema}"))
        for statement in _TABLES.split(";"):
            connection.execute(self.sql(statement, storage=storage))
        connection.execute(
            self.sql("INSERT INTO {state} VALUES (%s, 0, '', %s, %s, 0, 0, 0)"),
            (build, nodes, node),
        )

    def drop(self, connection: Connection) -> None:
        connection.execute(self.sql("DROP SCHEMA IF EXISTS {schema} CASCADE"))
