"""PostgreSQL as a search engine on real servers: several nodes, kill -9, a replica promoted, and
what tending changes and does not."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from typing import LiteralString, Protocol

import numpy as np
import psycopg
import pytest
from psycopg import sql

from rag.domain import Filter, Hit
from rag.errors import BadSettings, IndexUnavailable
from rag.index.fed import FedIndex
from rag.index.postgresql import lexical, tending
from rag.index.postgresql.engine import PostgresqlEngine
from rag.index.postgresql.schema import Schema
from rag.ports import SearchIndex
from tests.index.backends import Fed
from tests.index.truth import New, Truth, unit
from tests.search_nodes import SearchNode, folders, search_nodes

HR = frozenset({"hr"})
EAST = unit((1, 0, 0, 0))


@pytest.fixture(scope="module")
def node() -> Iterator[SearchNode]:
    with search_nodes(1) as nodes:
        yield nodes[0]


class Over(Protocol):
    def __call__(self, truth: Truth, *urls: str) -> FedIndex: ...


@pytest.fixture
def over() -> Iterator[Over]:
    """An index over nodes, which compares every vector."""
    with ExitStack() as stack:

        def opened(truth: Truth, *urls: str) -> FedIndex:
            engine = stack.enter_context(closing(PostgresqlEngine(urls, None)))
            return Fed("", engine, "", 1, steady=True).index(truth)

        yield opened


def chunks(found: list[Hit]) -> set[str]:
    return {hit.chunk for hit in found}


def asked(index: SearchIndex, k: int = 99) -> tuple[set[str], set[str]]:
    """What each leg finds now."""
    filter = Filter(index.catch_up(), HR)
    return chunks(index.lexical("invoice", filter, k)), chunks(index.dense(EAST, filter, k))


def eventually(true: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 30
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def written(primary: SearchNode) -> object:
    return one(primary, "SELECT pg_current_wal_lsn()")


def replayed(replica: SearchNode) -> object:
    return one(replica, "SELECT pg_last_wal_replay_lsn()")


def one(node: SearchNode, query: LiteralString | sql.Composed) -> object:
    with psycopg.connect(node.url) as connection:
        found = connection.execute(query).fetchone()
    return found and found[0]


def test_a_killed_node_is_a_loud_error_and_never_a_part_of_the_answer(over: Over) -> None:
    with search_nodes(3) as nodes:
        truth = Truth()
        truth.commit([New(f"invoice {i}") for i in range(30)])
        index = over(truth, *(node.url for node in nodes))
        every = {f"c{i}" for i in range(30)}
        assert asked(index) == (every, every)
        rows = sql.Identifier(Schema.of(truth.collection).name, "rows")
        for node in nodes:
            with psycopg.connect(node.url) as connection:
                held = connection.execute(sql.SQL("SELECT row FROM {}").format(rows)).fetchall()
                assert 5 <= len(held) <= 15
        filter = Filter(1, HR)
        nodes[1].kill()
        for ask in (
            lambda: index.lexical("invoice", filter, 5),
            lambda: index.dense(EAST, filter, 5),
            index.catch_up,
        ):
            with pytest.raises(IndexUnavailable, match=nodes[1].address):
                ask()
        nodes[1].start()
        assert asked(index) == (every, every)


def test_promoting_the_replica_brings_answers_back(over: Over) -> None:
    with search_nodes(1) as [primary], folders(1) as [replica]:
        truth = Truth()
        truth.commit([New("invoice"), New("invoice")])
        both = f"postgresql://attest@{primary.address},{replica.address}/postgres"
        index = over(truth, both)
        assert asked(index) == ({"c0", "c1"}, {"c0", "c1"}), "before there is a replica"
        replica.follow(primary)
        replica.start()
        truth.commit([New("invoice")], ended=[0])
        assert asked(index) == ({"c1", "c2"}, {"c1", "c2"})
        eventually(lambda: replayed(replica) == written(primary))
        primary.kill()
        assert asked(index) == ({"c1", "c2"}, {"c1", "c2"}), "the replica answers what it has"
        truth.commit([New("invoice")], ended=[1])
        with pytest.raises(IndexUnavailable, match="accepts writes"):
            index.catch_up()
        replica.promote()
        assert asked(index) == ({"c2", "c3"}, {"c2", "c3"})


def test_a_replica_that_is_behind_is_not_believed(over: Over) -> None:
    with search_nodes(1) as [primary], folders(1) as [replica]:
        replica.follow(primary)
        replica.start()
        truth = Truth()
        truth.commit([New("secret invoice"), New("invoice")])
        index = over(truth, f"postgresql://attest@{primary.address},{replica.address}/postgres")
        assert asked(index) == ({"c0", "c1"}, {"c0", "c1"})
        with psycopg.connect(replica.url, autocommit=True) as connection:
            connection.execute("SELECT pg_wal_replay_pause()")
            truth.commit([New("invoice")], ended=[0])
            assert asked(index) == ({"c1", "c2"}, {"c1", "c2"})
            connection.execute("SELECT pg_wal_replay_resume()")


def test_another_number_of_nodes_is_fed_again(over: Over) -> None:
    with search_nodes(2) as nodes:
        truth = Truth()
        truth.commit([New("invoice")] * 6)
        urls = [node.url for node in nodes]
        every = {f"c{i}" for i in range(6)}
        for layout in (urls, urls[:1], urls[::-1], urls):
            assert asked(over(truth, *layout)) == (every, every)


def test_tending_changes_no_hit_and_no_score(
    node: SearchNode, monkeypatch: pytest.MonkeyPatch
) -> None:
    rng = np.random.default_rng(3)
    truth = Truth()
    engine = PostgresqlEngine([node.url], graph_from=None)
    with closing(engine):
        index = Fed("", engine, "", 1, steady=True).index(truth)
        for _ in range(12):
            words = rng.integers(0, 9, size=(5, 6))
            truth.commit([New(" ".join(f"w{n}" for n in row)) for row in words])
            index.catch_up()
        filter = Filter(12, HR)
        before = [index.lexical(f"w{n} w{n + 1}", filter, 99) for n in range(8)]
        assert before[0]
        blocks = sql.Identifier(Schema.of(truth.collection).name, "postings")
        counting = sql.SQL("SELECT count(*) FROM {} WHERE term = 'w1'").format(blocks)
        assert one(node, counting) == 12
        monkeypatch.setattr(tending, "LOOSE", 1)
        engine.tend(truth.collection)
        assert one(node, counting) == 1
        assert [index.lexical(f"w{n} w{n + 1}", filter, 99) for n in range(8)] == before
        truth.commit([New("w1 w1 w1")], ended=[0, 1, 2])
        found_again = index.lexical("w1", Filter(index.catch_up(), HR), 99)
        assert "c60" in chunks(found_again)
        assert not {"c0", "c1", "c2"} & chunks(found_again)


@pytest.mark.parametrize("share", [0.02, 0.5])
def test_the_graph_finds_what_the_comparison_of_all_finds(
    node: SearchNode, over: Over, share: float
) -> None:
    rng = np.random.default_rng(4)
    truth = Truth()
    groups = np.where(rng.random(4000) < share, "hr", "law")
    truth.commit([New("x", tuple(rng.normal(size=4)), readers=frozenset({str(g)})) for g in groups])
    engine = PostgresqlEngine([node.url], graph_from=1)
    with closing(engine):
        index = Fed("", engine, "", 1, steady=True).index(truth)
        filter = Filter(index.catch_up(), HR)
        engine.tend(truth.collection)
        eventually(lambda: has_graph(node, engine, truth))
        exact = over(truth, node.url)
        exact.catch_up()
        questions = [unit(rng.normal(size=4)) for _ in range(20)]
        shared = [
            len(chunks(index.dense(q, filter, 10)) & chunks(exact.dense(q, filter, 10)))
            for q in questions
        ]
        assert sum(shared) >= 0.95 * 10 * len(questions)
        truth.commit([New("x", (1, 0, 0, 0), readers=HR)])
        newest = index.catch_up()
        assert "c4000" in chunks(index.dense(EAST, Filter(newest, HR), 10)), "fed into the graph"


def has_graph(node: SearchNode, engine: PostgresqlEngine, truth: Truth) -> bool:
    engine.tend(truth.collection)  # or it finds that the background is at it
    with psycopg.connect(node.url) as connection:
        state = Schema.of(truth.collection).state(connection)
    return state is not None and state.graph


def test_looking_up_the_best_finds_what_listing_the_permitted_finds(
    node: SearchNode, over: Over, monkeypatch: pytest.MonkeyPatch
) -> None:
    rng = np.random.default_rng(5)
    truth = Truth()
    for _ in range(3):
        texts = [" ".join(f"w{n}" for n in rng.integers(0, 30, size=9)) for _ in range(60)]
        groups = rng.choice(["hr", "law"], size=60)
        truth.commit(
            [New(t, readers=frozenset({str(g)})) for t, g in zip(texts, groups, strict=True)]
        )
    index = over(truth, node.url)
    filter = Filter(index.catch_up(), HR)
    queries = [f"w{n} w{n + 1} w{n + 2}" for n in range(20)]
    listed = [index.lexical(query, filter, 10) for query in queries]
    assert all(len(found) == 10 for found in listed)
    monkeypatch.setattr(lexical, "NARROW", 0)
    for deep in (64, 1):  # enough of the best are sorted, or all must be after all
        monkeypatch.setattr(lexical, "SORTED", deep)
        assert [index.lexical(query, filter, 10) for query in queries] == listed


@pytest.mark.parametrize("url", ["nonsense://x", "postgresql://[", "what"])
def test_an_address_that_is_none_stops_the_start(url: str) -> None:
    with pytest.raises(BadSettings, match="search_url"):
        PostgresqlEngine([url])


def test_a_server_without_pgvector_or_away_says_so(over: Over) -> None:
    truth = Truth()
    truth.commit([New("invoice")])
    index = over(truth, "postgresql://attest@127.0.0.1:1/postgres")
    with pytest.raises(IndexUnavailable, match=r"127\.0\.0\.1:1"):
        index.catch_up()
