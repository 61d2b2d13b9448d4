"""Migrations: up, down, and equal to the models, on both back ends."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlalchemy import inspect, text

from rag.domain import Answer, Elsewhere, Filter, Replay, Sampling, Verdict, chunk_id
from rag.errors import BadSettings, Conflict, StoreUnavailable
from rag.store.engine import WRITING, make_engine
from rag.store.migrate import current, downgrade, head, upgrade
from rag.store.tables import Base
from rag.store.unit import open_store
from tests.servers import Databases
from tests.store.samples import EMBEDDER, collection, ingest


def test_models_equal_migrations(databases: Databases) -> None:
    engine = make_engine(databases.new())
    with engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        assert compare_metadata(context, Base.metadata) == []
        indexes = {
            index["name"]
            for table in Base.metadata.tables
            for index in inspect(connection).get_indexes(table)
        }
    engine.dispose()
    assert {"uq_versions_document_live", "uq_chunks_chunk_live"} <= indexes


def test_up_and_down(databases: Databases) -> None:
    url = databases.empty()
    assert current(url) == ""
    assert upgrade(url) == upgrade(url) == current(url) == head()
    assert downgrade(url, "base") == ""
    engine = make_engine(url)
    with engine.connect() as connection:
        assert inspect(connection).get_table_names() == ["alembic_version"]
    engine.dispose()
    assert upgrade(url) == head()


def test_vectors_move_to_a_table_of_their_own_and_back(databases: Databases) -> None:
    url = databases.empty()
    upgrade(url)
    store = open_store(url)
    into = collection(store)
    job, _ = ingest(store, into, "a.md", ["one", "two"])
    with store() as work:
        work.documents.set_access(job.document, frozenset({"hr"}), {})
        work.commit()
        before = work.chunks.since(into, 0)
    store.close()
    assert downgrade(url, "0007") == "0007"
    engine = make_engine(url)
    with engine.connect() as connection:
        rows = list(connection.execute(text("SELECT chunk, vector FROM chunks ORDER BY row")))
        assert [bytes(vector) for _, vector in rows] == [r.vector.tobytes() for r in before.born]
        held = connection.execute(text("SELECT embedder, dimension FROM collections")).one()
        assert tuple(held) == (EMBEDDER, 4)
    engine.dispose()
    upgrade(url)
    store = open_store(url)
    with store() as work:
        again = work.chunks.since(into, 0)
        assert [(r.row, r.born, r.died) for r in again.born] == [
            (r.row, r.born, r.died) for r in before.born
        ]
        assert np.array_equal([r.vector for r in again.born], [r.vector for r in before.born])
        assert work.collections.get(into).embedder == EMBEDDER
    store.close()


def test_what_answers_rest_on_is_listed_by_the_upgrade(databases: Databases) -> None:
    """And answers that were emptied go with the way back, where nothing would say so of them."""
    url = databases.empty()
    upgrade(url)
    store = open_store(url)
    into = collection(store)
    documents = [ingest(store, into, name, [name])[0].document for name in ("a.md", "b.md")]
    for document, id in zip(documents, ("first", "second"), strict=True):
        with store() as work:
            [version] = work.documents.versions(document)
            chunk = chunk_id(version.id, 0, 4)
            [passage] = work.chunks.passages(into, [chunk], Filter(2, frozenset({"local"})))
            passage = replace(passage, also=(Elsewhere(document, "c.md", "chunk"),))
            replay = Replay(2, "m", "a", "p", Sampling(), (chunk,), {})
            work.answers.add(
                Answer(
                    id, into, "q", "t", Verdict.ANSWERED, 1.0, (), (passage,), {}, replay, "ann",
                    datetime(2026, 1, 1, tzinfo=UTC),
                )
            )  # fmt: skip
            work.commit()
    with store() as work:
        work.documents.delete(documents[1])
        work.commit()
    with store() as work:
        assert work.purging.answers(9) == 1
        work.commit()
    listed = "SELECT answer, chunk, document, generation FROM answer_sources ORDER BY chunk"
    with store.engine.connect() as connection:
        before = [tuple(row) for row in connection.execute(text(listed))]
    store.close()
    assert [row[2] for row in before] == [documents[0]] * 2
    downgrade(url, "0008")
    upgrade(url)
    store = open_store(url)
    with store.engine.connect() as connection:
        assert [tuple(row) for row in connection.execute(text(listed))] == before
    with store() as work:
        assert [answer.id for answer in work.answers.recent(into, "ann", 9)] == ["first"]
    store.close()


def test_a_newer_database_is_refused(databases: Databases) -> None:
    url = databases.new()
    engine = make_engine(url)
    with engine.connect().execution_options(**{WRITING: True}) as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
        connection.commit()
    engine.dispose()
    with pytest.raises(Conflict, match="9999"):
        upgrade(url)


def test_a_database_up_to_date_is_opened_while_another_process_writes(
    databases: Databases,
) -> None:
    url = databases.new()
    engine = make_engine(url)
    with engine.connect().execution_options(**{WRITING: True}) as writing:
        writing.execute(text("UPDATE alembic_version SET version_num = version_num"))
        assert upgrade(url) == head()
    engine.dispose()


def test_processes_upgrade_together(databases: Databases, tmp_path: Path) -> None:
    """From a directory that is not the repository, too."""
    url = databases.empty()
    code = "import sys; from rag.store.migrate import upgrade; print(upgrade(sys.argv[1]))"
    running = [
        subprocess.Popen(
            [sys.executable, "-c", code, url],
            cwd=tmp_path,
            env=os.environ | {"PYTHONWARNINGS": "error"},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for _ in range(3)
    ]
    ends = [process.communicate(timeout=300) for process in running]
    assert [out.strip() for out, _ in ends] == [head()] * 3, ends


def test_a_folder_is_made_for_a_new_database(tmp_path: Path) -> None:
    assert upgrade(f"sqlite:///{tmp_path / 'new' / 'data' / 'attest.db'}") == head()
    (tmp_path / "file").write_text("x")
    with pytest.raises(StoreUnavailable):
        upgrade(f"sqlite:///{tmp_path / 'file' / 'attest.db'}")


@pytest.mark.parametrize("url", ["", "nonsense", "sqlite://", "mysql://u@h/d", "oracle+x://h/d"])
def test_urls_that_cannot_work(url: str) -> None:
    with pytest.raises(BadSettings):
        upgrade(url)
