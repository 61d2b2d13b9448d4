"""What is Milvus' own: a server that goes away, a graph, limits and addresses."""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from pymilvus import MilvusClient

from rag.domain import Condition, Filter
from rag.errors import BadSettings, IndexUnavailable
from rag.index.fed import FedIndex
from rag.index.milvus import MilvusEngine
from tests.index.backends import Fed
from tests.index.truth import DIMENSION, New, Truth, unit
from tests.servers import MilvusServer

EVERYBODY = frozenset({"hr"})
EAST = unit((1, 0, 0, 0))


@pytest.fixture
def own(tmp_path: Path) -> Iterator[MilvusServer]:
    server = MilvusServer(tmp_path / "milvus")
    server.start()
    yield server
    server.kill()


def index_of(truth: Truth, engine: MilvusEngine) -> FedIndex:
    truth.collection = "c"
    return FedIndex(truth.store, "c", DIMENSION, engine, truth.alone)


def found(index: FedIndex, generation: int) -> list[str]:
    filter = Filter(generation, EVERYBODY)
    lexical = [hit.chunk for hit in index.lexical("invoice", filter, 9)]
    assert sorted(lexical) == sorted(hit.chunk for hit in index.dense(EAST, filter, 9))
    return sorted(lexical)


def once_back(index: FedIndex) -> int:
    """The line finds a server that is back by itself, if not at the first question."""
    deadline = time.monotonic() + 30
    while True:
        try:
            return index.catch_up()
        except IndexUnavailable:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.2)


def test_a_server_that_is_killed_and_comes_back(own: MilvusServer, tmp_path: Path) -> None:
    truth = Truth()
    truth.commit([New("invoice"), New("invoice fee")])
    engine = MilvusEngine(own.url, seconds=20)
    index = index_of(truth, engine)
    assert found(index, index.catch_up()) == ["c0", "c1"]
    filter = Filter(1, EVERYBODY)

    own.kill()
    for ask in (
        index.catch_up,
        lambda: index.lexical("invoice", filter, 9),
        lambda: index.dense(EAST, filter, 9),
        index.forget,
    ):
        with pytest.raises(IndexUnavailable, match=f"127.0.0.1:{own.port}.*check that it runs"):
            ask()
    truth.commit([New("late invoice")], ended=[0])

    own.start()
    assert found(index, once_back(index)) == ["c1", "c2"]
    assert found(index, 1) == ["c0", "c1"], "what it held before it was killed"

    own.kill()
    shutil.rmtree(tmp_path / "milvus")
    own.start()
    assert found(index, once_back(index)) == ["c1", "c2"], "fed again from the truth"
    engine.close()


def test_a_server_that_is_not_there() -> None:
    engine = MilvusEngine("http://me:secret@127.0.0.1:1/library", seconds=3)
    with pytest.raises(IndexUnavailable, match=r"127\.0\.0\.1:1 ") as caught:
        index_of(Truth(), engine).catch_up()
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize("url", ["milvus", "http://host", "ftp://host:1", "http://host:x", ""])
def test_an_address_that_is_none(url: str) -> None:
    with pytest.raises(BadSettings, match="http://user:password@10"):
        MilvusEngine(url)


def test_rows_dropped_by_hand_are_fed_again(own: MilvusServer) -> None:
    truth = Truth()
    truth.commit([New("invoice")])
    engine = MilvusEngine(own.url)
    index = index_of(truth, engine)
    hand = MilvusClient(own.url)
    for change in (lambda: None, lambda: truth.commit([New("invoice")])):
        index.catch_up()
        (name,) = (n for n in hand.list_collections() if n != "attest_applied")
        hand.drop_collection(name)
        change()
        assert found(index, truth.generation) == [row.chunk for row in truth.rows]
    hand.close()
    engine.close()


@pytest.mark.parametrize("share", [0.02, 0.3, 1.0])
def test_the_graph_finds_its_share_behind_filters(
    milvus_server: MilvusServer, share: float
) -> None:
    """Flushed, since Milvus Lite scans what is still in memory."""
    rng = np.random.default_rng(0)
    truth = Truth()
    truth.commit(
        [
            New("x", tuple(rng.normal(size=4)), readers=frozenset({group}))
            for group in np.where(rng.random(3000) < share, "hr", "law")
        ]
    )
    engine = MilvusEngine(milvus_server.url, dense="graph")
    backend = Fed("graph", engine, "", examples=1, steady=False)
    assert not backend.exact
    index = backend.index(truth)
    filter = Filter(index.catch_up(), EVERYBODY)
    hand = MilvusClient(milvus_server.url)
    build = engine.held(truth.collection).build
    (name,) = (name for name in hand.list_collections() if name.endswith(build))
    hand.flush(name)
    assert "HNSW" in str(hand.describe_index(name, "vector"))
    allowed = [truth.rows[at] for at in truth.permitted(filter)]
    recalls = []
    for _ in range(10):
        question = unit(tuple(rng.normal(size=4)))
        best = sorted(allowed, key=lambda row: -float(row.vector @ question))[:10]
        hits = {hit.chunk for hit in index.dense(question, filter, 10)}
        assert len(hits) == 10
        recalls.append(len(hits & {row.chunk for row in best}) / 10)
    assert np.mean(recalls) >= 0.95
    hand.close()
    engine.close()


def test_after_a_flush_deaths_and_filters_hold(milvus_server: MilvusServer, milvus: Fed) -> None:
    """Rows then lie in segments on disk, with what came later in memory."""
    truth = Truth()
    truth.commit([New(f"invoice n{i}", metadata=(("n", i % 3),)) for i in range(30)])
    index = milvus.index(truth)
    index.catch_up()
    hand = MilvusClient(milvus_server.url)
    build = milvus.engine.held(truth.collection).build
    (name,) = (name for name in hand.list_collections() if name.endswith(build))
    for ended in range(0, 30, 6):
        hand.flush(name)
        truth.commit([New(f"invoice m{ended}", metadata=(("n", 0),))], ended=[ended])
        newest = index.catch_up()
        for generation in (1, newest):
            filter = Filter(generation, EVERYBODY, (Condition("n", (0,)),))
            wanted = {truth.rows[at].chunk for at in truth.permitted(filter)}
            assert {hit.chunk for hit in index.lexical("invoice", filter, 99)} == wanted
            assert {hit.chunk for hit in index.dense(EAST, filter, 99)} == wanted
    hand.close()


def test_what_does_not_fit_is_refused(milvus: Fed) -> None:
    for new, says in (
        (New("invoice", readers=frozenset(f"g{i}" for i in range(5000))), "c0 has 5000 groups"),
        (New(" ".join(f"w{i}" for i in range(9000))), "c0 has 9000 words"),
    ):
        truth = Truth()
        truth.commit([new])
        index = milvus.index(truth)
        with pytest.raises(IndexUnavailable, match=says):
            index.catch_up()
