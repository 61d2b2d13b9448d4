"""No leak and no miss: questions of random users against a brute-force reading, five thousand to
each lexical adapter of the embedded index and a few hundred to PostgreSQL; with `--cases 10000` as
many to each of them.

One example is a whole random history; each is asked many times, so that CI stays quick.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rag.analyse import analyse
from rag.domain import Condition, Filter
from rag.index import approximate
from rag.index.embedded import LEXICALS, EmbeddedIndex, LexicalName
from rag.index.mask import Mask
from rag.index.sizes import Sizes
from rag.index.terms import terms
from tests.index.backends import Backend
from tests.index.histories import GROUPS, WORDS
from tests.index.truth import DIMENSION, New, Truth, unit

ASKED = 200  # questions a history
CASES, FED_CASES = 5_000, 400
SMALL = Sizes(snapshot=8, approximate=24, exact_rows=6, at_once=10**6)
DOCUMENTS = [f"d{n}" for n in range(9)]


def rights(draw: np.random.Generator) -> frozenset[str]:
    return frozenset(str(g) for g in draw.choice(GROUPS, draw.integers(0, 4)))


def drawn_row(draw: np.random.Generator) -> New:
    year = (("year", int(draw.integers(2020, 2023))),) if draw.random() < 0.7 else ()
    return New(
        text=" ".join(draw.choice(WORDS, draw.integers(0, 9))),
        vector=tuple(draw.normal(size=DIMENSION).tolist()),
        document=str(draw.choice(DOCUMENTS)),
        readers=None if draw.random() < 0.3 else rights(draw),
        metadata=year,
    )


def commit(truth: Truth, draw: np.random.Generator) -> None:
    live = [at for at, row in enumerate(truth.rows) if row.died is None]
    ended = [at for at in live if draw.random() < 0.15]
    truth.commit([drawn_row(draw) for _ in range(draw.integers(0, 20))], ended)


def drawn_filter(draw: np.random.Generator, oldest: int, newest: int) -> Filter:
    years = tuple(int(year) for year in draw.integers(2020, 2024, draw.integers(0, 3)))
    named = frozenset(str(d) for d in draw.choice(DOCUMENTS, 3))
    return Filter(
        generation=int(draw.integers(oldest, newest + 1)),
        groups=rights(draw),
        conditions=(Condition("year", years),) if draw.random() < 0.3 else (),
        documents=named if draw.random() < 0.3 else None,
    )


def cut(scores: dict[int, float], allowed: list[int], k: int) -> list[int]:
    found = [at for at in allowed if at in scores]
    return sorted(found, key=lambda at: (-scores[at], at))[:k]


def histories(cases: int, check: Callable[[int], None]) -> None:
    """Check so many questions, in random histories by their seeds."""

    @settings(max_examples=-(-cases // ASKED), deadline=None, database=None)
    @given(seed=st.integers(0, 2**32 - 1))
    def run(seed: int) -> None:
        check(seed)

    run()


@pytest.mark.parametrize("name", ["tantivy", "rank_bm25"])
def test_no_leak_and_no_miss(
    name: LexicalName,
    tmp_path_factory: pytest.TempPathFactory,
    monkeypatch: pytest.MonkeyPatch,
    request: pytest.FixtureRequest,
) -> None:
    """With tantivy the later questions go to a snapshot with an inverted file, whose every list is
    looked into, with rows after it and rows compacted away."""
    monkeypatch.setattr(approximate, "TARGET", 2.0)
    cases = request.config.getoption("cases") or CASES
    histories(cases, lambda seed: check(seed, name, tmp_path_factory.mktemp("index")))


def check(seed: int, name: LexicalName, folder: Path) -> None:
    draw, truth = np.random.default_rng(seed), Truth()
    index = EmbeddedIndex(truth.store, "c", DIMENSION, name, folder, sizes=SMALL)
    for _ in range(draw.integers(1, 5)):
        commit(truth, draw)
    index.catch_up()
    truth.settled_at = int(draw.integers(0, truth.generation + 1))
    index.wait()
    for _ in range(draw.integers(0, 4)):
        commit(truth, draw)
    index.catch_up()
    index.wait()
    floor = index.standing().floor
    held = [at for at, row in enumerate(truth.rows) if row.died is None or row.died > floor]
    lexical = LEXICALS[name]()
    lexical.add([terms(truth.rows[at]) for at in held])
    lexical.show()
    vectors = {at: truth.rows[at].vector.astype(np.float64) for at in held}
    for _ in range(ASKED):
        filter = drawn_filter(draw, floor, truth.generation)
        allowed, k = truth.permitted(filter), int(draw.integers(0, 13))
        query = " ".join(draw.choice(WORDS, draw.integers(0, 5)))
        every = lexical.search(analyse(query), Mask(np.ones(len(held), bool)), len(held))
        scored = zip(every.positions.tolist(), every.scores.tolist(), strict=True)
        bm25 = {held[at]: score for at, score in scored}
        found = [int(hit.chunk[1:]) for hit in index.lexical(query, filter, k)]
        assert found == cut(bm25, allowed, k)
        question = unit(draw.normal(size=DIMENSION))
        cosine = {at: float(vectors[at] @ question) for at in allowed}
        near = [int(hit.chunk[1:]) for hit in index.dense(question, filter, k)]
        assert near == cut(cosine, allowed, k)
    index.close()


def test_no_leak_and_no_miss_on_postgresql(
    pgvector: Backend, request: pytest.FixtureRequest
) -> None:
    cases = request.config.getoption("cases") or FED_CASES
    histories(cases, lambda seed: check_fed(seed, pgvector))


def check_fed(seed: int, backend: Backend) -> None:
    """Every row with a word asked for is found by as many hits as there are; fewer hits are the
    first of these, and a row scores the same whatever the filter hides."""
    draw, truth = np.random.default_rng(seed), Truth()
    index = backend.index(truth)
    for _ in range(2):
        for _ in range(draw.integers(1, 5)):
            commit(truth, draw)
        index.catch_up()
    held = [row.vector.astype(np.float64) for row in truth.rows]
    words = [set(terms(row)) for row in truth.rows]
    scores: dict[tuple[frozenset[str], str], float] = {}
    for _ in range(ASKED):
        filter = drawn_filter(draw, 0, truth.generation)
        allowed, k = truth.permitted(filter), int(draw.integers(0, 13))
        query = " ".join(draw.choice(WORDS, draw.integers(0, 5)))
        asked = frozenset(analyse(query))
        every = index.lexical(query, filter, len(truth.rows) + 1)
        chunks = [hit.chunk for hit in every]
        assert sorted(chunks) == sorted(f"c{at}" for at in allowed if asked & words[at])
        assert index.lexical(query, filter, k) == every[:k]
        if len(analyse(query)) == len(asked):  # a word said twice counts twice
            for hit in every:
                assert scores.setdefault((asked, hit.chunk), hit.score) == pytest.approx(hit.score)
        question = unit(draw.normal(size=DIMENSION))
        cosine = {at: float(held[at] @ question) for at in allowed}
        near = [int(hit.chunk[1:]) for hit in index.dense(question, filter, k)]
        assert near == cut(cosine, allowed, k)
    index.forget()
