"""Random histories: a purge, killed after any commit, takes what may go and nothing else."""

from __future__ import annotations

import uuid
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest
from sqlalchemy import select

from rag.domain import (
    Answer,
    EmbeddingState,
    Filter,
    Passage,
    Replay,
    Sampling,
    Verdict,
)
from rag.errors import UnknownAnswer
from rag.index.embedded import EmbeddedIndex
from rag.ports import Doomed, Removed
from rag.store.blobs import FolderBlobs
from rag.store.doctor import examine
from rag.store.tables import BlocksRow, ChunkRow, VectorRow, VersionRow
from rag.store.unit import SqlStore
from tests.conftest import Ticker
from tests.store.samples import accept, collection, ingest, lease, publication, vector

GROUPS = frozenset({"local", "hr"})
WORDS = ("invoice", "paid", "late", "fee", "rare", "goods", "terms")
KEPT = 1_000.0  # seconds
STEPS = 25


class History:
    """A collection and what happened to it."""

    def __init__(self, store: SqlStore, blobs: FolderBlobs, clock: Ticker, seed: int) -> None:
        self.store, self.blobs, self.clock = store, blobs, clock
        self.draw = np.random.default_rng(seed)
        self.into = collection(store, f"c{seed}")
        self.documents: dict[str, str] = {}  # name -> id
        self.deleted: set[str] = set()
        self.answers: dict[str, Answer] = {}
        self.embedders = 0

    def step(self) -> None:
        acts = [self.upload, self.upload, self.upload, self.delete, self.narrow]
        acts += [self.ask, self.ask, self.swap, self.wait, self.purge_a_little]
        acts[self.draw.integers(len(acts))]()

    def upload(self) -> None:
        name = f"{self.draw.integers(4)}.txt"
        texts = [" ".join(self.draw.choice(WORDS, 4)) for _ in range(self.draw.integers(1, 4))]
        texts = [f"{text} {uuid.uuid4().hex}" for text in texts]
        self.blobs.put("\n".join(texts).encode())
        with self.store() as unit:
            embedder = unit.embeddings.current(self.into).embedder
        if not embedder or embedder.startswith("hash"):
            job, _ = ingest(self.store, self.into, name, texts)
        else:
            job = accept(self.store, self.into, name, "\n".join(texts))
            assert lease(self.store, job.id) is not None
            with self.store() as unit:
                unit.documents.publish(job.id, "w1", publication(job.id, texts, embedder=embedder))
                unit.commit()
        self.documents[name] = job.document

    def delete(self) -> None:
        if self.documents:
            name = str(self.draw.choice(sorted(self.documents)))
            id = self.documents.pop(name)
            with self.store() as unit:
                unit.documents.delete(id)
                unit.commit()
            self.deleted.add(id)

    def narrow(self) -> None:
        if self.documents:
            id = self.documents[str(self.draw.choice(sorted(self.documents)))]
            readers = None if self.draw.random() < 0.5 else frozenset({"hr"})
            with self.store() as unit:
                unit.documents.set_access(id, readers, {})
                unit.commit()

    def ask(self) -> None:
        live = self.live()
        if not live:
            return
        some = self.draw.permutation(len(live))[:3]
        passages = tuple(live[at] for at in some)
        replay = Replay(
            self.generation(), "m", "a", "p", Sampling(), tuple(p.chunk.id for p in passages), {}
        )
        answer = Answer(
            uuid.uuid4().hex, self.into, "q", passages[0].chunk.text, Verdict.ANSWERED, 1.0, (),
            passages, {}, replay, "ann", datetime.now(UTC),
        )  # fmt: skip
        with self.store() as unit:
            unit.answers.add(answer)
            unit.commit()
        self.answers[answer.id] = answer

    def swap(self) -> None:
        """Another embedder takes over; the one before is dropped at once."""
        if not self.live():
            return
        self.embedders += 1
        with self.store() as unit:
            id = unit.embeddings.begin(self.into, f"other-{self.embedders}", 4, "ann").id
            unit.commit()
        for done in range(100):
            with self.store() as unit:
                if not done:
                    unit.embeddings.lease(id, "w", 10**9)
                missing = unit.embeddings.missing(id, 2)
                if not missing:
                    assert unit.embeddings.complete(id, "w")
                    assert unit.embeddings.swap(id, "w")
                    unit.embeddings.drop(self.into, [EmbeddingState.LEAVING])
                    unit.commit()
                    return
                unit.commit()
            if self.draw.random() < 0.2:
                self.purge_a_little()  # between being read and being embedded
            made = np.array([vector(each.indexed) for each in missing], np.float32)
            with self.store() as unit:
                unit.embeddings.put(id, "w", missing, made)
                unit.commit()

    def wait(self) -> None:
        self.clock.advance(float(self.draw.integers(1, 900)))

    def purge_a_little(self) -> None:
        """A few commits of one, in its order, and the last is not reached: it is killed."""
        live = self.visible()
        calls = int(self.draw.integers(1, 12))
        while calls and self.purge_once(int(self.draw.integers(1, 4))):
            calls -= 1
        assert self.visible() == live

    def purge_wholly(self) -> None:
        while self.purge_once(3):
            pass

    def purge_once(self, limit: int) -> bool:
        with self.store() as unit:
            answers = unit.purging.answers(limit)
            unit.commit()
        if answers:
            return True
        with self.store() as unit:
            doomed = [one for one in unit.purging.doomed(9) if one.collection == self.into]
        if doomed:
            return self._document(doomed[0], limit)
        with self.store() as unit:
            removed = unit.purging.replaced(self.into, KEPT, limit)
            unit.commit()
        if removed:
            return True
        with self.store() as unit:
            names, more = unit.purging.unused(limit)
            for name in names:
                self.blobs.delete(name)
            unit.commit()
        return more

    def _document(self, doomed: Doomed, limit: int) -> bool:
        with self.store() as unit:
            unit.purging.document(doomed, limit)
            unit.commit()
        return True

    def generation(self) -> int:
        with self.store() as unit:
            return unit.collections.get(self.into).generation

    def live(self) -> list[Passage]:
        with self.store() as unit:
            current = unit.embeddings.current(self.into).id
            ids = [row.chunk for row in unit.chunks.since(current, 0).born]
            newest = unit.collections.get(self.into).generation
            return unit.chunks.passages(self.into, ids, Filter(newest, GROUPS))

    def visible(self) -> list[str]:
        """What a searcher that begins now finds, in the order of the dense leg."""
        with self.store() as unit:
            current = unit.embeddings.current(self.into).id
        index = EmbeddedIndex(self.store, current, 4)
        filter = Filter(index.catch_up(), GROUPS)
        dense = [hit.chunk for hit in index.dense(vector("invoice"), filter, 99)]
        lexical = {hit.chunk for leg in WORDS for hit in index.lexical(leg, filter, 99)}
        assert set(dense) == lexical == {passage.chunk.id for passage in self.live()}
        return dense

    def check_answers(self) -> None:
        """Every answer can be given its passages again, but those of deleted documents."""
        for answer in self.answers.values():
            rests = {passage.document for passage in answer.passages}
            with self.store() as unit:
                if not rests & self.deleted:
                    kept = unit.answers.get(answer.id)
                    assert kept == answer
                    at = Filter(answer.replay.generation, GROUPS)
                    again = unit.chunks.passages(self.into, answer.replay.context, at)
                    assert [each.chunk for each in again] == [
                        each.chunk for each in answer.passages
                    ]
                    for each in answer.passages:
                        unit.documents.blocks(each.chunk.version)
                        unit.documents.version(each.chunk.version)


