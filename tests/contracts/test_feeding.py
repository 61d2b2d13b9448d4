"""One suite over every search engine on servers: many processes feed it, and any may be killed."""

from __future__ import annotations

import subprocess
import sys
import textwrap
import threading
from dataclasses import replace
from pathlib import Path
from uuid import uuid4

import numpy as np
import pytest

from rag.domain import Filter
from rag.errors import EmbedderChanged, IndexUnavailable
from rag.index.fed import FedIndex
from rag.store.unit import open_store
from tests.index.backends import Fed
from tests.index.truth import DIMENSION, New, Truth, unit
from tests.servers import SqliteDatabases
from tests.store.samples import collection, ingest

EVERYBODY = frozenset({"hr"})
EAST = unit((1, 0, 0, 0))


@pytest.fixture(params=["milvus", "pgvector", "pgvector_nodes"])
def fed(request: pytest.FixtureRequest) -> Fed:
    made: Fed = request.getfixturevalue(request.param)
    return made


def seen(index: FedIndex, generation: int) -> list[str]:
    return sorted(hit.chunk for hit in index.dense(EAST, Filter(generation, EVERYBODY), 999))


def test_what_a_killed_feeder_left_half_done_is_not_seen(fed: Fed) -> None:
    """Its rows are there, ended ones too, and its record is not."""
    truth = Truth()
    truth.commit([New("invoice"), New("invoice")])
    index = fed.index(truth)
    index.catch_up()
    held = fed.engine.held(truth.collection)
    truth.commit([New("invoice")], ended=[0])
    fed.engine.apply(truth.collection, truth.since("c", 1), held)
    assert seen(index, 1) == ["c0", "c1"]
    truth.commit([New("invoice")], ended=[2])
    successor = fed.index(truth)
    assert successor.catch_up() == 3
    assert seen(successor, 3) == seen(index, 3) == ["c1", "c3"]
    assert seen(successor, 2) == ["c1", "c2"]
    assert seen(successor, 1) == ["c0", "c1"]
    assert fed.engine.rows(truth.collection, held.build) == 4


def test_what_is_left_out_is_found_no_more_and_all_else_as_if_it_never_was(fed: Fed) -> None:
    """Rows of a deleted document and rows that ended long ago: of statistics too, in windows of
    several rows, and again after more was fed."""
    truth = Truth()
    texts = ["invoice paid", "invoice late fee", "invoice invoice", "rare fee", "fee", "paid"]
    truth.commit([New(text, document=f"d{at % 3}") for at, text in enumerate(texts)])
    truth.commit([New("invoice rare", document="d9")], ended=[0])
    truth.commit([New("late", document="d9")], ended=[1, 4])  # 1 and 4 are of document d1
    index = fed.index(truth)
    index.catch_up()
    build = fed.engine.held(truth.collection).build
    before = seen(index, 3)
    assert index.leave_out(["d1"], 2) == 3
    assert index.leave_out(["d1"], 2) == 0
    assert fed.engine.rows(truth.collection, build) == 5
    assert seen(index, 3) == before
    truth.commit([New("invoice fee")], ended=[2])
    assert index.catch_up() == 4
    anew = Truth()
    anew.restore(truth)
    anew.rows = [row for at, row in enumerate(truth.rows) if at not in (0, 1, 4)]
    other = fed.index(anew)
    for query in ("invoice", "fee late", "rare paid"):
        wanted = Filter(4, EVERYBODY)
        expected = [(hit.chunk, round(hit.score, 5)) for hit in other.lexical(query, wanted, 9)]
        found = [(hit.chunk, round(hit.score, 5)) for hit in index.lexical(query, wanted, 9)]
        assert sorted(found) == sorted(expected)


def test_a_first_feed_that_was_killed_leaves_nothing_behind(fed: Fed) -> None:
    truth = Truth()
    truth.commit([New("invoice")])
    index = fed.index(truth)
    fed.engine.begin(truth.collection, uuid4().hex, DIMENSION)
    assert fed.engine.held(truth.collection).generation == 0
    assert index.catch_up() == 1
    assert seen(index, 1) == ["c0"]
    index.forget()
    assert fed.engine.held(truth.collection).build == ""
    assert index.catch_up() == 1


