"""What several jobs do in one statement or transaction, each as if it were alone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest

from rag.domain import Job, JobState
from rag.errors import Corrupt
from rag.store.unit import SqlStore
from tests.conftest import Ticker
from tests.store.samples import accept, collection, ingest, lease, publication, seen, sha


def loaded(store: SqlStore, into: str, names: Sequence[str]) -> list[str]:
    """Ids of the queued jobs of a bulk load."""
    with store() as unit:
        jobs = [unit.documents.accept(into, name, sha(name), 1, bulk=True) for name in names]
        unit.commit()
    return [job.id for job in jobs]


def taken(store: SqlStore, worker: str, most: int) -> list[str]:
    with store() as unit:
        jobs = unit.jobs.take_bulk(worker, 60, most)
        unit.commit()
    return [job.id for job in jobs]


def state(store: SqlStore, id: str) -> Job:
    with store() as unit:
        return unit.jobs.get(id)


def publish_all(store: SqlStore, texts: dict[str, list[str]], worker: str = "w1") -> dict[str, int]:
    with store() as unit:
        made = {id: publication(id, words) for id, words in texts.items()}
        generations = unit.documents.publish_all(worker, made)
        unit.commit()
    return dict(generations)


def test_each_of_a_batch_has_a_generation_of_its_own(store: SqlStore) -> None:
    into = collection(store)
    ingest(store, into, "b", ["old"])
    jobs = loaded(store, into, ["a", "b", "c"])
    assert taken(store, "w1", 8) == jobs
    texts = {jobs[0]: ["one", "two"], jobs[1]: ["new"], jobs[2]: []}
    assert publish_all(store, texts) == {jobs[0]: 2, jobs[1]: 3, jobs[2]: 4}
    assert seen(store, into, 1) == ["old"]
    assert seen(store, into, 2) == ["old", "one", "two"]
    assert seen(store, into, 4) == ["new", "one", "two"]
    assert [state(store, id).state for id in jobs] == [JobState.DONE] * 3
    with store() as unit:
        born = unit.chunks.since(into, 1).born
        assert [version.chunks for version in map(unit.documents.version, jobs)] == [2, 1, 0]
    made = [publication(id, words) for id, words in texts.items()]
    vectors = {c.id: v for one in made for c, v in zip(one.chunks, one.vectors, strict=True)}
    assert len(born) == 3
    assert all(np.array_equal(row.vector, vectors[row.chunk]) for row in born)
    assert publish_all(store, texts)[jobs[1]] == 3, "done already, and not done again"


def test_of_two_uploads_of_one_document_in_a_batch_the_later_wins(store: SqlStore) -> None:
    into = collection(store)
    first, second = (accept(store, into, "a", content).id for content in ("old", "new"))
    for id in (first, second):
        lease(store, id)
    assert publish_all(store, {second: ["new"], first: ["old"]}) == {first: 1, second: 2}
    assert [seen(store, into, generation) for generation in (1, 2)] == [["old"], ["new"]]


def test_a_lost_lease_takes_no_other_with_it(store: SqlStore, clock: Ticker) -> None:
    into = collection(store)
    jobs = loaded(store, into, ["a", "b"])
    taken(store, "w1", 8)
    clock.advance(61)
    assert lease(store, jobs[0], "w2") is not None
    assert publish_all(store, {id: [id[:4]] for id in jobs}) == {jobs[1]: 1}
    assert seen(store, into, 1) == [jobs[1][:4]]
    assert state(store, jobs[0]).state is JobState.RUNNING


def test_what_is_wrong_with_one_leaves_all_as_they_were(store: SqlStore) -> None:
    into = collection(store)
    jobs = loaded(store, into, ["a", "b"])
    taken(store, "w1", 8)
    made = {id: publication(id, ["words"]) for id in jobs}
    made[jobs[1]] = replace(made[jobs[1]], vectors=made[jobs[1]].vectors * np.nan)
    with store() as unit, pytest.raises(Corrupt, match="not a number"):
        unit.documents.publish_all("w1", made)
    assert [state(store, id).state for id in jobs] == [JobState.RUNNING] * 2
    assert seen(store, into, 1) == []


def test_the_oldest_of_a_bulk_load_are_taken_untried(store: SqlStore) -> None:
    into = collection(store)
    jobs = loaded(store, into, ["a", "b", "c", "d"])
    assert taken(store, "w1", 2) == jobs[:2]
    assert [state(store, id).attempts for id in jobs] == [1, 1, 0, 0]
    with store() as unit:
        unit.jobs.release(jobs[1], "w1", "", counted=False)
        unit.commit()
    assert taken(store, "w2", 8) == jobs[1:], "what was given back is as if never taken"
    assert taken(store, "w2", 8) == []


def test_nothing_is_taken_while_somebody_waits(store: SqlStore) -> None:
    into = collection(store)
    jobs = loaded(store, into, ["a"])
    mine = accept(store, into, "mine", "words").id
    assert taken(store, "w1", 8) == []
    lease(store, mine)
    assert taken(store, "w1", 8) == jobs


def test_all_leases_of_a_worker_are_kept_at_once(store: SqlStore, clock: Ticker) -> None:
    into = collection(store)
    jobs = loaded(store, into, ["a", "b", "c"])
    taken(store, "w1", 8)
    clock.advance(61)
    assert lease(store, jobs[1], "w2") is not None
    with store() as unit:
        shown = {id: ("embedding", at / 4) for at, id in enumerate(jobs)}
        assert unit.jobs.heartbeats("w1", 60, shown) == {jobs[1]}
        unit.commit()
    clock.advance(59)
    assert lease(store, jobs[0], "w3") is None
    last = state(store, jobs[2])
    assert (last.step, last.progress) == ("embedding", 0.5)


def test_several_entries_of_the_audit_log_are_one_chain(store: SqlStore) -> None:
    with store() as unit:
        unit.audit.add("someone", "before", "x", {})
        unit.audit.add_all("worker", "publish", [(name, {"name": name}) for name in ("a", "b")])
        unit.audit.add("someone", "after", "x", {})
        unit.commit()
        assert [entry.subject for entry in unit.audit.entries()] == ["x", "a", "b", "x"]
        assert unit.audit.verify() is None