@pytest.mark.parametrize("seed", range(6))
def test_a_purge_takes_what_may_go_and_nothing_else(
    store: SqlStore, tmp_path: Path, clock: Ticker, seed: int
) -> None:
    blobs = FolderBlobs(tmp_path / "blobs")
    told = History(store, blobs, clock, seed)
    for _ in range(STEPS):
        told.step()
        told.check_answers()
    before = told.visible()
    clock.advance(KEPT + 1)
    told.purge_wholly()
    assert told.visible() == before
    told.check_answers()
    with store() as unit:
        due, names = unit.purging.due(KEPT)
        assert (due, names) == (Removed(), set())
    assert examine(store, blobs, read_blobs=True, clock=clock) == []
    needed = {
        (passage.chunk.id, passage.chunk.version)
        for answer in told.answers.values()
        if not {each.document for each in answer.passages} & told.deleted
        for passage in answer.passages
    } | {(passage.chunk.id, passage.chunk.version) for passage in told.live()}
    with store.engine.connect() as connection:
        rows = connection.execute(select(ChunkRow.chunk, ChunkRow.version))
        chunks = {(chunk, version) for chunk, version in rows}
        versions = set(connection.scalars(select(VersionRow.id)))
        assert chunks == needed
        assert versions == {version for _, version in needed}
        assert set(connection.scalars(select(BlocksRow.version))) == versions
        vectors = set(connection.scalars(select(VectorRow.chunk)))
        assert vectors <= {chunk for chunk, _ in needed}
    for answer in told.answers.values():
        if {passage.document for passage in answer.passages} & told.deleted:
            with store() as unit, pytest.raises(UnknownAnswer, match="erased"):
                unit.answers.get(answer.id)


def test_an_answer_stored_after_its_document_was_purged(store: SqlStore, clock: Ticker) -> None:
    """It was being written when the document was deleted; the next purge empties it."""
    told = History(store, FolderBlobs(Path("unused")), clock, 1)
    ingest(store, told.into, "0.txt", ["invoice paid"])
    told.ask()
    late = next(iter(told.answers.values()))
    with store() as unit:
        unit.documents.delete(late.passages[0].document)
        unit.commit()
    told.blobs.delete = lambda sha256: None  # type: ignore[method-assign]
    told.purge_wholly()
    with store() as unit:
        unit.answers.add(replace(late, id="late"))
        unit.commit()
    told.purge_wholly()
    with store() as unit, pytest.raises(UnknownAnswer, match="erased"):
        unit.answers.get("late")
