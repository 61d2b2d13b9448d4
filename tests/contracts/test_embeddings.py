"""What every back end of the store promises of embeddings and of reading documents again."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from sqlalchemy import text

from rag.domain import EmbeddingState, Filter, JobState, Right
from rag.errors import Conflict, EmbedderChanged, NotFound
from rag.ports import Vectors
from rag.store.blobs import FolderBlobs
from rag.store.doctor import examine
from rag.store.unit import SqlStore
from tests.conftest import Ticker
from tests.store.samples import (
    EMBEDDER,
    accept,
    collection,
    ingest,
    lease,
    publication,
    publish,
    seen,
)

OTHER, WIDTH = "wide-6@float32", 6


def begin(store: SqlStore, into: str, embedder: str = OTHER, dimension: int = WIDTH) -> str:
    with store() as work:
        begun = work.embeddings.begin(into, embedder, dimension, "local")
        work.commit()
    return begun.id


def take(store: SqlStore, id: str, worker: str = "w1") -> None:
    with store() as work:
        assert work.embeddings.lease(id, worker, 60) is not None
        work.commit()


def wide(texts: Sequence[str]) -> Vectors:
    made = np.ones((len(texts), WIDTH), np.float32)
    made[:, 0] = [len(text) for text in texts]
    return made / np.linalg.norm(made, axis=1, keepdims=True)


def embed(store: SqlStore, id: str, limit: int = 100, worker: str = "w1") -> list[str]:
    """One batch; the texts that had no vector yet."""
    with store() as work:
        chunks = work.embeddings.missing(id, limit)
    texts = [chunk.indexed for chunk in chunks]
    if chunks:
        with store() as work:
            work.embeddings.put(id, worker, chunks, wide(texts))
            work.commit()
    return texts


def complete(store: SqlStore, id: str, worker: str = "w1") -> bool:
    with store() as work:
        done = work.embeddings.complete(id, worker)
        work.commit()
    return done


def swap(store: SqlStore, id: str, worker: str = "w1") -> int | None:
    with store() as work:
        generation = work.embeddings.swap(id, worker)
        work.commit()
    return generation


def texts_of(store: SqlStore, embedding: str) -> list[tuple[str, int]]:
    """The indexed texts of the live rows a searcher reads, and how long their vectors are."""
    with store() as work:
        delta = work.chunks.since(embedding, 0)
    return sorted((row.text.split("\n")[-1], len(row.vector)) for row in delta.born if not row.died)


def test_another_embedder_takes_over_whole(store: SqlStore, tmp_path: Path) -> None:
    into = collection(store)
    ingest(store, into, "a.md", ["one", "two"])
    gone, _ = ingest(store, into, "b.md", ["three"])
    with store() as work:
        work.documents.delete(gone.document)
        work.commit()
    id = begin(store, into)
    assert begin(store, into) == id, "asked for twice, it is built once"
    take(store, id)
    assert len(embed(store, id, limit=1)) == 1
    assert not complete(store, id)
    with store() as work:
        assert work.embeddings.counted(id) == (1, 2)
        with pytest.raises(EmbedderChanged):
            work.chunks.since(id, 0)
    assert texts_of(store, into) == [("one", 4), ("two", 4)]
    assert len(embed(store, id)) == 1
    assert complete(store, id)
    assert texts_of(store, id) == [("one", 6), ("two", 6)], "its index may be made before"

    ingest(store, into, "c.md", ["four"])
    with store() as work:
        assert work.chunks.news(id, 0).generation == 3, "only as far as it is complete"
    assert swap(store, id) is None, "what came meanwhile has no vector in it yet"
    assert [text.split("\n")[-1] for text in embed(store, id)] == ["four"]
    assert complete(store, id)
    assert swap(store, id) == 5
    with store() as work:
        held = work.collections.get(into)
        assert (held.embedder, held.generation) == (OTHER, 5)
        assert work.embeddings.current(into).id == id
        with pytest.raises(EmbedderChanged):
            work.chunks.news(into, 0)
    assert texts_of(store, id) == [("four", 6), ("one", 6), ("two", 6)]
    with store() as work:
        whole = work.chunks.since(id, 0)
        ids = [row.chunk for row in whole.born]
        at_once = Filter(5, frozenset({"local"}))
        assert len(work.chunks.passages(into, ids, at_once)) == 3
        assert work.chunks.since(id, 4).generation == 5
        assert [row.row for row in work.chunks.stretch(id, -1, 5, 2)] == [
            row.row for row in whole.born[:2]
        ]
    found = examine(store, FolderBlobs(tmp_path / "blobs"))
    assert [each for each in found if each.code.startswith("vector")] == []


def test_searchers_of_the_new_one_learn_of_changes(store: SqlStore) -> None:
    into = collection(store)
    first, _ = ingest(store, into, "a.md", ["one"])
    id = begin(store, into)
    take(store, id)
    embed(store, id)
    assert complete(store, id)
    assert swap(store, id) == 2
    job = accept(store, into, "b.md", "five")
    assert lease(store, job.id) is not None
    with store() as work, pytest.raises(EmbedderChanged):
        work.documents.publish(job.id, "w1", publication(job.id, ["five"]))
    with store() as work:
        made = publication(job.id, ["five"], embedder=OTHER, dimension=WIDTH)
        work.documents.publish(job.id, "w1", made)
        work.documents.set_access(first.document, frozenset({"hr"}), {})
        work.documents.delete(job.document)
        work.commit()
    with store() as work:
        delta = work.chunks.since(id, 2)
        news = work.chunks.news(id, 2)
    assert (delta.generation, news.generation) == (5, 5)
    assert [(row.readers, row.died) for row in delta.born] == [
        (None, 5),
        (frozenset({"hr"}), None),
    ]
    assert len(delta.died) == 1
    assert (news.born, news.ended) == (2, 2)


def test_back_to_the_embedder_before(store: SqlStore) -> None:
    """Its vectors are kept: only what came since is embedded."""
    into = collection(store)
    ingest(store, into, "a.md", ["one"])
    id = begin(store, into)
    take(store, id)
    embed(store, id)
    assert complete(store, id)
    swap(store, id)
    job = accept(store, into, "b.md", "late")
    lease(store, job.id)
    with store() as work:
        made = publication(job.id, ["late"], embedder=OTHER, dimension=WIDTH)
        work.documents.publish(job.id, "w1", made)
        work.commit()
    assert begin(store, into, EMBEDDER, 4) == into
    take(store, into)
    with store() as work:
        missing = work.embeddings.missing(into, 9)
        assert [chunk.indexed.split("\n")[-1] for chunk in missing] == ["late"]
        work.embeddings.put(into, "w1", missing, np.eye(4, dtype=np.float32)[:1])
        work.commit()
    assert complete(store, into)
    assert swap(store, into) == 4
    assert texts_of(store, into) == [("late", 4), ("one", 4)]


def test_the_vectors_of_the_one_before_go_after_their_time(store: SqlStore, clock: Ticker) -> None:
    into = collection(store)
    ingest(store, into, "a.md", ["one", "two", "three"])
    id = begin(store, into)
    take(store, id)
    embed(store, id)
    assert complete(store, id)
    swap(store, id)
    with store() as work:
        assert work.embeddings.due(100) == [into], "its index is to go at once"
    take(store, into)
    with store() as work:
        work.embeddings.left(into, "w1")
        work.commit()
        assert work.embeddings.due(100) == []
    clock.advance(101)
    with store() as work:
        assert work.embeddings.due(100) == [into]
    take(store, into)
    ends = []
    while True not in ends:
        with store() as work:
            ends.append(work.embeddings.remove(into, "w1", 2))
            work.commit()
    assert ends == [False, False, True]
    with store() as work, pytest.raises(NotFound):
        work.embeddings.get(into)
    assert len(texts_of(store, id)) == 3
    with store() as work:
        assert [each.id for each in work.embeddings.all(into)] == [id]
    again = begin(store, into, EMBEDDER, 4)
    assert again not in (into, id)
    with store() as work:
        assert work.embeddings.counted(again) == (0, 3)


def test_a_half_built_one_is_called_off(store: SqlStore) -> None:
    into = collection(store)
    ingest(store, into, "a.md", ["one", "two"])
    id = begin(store, into)
    take(store, id)
    embed(store, id, limit=1)
    with store() as work, pytest.raises(Conflict, match="wide-6"):
        work.embeddings.begin(into, "third", 8, "local")
    with store() as work:
        chunks = work.embeddings.missing(id, 9)
        (dropped,) = work.embeddings.drop(into, [EmbeddingState.BUILDING])
        work.commit()
        assert dropped.id == id
    with store() as work, pytest.raises(Conflict):
        work.embeddings.put(id, "w1", chunks, wide(["two"]))
    assert begin(store, into, "third", 8) != id
    assert texts_of(store, into) == [("one", 4), ("two", 4)]


def test_two_workers_never_build_at_once(store: SqlStore, clock: Ticker) -> None:
    into = collection(store)
    ingest(store, into, "a.md", ["one"])
    id = begin(store, into)
    take(store, id)
    with store() as work:
        assert work.embeddings.due(1e9) == []
        assert work.embeddings.lease(id, "w2", 60) is None
    clock.advance(61)  # w1 was killed
    with store() as work:
        assert work.embeddings.due(1e9) == [id]
    take(store, id, "w2")
    with store() as work, pytest.raises(Conflict):
        work.embeddings.complete(id, "w1")
    with store() as work:
        assert not work.embeddings.heartbeat(id, "w1", 60, "embedding", 0.5)
    embed(store, id, worker="w2")
    assert complete(store, id, "w2")


@pytest.mark.parametrize("embedder", [EMBEDDER, OTHER])
def test_what_cannot_be_begun(store: SqlStore, embedder: str) -> None:
    into = collection(store)
    with store() as work, pytest.raises(Conflict, match="no document yet"):
        work.embeddings.begin(into, embedder, 4, "local")
    ingest(store, into, "a.md", ["one"])
    with store() as work, pytest.raises(Conflict, match="already"):
        work.embeddings.begin(into, EMBEDDER, 4, "local")


def test_a_deleted_collection_takes_its_vectors(store: SqlStore) -> None:
    into = collection(store)
    ingest(store, into, "a.md", ["one"])
    take(store, id := begin(store, into))
    embed(store, id)
    with store() as work:
        work.collections.delete(into)
        work.commit()
    with store.engine.connect() as connection:
        for table in ("vectors", "embeddings"):
            assert connection.scalar(text(f"SELECT count(*) FROM {table}")) == 0


# --- documents read again ------------------------------------------------------------------------


def test_every_document_is_read_again_once(store: SqlStore) -> None:
    into = collection(store)
    ingest(store, into, "a.md", ["one"], frozenset({"hr"}), {"year": 2024})
    ingest(store, into, "b.md", ["two"])
    waiting = accept(store, into, "c.md", "three")
    gone, _ = ingest(store, into, "d.md", ["four"])
    with store() as work:
        work.documents.delete(gone.document)
        work.commit()
    with store() as work:
        ids = work.documents.reread(into)
        work.commit()
        again = work.documents.reread(into)
        work.commit()
        jobs = [work.jobs.get(id) for id in ids]
    assert again == ids
    assert ids[0] == waiting.id
    assert [(job.name, job.reread, job.bulk) for job in jobs] == [
        ("c.md", False, False),
        ("a.md", True, True),
        ("b.md", True, True),
    ]
    assert lease(store, ids[1]) is not None
    generation = publish(store, ids[1], ["one, read better"])
    assert seen(store, into, generation, frozenset({"staff"})) == ["two"]
    assert seen(store, into, generation, frozenset({"hr", "local"})) == ["one, read better", "two"]
    assert seen(store, into, generation - 1, frozenset({"hr", "local"})) == ["one", "two"]
    with store() as work:
        document = work.documents.named(into, "a.md")
        assert (document.readers, document.metadata) == (frozenset({"hr"}), {"year": 2024})
        assert len(work.documents.versions(document.id)) == 2
        assert work.jobs.rereading(into) == 1


def test_rereading_is_called_off(store: SqlStore) -> None:
    into = collection(store)
    ingest(store, into, "a.md", ["one"])
    ingest(store, into, "b.md", ["two"])
    new = accept(store, into, "c.md", "three")
    with store() as work:
        ids = work.documents.reread(into)
        work.commit()
    lease(store, ids[1])
    with store() as work:
        assert work.jobs.cancel_rereads(into, "anna") == 2
        work.commit()
        states = [work.jobs.get(id).state for id in ids]
        assert work.jobs.get(new.id).state is JobState.QUEUED
    assert states == [JobState.QUEUED, JobState.CANCELLED, JobState.CANCELLED]
    with store() as work, pytest.raises(Conflict):
        work.documents.publish(ids[1], "w1", publication(ids[1], ["changed"]))
    assert seen(store, into, 2) == ["one", "two"]


def test_rights_are_as_they_were(store: SqlStore) -> None:
    with store() as work:
        made = work.collections.create("closed", {"hr": Right.MANAGE})
        work.commit()
    job, _ = ingest(store, made.id, "a.md", ["one"])
    with store() as work:
        (id,) = work.documents.reread(made.id, job.document)
        work.documents.set_access(job.document, frozenset({"board"}), {})
        work.commit()
        assert not work.jobs.get(id).bulk, "one document is waited for"
    lease(store, id)
    generation = publish(store, id, ["one again"])
    assert seen(store, made.id, generation, frozenset({"hr"})) == []
