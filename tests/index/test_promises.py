"""No leak and no miss: ten thousand questions of random users (five thousand of each lexical
adapter) against a brute-force reading.

One example is a whole random history; each is asked many times, so that CI stays quick.
"""

from __future__ import annotations

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
from tests.index.histories import GROUPS, WORDS
from tests.index.truth import DIMENSION, New, Truth, unit

EXAMPLES, ASKED = 25, 200
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


@pytest.mark.parametrize("name", ["tantivy", "rank_bm25"])
def test_no_leak_and_no_miss(
    name: LexicalName, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With tantivy the later questions go to a snapshot with an inverted file, whose every list is
    looked into, with rows after it and rows compacted away."""
    monkeypatch.setattr(approximate, "TARGET", 2.0)

    @settings(max_examples=EXAMPLES, deadline=None, database=None)
    @given(seed=st.integers(0, 2**32 - 1))
    def ask(seed: int) -> None:
        check(seed, name, tmp_path_factory.mktemp("index"))

    ask()


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