def test_a_long_history_is_fed_in_windows_and_goes_on_where_it_stopped(fed: Fed) -> None:
    truth = Truth()
    for i in range(10):
        truth.commit([New("invoice")] * 3, ended=[3 * i - 1] if i else [])
    index = fed.index(truth)  # seven rows at once
    told = list[int]()
    assert index.rebuild(told.append) == 10
    assert told == [2, 4, 6, 8, 10]
    assert seen(index, 10) == sorted(
        truth.rows[i].chunk for i in truth.permitted(Filter(10, EVERYBODY))
    )
    assert index.live(10) == set(seen(index, 10))
    assert index.live(1) == {"c0", "c1", "c2"}
    truth.reads.clear()
    truth.commit([New("invoice")])
    fed.index(truth).catch_up()
    assert truth.reads == [10, 11]


def test_a_collection_that_begins_without_rows(fed: Fed) -> None:
    truth = Truth()
    truth.commit()
    index = fed.index(truth)
    assert index.catch_up() == 1
    assert seen(index, 1) == []
    truth.commit([New("invoice")])
    assert index.catch_up() == 2
    assert seen(index, 2) == ["c0"]


def test_a_question_waits_for_the_feeder_and_then_fails(fed: Fed) -> None:
    truth = Truth()
    truth.commit([New("invoice")])
    fed.index(truth).catch_up()
    hasty = FedIndex(
        truth.store, truth.collection, DIMENSION, fed.engine, truth.alone, wait_seconds=0.2
    )
    with truth.alone("a feeder", 1):
        assert hasty.catch_up() == 1  # nothing to feed, so nothing to wait for
        truth.commit(ended=[0])
        with pytest.raises(IndexUnavailable, match="generation 1 so far"):
            hasty.catch_up()
    assert hasty.catch_up() == 2
    assert seen(hasty, 2) == []


def test_feeders_at_once(fed: Fed) -> None:
    truth = Truth()
    truth.commit([New("invoice"), New("invoice")])
    indexes = [fed.index(truth) for _ in range(4)]
    wrong = list[object]()

    def question(index: FedIndex) -> None:
        try:
            for _ in range(6):
                at = index.catch_up()
                filter = Filter(at, EVERYBODY)
                if seen(index, at) != sorted(truth.rows[i].chunk for i in truth.permitted(filter)):
                    wrong.append(at)
        except BaseException as exc:
            wrong.append(exc)
            raise

    threads = [threading.Thread(target=question, args=(index,)) for index in indexes]
    for thread in threads:
        thread.start()
    for step in range(8):
        truth.commit([New("invoice"), New("invoice")], ended=[2 * step, 2 * step + 1])
    for thread in threads:
        thread.join()
    assert not wrong
    newest = indexes[0].catch_up()
    assert {tuple(seen(index, newest)) for index in indexes} == {("c16", "c17")}


def test_two_collections_do_not_mix(fed: Fed) -> None:
    one, other = Truth(), Truth()
    one.collection, other.collection = "odd/é 'name\" " * 9, "odd/é 'name\" " * 9 + "2"
    one.commit([New("invoice")])
    other.commit([New("invoice"), New("fee")])
    first, second = fed.index(one), fed.index(other)
    assert seen(first, first.catch_up()) == ["c0"]
    assert seen(second, second.catch_up()) == ["c0", "c1"]
    first.forget()
    assert seen(second, 1) == ["c0", "c1"]
    first.catch_up()
    fed.engine.begin("deleted", uuid4().hex, DIMENSION)
    kept = {"deleted", one.collection, other.collection}
    assert fed.engine.sweep(kept) > 0  # what other tests left
    assert fed.engine.sweep(kept) == 0
    assert fed.engine.sweep(kept - {"deleted"}) == 1
    assert seen(first, 1) == ["c0"]
    assert seen(second, 1) == ["c0", "c1"]
    assert fed.engine.sweep({other.collection}) == 1
    assert fed.engine.held(one.collection).build == ""
    assert seen(first, 1) == ["c0"], "fed again by the question"


