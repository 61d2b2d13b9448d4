"""Databases and stores for every test that wants the truth in SQL, and the search back ends."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from rag.store.unit import SqlStore, open_store
from tests.search_nodes import SearchNode, search_nodes
from tests.servers import (
    Databases,
    MilvusServer,
    PostgresqlDatabases,
    SqliteDatabases,
    postgresql_server,
)

if TYPE_CHECKING:
    from tests.index.backends import Backend


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--cases",
        type=int,
        help="questions that each search back end is asked in tests/index/test_promises.py",
    )


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Files that take minutes come first: begun last, they would keep one process of a run at work
    while the others have nothing left to do."""
    items.sort(key=lambda item: item.get_closest_marker("slow") is None)


class Ticker:
    """A clock that moves only when told to."""

    def __init__(self) -> None:
        self.now = datetime(2026, 1, 1, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.now

    def advance(self, seconds: float) -> None:
        self.now += timedelta(seconds=seconds)


@pytest.fixture(scope="session")
def sqlite(tmp_path_factory: pytest.TempPathFactory) -> SqliteDatabases:
    return SqliteDatabases(tmp_path_factory.mktemp("sqlite"))


@pytest.fixture(scope="session")
def postgresql() -> Iterator[PostgresqlDatabases]:
    with postgresql_server() as url:
        yield PostgresqlDatabases(url)


@pytest.fixture(scope="session", params=["sqlite", "postgresql"])
def databases(request: pytest.FixtureRequest) -> Databases:
    """Both back ends, one after the other."""
    made: Databases = request.getfixturevalue(request.param)
    return made


@pytest.fixture
def clock() -> Ticker:
    return Ticker()


@pytest.fixture
def store(databases: Databases, clock: Ticker) -> Iterator[SqlStore]:
    """A fresh store on each back end, whose leases follow `clock`."""
    opened = open_store(databases.new(), max_attempts=3, clock=clock)
    yield opened
    opened.close()


@pytest.fixture(scope="session")
def tantivy() -> Backend:
    from tests.index.backends import Embedded

    return Embedded("tantivy")


@pytest.fixture(scope="session")
def snapshots(tmp_path_factory: pytest.TempPathFactory) -> Backend:
    from tests.index.backends import OnDisk

    return OnDisk(tmp_path_factory)


@pytest.fixture(scope="session")
def rank_bm25() -> Backend:
    from tests.index.backends import Embedded

    return Embedded("rank_bm25")


@pytest.fixture(scope="session")
def search_node() -> Iterator[SearchNode]:
    with search_nodes(1) as [node]:
        yield node


@pytest.fixture(scope="session")
def pgvector(search_node: SearchNode) -> Iterator[Backend]:
    """One node; every vector is compared, so it is held to the best k."""
    yield from _on_nodes("pgvector", [search_node], None)


@pytest.fixture(scope="session")
def pgvector_nodes() -> Iterator[Backend]:
    """Three nodes, each with an HNSW graph where a test has many rows."""
    with search_nodes(3) as nodes:
        yield from _on_nodes("pgvector_nodes", nodes, 400)


def _on_nodes(name: str, nodes: list[SearchNode], graph_from: int | None) -> Iterator[Backend]:
    from rag.index.postgresql.engine import PostgresqlEngine
    from tests.index.backends import Fed

    urls = [node.url for node in nodes]
    opening = (
        "from rag.index.postgresql.engine import PostgresqlEngine\n"
        f"engine = PostgresqlEngine({urls!r}, {graph_from!r})"
    )
    engine = PostgresqlEngine(urls, graph_from)
    yield Fed(name, engine, opening, examples=6, steady=True)
    engine.close()


@pytest.fixture(scope="session")
def milvus_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MilvusServer]:
    server = MilvusServer(tmp_path_factory.mktemp("milvus"))
    server.start()
    yield server
    server.kill()


@pytest.fixture(scope="session")
def milvus(milvus_server: MilvusServer) -> Iterator[Backend]:
    from rag.index.milvus import MilvusEngine
    from tests.index.backends import Fed

    engine = MilvusEngine(milvus_server.url)
    opening = (
        f"from rag.index.milvus import MilvusEngine\nengine = MilvusEngine({milvus_server.url!r})"
    )
    # Milvus Lite counts words among the rows that the filter permits, while they are in memory.
    yield Fed("milvus", engine, opening, examples=8, steady=False)
    engine.close()
