"""PostgreSQL as a search engine, measured: feeding, both legs behind filters, recall, bytes.

    python -m benchmarks.search_engines --url "postgresql://HOST/DATABASE" --rows 100000

Rows are made: words drawn by Zipf's law, 40 to 120 a row, and vectors around 200 centres; one row
in 50 and one in two carry the groups that the filters ask for. The recall of the dense leg is held
against the comparison of all rows in numpy. Nothing else of the server is touched, and what was fed
is forgotten at the end (`--keep` leaves it).
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence
from contextlib import closing
from time import perf_counter
from uuid import uuid4

import numpy as np
import psycopg
from numpy.typing import NDArray

from benchmarks.machine import machine
from rag.domain import Filter
from rag.index.engine import Found, Held
from rag.index.postgresql.engine import PostgresqlEngine
from rag.index.postgresql.schema import Schema
from rag.ports import Delta, Row

COLLECTION, BATCH, K = "benchmark", 2_000, 10
SHARES = {"2%": "few", "50%": "half", "all": "all"}
_SIZES = """
SELECT c.relname, pg_total_relation_size(c.oid) - coalesce(pg_relation_size(i.oid), 0),
    coalesce(pg_relation_size(i.oid), 0)
FROM pg_class c LEFT JOIN pg_class i ON i.relname = 'graph' AND i.relnamespace = c.relnamespace
    AND c.relname = 'vectors'