def test_an_engine_and_a_record_of_it_that_disagree(fed: Fed) -> None:
    """Someone dropped the rows by hand: the next question has them fed again."""
    truth = Truth()
    truth.commit([New("invoice")])
    index = fed.index(truth)
    index.catch_up()
    held = fed.engine.held(truth.collection)
    fed.engine.forget(truth.collection)
    other = replace(held, build=uuid4().hex)
    fed.engine.begin(truth.collection, other.build, DIMENSION)
    fed.engine.apply(truth.collection, truth.since("c", 0), other)
    assert seen(index, 1) == ["c0"]  # it asked for the old build, and found the new one


FEEDER = """
    import sys
    from rag.index.fed import FedIndex
    from rag.store.unit import open_store
    url, collection = sys.argv[1:]
    store = open_store(url)
    index = FedIndex(store, collection, 4, engine, store.alone, rows_at_once=1)
    index.rebuild(lambda generation: print(generation, flush=True))
"""


def test_a_killed_process_is_followed_by_another(fed: Fed, sqlite: SqliteDatabases) -> None:
    url = sqlite.new()
    store = open_store(url)
    into = collection(store)
    for i in range(12):
        ingest(store, into, f"{i % 5}.txt", [f"text {i}", "more"])
    feeder = subprocess.Popen(
        [sys.executable, "-c", f"{fed.opening}\n{textwrap.dedent(FEEDER)}", url, into],
        stdout=subprocess.PIPE,
        text=True,
        cwd=Path(__file__).parents[2],
    )
    assert feeder.stdout is not None
    assert [feeder.stdout.readline() for _ in range(3)] == ["1\n", "2\n", "3\n"]
    feeder.kill()
    feeder.wait()
    feeder.stdout.close()
    index = FedIndex(store, into, 4, fed.engine, store.alone)
    assert 3 <= fed.engine.held(into).generation < 12
    assert index.catch_up() == 12
    with store() as work:
        rows = work.chunks.since(into, 0).born
    assert index.live(12) == {row.chunk for row in rows if row.died is None}
    assert index.live(4) == {r.chunk for r in rows if r.born <= 4 and (not r.died or r.died > 4)}
    store.close()


def test_another_embedding_is_fed_beside_the_one_in_use(fed: Fed, sqlite: SqliteDatabases) -> None:
    """Of another dimension, before questions need it; then the first one is dropped."""
    store = open_store(sqlite.new())
    into = collection(store)
    for i in range(3):
        ingest(store, into, f"{i}.txt", [f"text {i}"])
    old = FedIndex(store, into, 4, fed.engine, store.alone)
    assert old.catch_up() == 3
    with store() as work:
        id = work.embeddings.begin(into, "wide", 6, "local").id
        work.embeddings.lease(id, "w", 60)
        chunks = work.embeddings.missing(id, 9)
        work.embeddings.put(id, "w", chunks, np.eye(6, dtype=np.float32)[[0, 1, 2]])
        assert work.embeddings.complete(id, "w")
        work.commit()
    new = FedIndex(store, id, 6, fed.engine, store.alone)
    assert new.catch_up() == 3
    everybody = Filter(3, frozenset({"local"}))
    assert len(old.dense(EAST, everybody, 9)) == 3, "in use meanwhile"
    with store() as work:
        assert work.embeddings.swap(id, "w") == 4
        work.commit()
    with pytest.raises(EmbedderChanged):
        old.catch_up()
    assert new.catch_up() == 4
    now = replace(everybody, generation=4)
    for at, chunk in enumerate(chunks):
        first, *rest = new.dense(np.eye(6, dtype=np.float32)[at], now, 9)
        assert first.chunk == chunk.chunk
        assert len(rest) == 2
    assert len(new.lexical("text", now, 9)) == 3
    old.forget()
    assert fed.engine.held(into).build == ""
    assert len(new.dense(np.eye(6, dtype=np.float32)[0], now, 9)) == 3
    with store() as work:
        assert work.embeddings.searched() == {id}
    store.close()