WHERE c.relnamespace = to_regnamespace(%s) AND c.relkind = 'r' ORDER BY 1
"""


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="benchmarks.search_engines", description=__doc__)
    parser.add_argument("--url", action="append", required=True, help="of a node; again for more")
    parser.add_argument("--rows", type=int, default=100_000)
    parser.add_argument("--dimension", type=int, default=384)
    parser.add_argument("--questions", type=int, default=200)
    parser.add_argument("--exact", action="store_true", help="no graph: compare every vector")
    parser.add_argument("--keep", action="store_true")
    asked = parser.parse_args(arguments)
    print(machine())
    made = Made(asked.rows, asked.dimension)
    engine = PostgresqlEngine(asked.url, None if asked.exact else 1)
    with closing(engine):
        build = fed(engine, made)
        print(f"{'filter':6} {'leg':8} {'p50 ms':>8} {'p95 ms':>8}  recall@{K}")
        for share, group in SHARES.items():
            filter = Filter(engine.held(COLLECTION).generation, frozenset({group}))
            words = [made.query() for _ in range(asked.questions)]
            lexical = timed(words, lambda q, at=filter: engine.lexical(COLLECTION, build, q, at, K))
            line("lexical", share, lexical.seconds, "exact")
            questions = [made.question() for _ in range(asked.questions)]
            dense = timed(questions, lambda q, at=filter: engine.dense(COLLECTION, build, q, at, K))
            recall = np.mean(
                [
                    len({found.row for found in hits} & made.best(question, group)) / K
                    for question, hits in zip(questions, dense.found, strict=True)
                ]
            )
            line("dense", share, dense.seconds, f"{recall:.3f}")
        sizes(asked.url, asked.rows)
        if not asked.keep:
            engine.forget(COLLECTION)
    return 0


class Made:
    """Random rows that come out the same each time."""

    def __init__(self, rows: int, dimension: int) -> None:
        self._random = np.random.default_rng(7)
        self._centres = _unit(self._random.normal(size=(200, dimension)))
        at = self._random.integers(0, 200, size=rows)
        noise = self._random.normal(size=(rows, dimension)) / np.sqrt(dimension)
        self.vectors = _unit(self._centres[at] + noise)
        draw = self._random.random(rows)
        self.groups = np.where(draw < 0.02, "few", np.where(draw < 0.52, "half", "rest"))

    def __len__(self) -> int:
        return len(self.vectors)

    def delta(self, start: int) -> Delta:
        """The rows of one generation."""
        end = min(start + BATCH, len(self))
        generation = start // BATCH + 1
        born = [self._row(at, generation) for at in range(start, end)]
        return Delta(generation - 1, generation, born, [])

    def query(self) -> list[str]:
        """Five words as rare as those of texts, without the 20 commonest (stop words)."""
        drawn = self._random.zipf(1.3, size=500) % 50_000
        return [f"w{n}" for n in drawn[drawn > 20][:5]]

    def question(self) -> NDArray[np.float32]:
        near = self.vectors[self._random.integers(len(self))]
        noise = self._random.normal(size=near.shape) / np.sqrt(len(near))
        question: NDArray[np.float32] = _unit(near + 0.5 * noise)
        return question

    def best(self, question: NDArray[np.float32], group: str) -> set[int]:
        allowed = np.flatnonzero((self.groups == group) | (group == "all"))
        scores = self.vectors[allowed] @ question
        return {int(row) + 1 for row in allowed[np.argsort(-scores)[:K]]}

    def _row(self, at: int, generation: int) -> Row:
        words = self._random.zipf(1.3, size=self._random.integers(40, 121)) % 50_000
        text = " ".join(f"w{n}" for n in words)
        return Row(
            row=at + 1,
            chunk=f"{at:032x}",
            document=f"{at // 20:032x}",
            born=generation,
            died=None,
            readers=frozenset({str(self.groups[at]), "all"}),
            metadata={"year": 2000 + at % 26},
            text=text,
            own=0,
            shown=text,
            vector=self.vectors[at],
        )


class Timed:
    def __init__(self) -> None:
        self.seconds: list[float] = []
        self.found: list[list[Found]] = []


def timed(questions: Sequence[object], ask: Callable[[object], list[Found]]) -> Timed:
    """Each question once, after a tenth of them were asked to warm what there is to warm."""
    for question in questions[: len(questions) // 10]:
        ask(question)
    measured = Timed()
    for question in questions:
        began = perf_counter()
        measured.found.append(ask(question))
        measured.seconds.append(perf_counter() - began)
    return measured


def fed(engine: PostgresqlEngine, made: Made) -> str:
    """Feed it anew; returns the build."""
    engine.forget(COLLECTION)
    build, making, feeding = uuid4().hex, 0.0, 0.0
    engine.begin(COLLECTION, build, made.vectors.shape[1])
    for start in range(0, len(made), BATCH):
        began = perf_counter()
        delta = made.delta(start)
        middle = perf_counter()
        engine.apply(COLLECTION, delta, Held(build, delta.generation, ""))
        making, feeding = making + middle - began, feeding + perf_counter() - middle
        if sys.stderr.isatty():
            print(f"\r{start + len(delta.born)} rows", end="", file=sys.stderr)
    print(f"fed {len(made)} rows: {len(made) / feeding:.0f} a second")
    began = perf_counter()
    engine.tend(COLLECTION)
    print(f"merged postings, made the graph: {perf_counter() - began:.1f} s")
    return build


def sizes(urls: Sequence[str], rows: int) -> None:
    total = {}
    for url in urls:
        with psycopg.connect(url) as connection:
            for name, held, graph in connection.execute(_SIZES, (Schema.of(COLLECTION).name,)):
                total[name] = total.get(name, 0) + held
                if graph:
                    total["graph"] = total.get("graph", 0) + graph
    print("bytes a row: " + ", ".join(f"{name} {size / rows:.0f}" for name, size in total.items()))


def line(leg: str, share: str, seconds: Sequence[float], recall: str) -> None:
    p50, p95 = 1000 * np.percentile(seconds, (50, 95))
    print(f"{share:6} {leg:8} {p50:8.1f} {p95:8.1f}  {recall}", flush=True)


def _unit(vectors: NDArray[np.float64]) -> NDArray[np.float32]:
    lengths = np.linalg.norm(vectors, axis=-1, keepdims=True)
    return (vectors / lengths).astype(np.float32)


if __name__ == "__main__":
    sys.exit(main())
