"""What every back end of the store promises, over SQLite and a real PostgreSQL."""

from __future__ import annotations

import threading
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime

import numpy as np
import pytest
from sqlalchemy import text

from rag.domain import (
    Answer,
    Box,
    Chunk,
    Citation,
    Condition,
    Feedback,
    Filter,
    JobState,
    Opinion,
    Passage,
    Replay,
    Right,
    Sampling,
    Usage,
    Verdict,
)
from rag.errors import (
    BadInput,
    BadName,
    Conflict,
    Corrupt,
    LimitExceeded,
    NotFound,
    NotSignedIn,
    UnknownAnswer,
    UnknownCollection,
    UnknownDocument,
)
from rag.ports import Enclosed, RunRecord, Store
from rag.store.unit import SqlStore
from tests.conftest import Ticker
from tests.store.samples import (
    RIGHTS,
    accept,
    collection,
    ingest,
    lease,
    publication,
    publish,
    seen,
    sha,
)

LOCAL = frozenset({"local"})


# --- units of work and collections --------------------------------------------------------------


def test_store_is_a_store(store: SqlStore) -> None:
    port: Store = store
    with port() as unit:
        assert unit.collections.all() == []


def test_leaving_without_commit_rolls_back(store: SqlStore) -> None:
    with store() as unit:
        unit.collections.create("a", RIGHTS)
    with suppress(RuntimeError), store() as unit:
        unit.collections.create("b", RIGHTS)
        raise RuntimeError
    with store() as unit:
        assert unit.collections.all() == []


def test_a_unit_of_work_ends_with_its_block(store: SqlStore) -> None:
    with store() as unit:
        unit.collections.all()
    with pytest.raises(RuntimeError, match="has ended"):
        unit.collections.all()


def test_collections(store: SqlStore) -> None:
    with store() as unit:
        made = unit.collections.create("Übersicht", RIGHTS)
        unit.commit()
    with store() as unit:
        unit.collections.set_settings(made.id, {"fusion": 0.25, "adapter": "none", "on": True})
        unit.collections.set_rights(made.id, {"hr": Right.WRITE})
        unit.commit()
        found = unit.collections.named("Übersicht")
        assert found == unit.collections.get(made.id)
    assert found.rights == {"hr": Right.WRITE}
    assert found.settings == {"fusion": 0.25, "adapter": "none", "on": True}
    assert (found.generation, found.embedder, found.created) == (0, "", made.created)


def test_a_name_is_taken_once(store: SqlStore) -> None:
    collection(store, "a")
    with store() as unit, pytest.raises(Conflict, match="'a'"):
        unit.collections.create("a", RIGHTS)


@pytest.mark.parametrize("name", ["", "  ", "a\x00b", "line\nbreak", "x" * 501, "\ud800"])
def test_bad_names(store: SqlStore, name: str) -> None:
    known = collection(store)
    with store() as unit:
        with pytest.raises(BadName):
            unit.collections.create(name, RIGHTS)
        with pytest.raises(BadName):
            unit.documents.accept(known, name, sha("x"), 1)


def test_unknown_things(store: SqlStore) -> None:
    with store() as unit:
        for ask in (unit.collections.get, unit.collections.named):
            with pytest.raises(UnknownCollection):
                ask("nothing")
        with pytest.raises(UnknownCollection):
            unit.chunks.since("nothing", 0)
        with pytest.raises(UnknownCollection):
            unit.documents.accept("nothing", "a.txt", sha("x"), 1)
        for look in (unit.documents.get, unit.documents.version, unit.documents.blocks):
            with pytest.raises(UnknownDocument):
                look("nothing")
        with pytest.raises(UnknownDocument):
            unit.documents.delete("nothing")
        with pytest.raises(UnknownAnswer):
            unit.answers.get("nothing")
        for find in (unit.jobs.get, unit.jobs.retry, unit.runs.get, unit.accounts.get):
            with pytest.raises(NotFound):
                find("nothing")
        assert unit.jobs.lease("nothing", "w1", 1) is None
        assert not unit.jobs.heartbeat("nothing", "w1", 1, "parse", 0.5)


def test_deleting_a_collection_purges_its_rows(store: SqlStore) -> None:
    gone, kept = collection(store, "gone"), collection(store, "kept")
    ingest(store, gone, "a.txt", ["one", "two"])
    ingest(store, kept, "a.txt", ["one", "two"])
    with store() as unit:
        unit.answers.add(an_answer(gone))
        unit.collections.delete(gone)
        unit.commit()
    with store() as unit:
        assert [c.name for c in unit.collections.all()] == ["kept"]
        with pytest.raises(UnknownAnswer):
            unit.answers.get("answer-1")
    with store.engine.connect() as connection:
        for table in ("documents", "versions", "blocks", "chunks", "jobs", "generations"):
            column = "version" if table == "blocks" else "collection"
            ids = set(connection.execute(text(f"SELECT {column} FROM {table}")).scalars())
            assert len(ids) == 1
    collection(store, "gone")  # the name is free again


# --- accepting ----------------------------------------------------------------------------------


def test_accepting_makes_a_document_and_a_queued_job(store: SqlStore) -> None:
    into = collection(store)
    job = accept(store, into, "a/b.txt", "x", frozenset({"hr"}), {"year": 2026})
    assert (job.state, job.attempts, job.sha256) == (JobState.QUEUED, 0, sha("x"))
    with store() as unit:
        document = unit.documents.named(into, "a/b.txt")
        assert unit.jobs.get(job.id) == job
        assert unit.jobs.due() == [job.id]
        assert unit.documents.all(into) == [document]
    assert (document.id, document.version) == (job.document, None)
    assert (document.readers, document.metadata) == (frozenset({"hr"}), {"year": 2026})


def test_same_bytes_waiting_are_one_job(store: SqlStore) -> None:
    into = collection(store)
    first = accept(store, into, "a.txt", "x")
    assert accept(store, into, "a.txt", "x").id == first.id
    lease(store, first.id)
    assert accept(store, into, "a.txt", "x").id == first.id
    assert accept(store, into, "b.txt", "x").id != first.id


def test_same_bytes_live_are_done_at_once(store: SqlStore) -> None:
    into = collection(store)
    first, generation = ingest(store, into, "a.txt", ["one"])
    again = accept(store, into, "a.txt", "one")
    assert (again.state, again.version, again.generation) == (JobState.DONE, first.id, generation)
    with store() as unit:
        assert len(unit.documents.versions(first.document)) == 1


def test_same_bytes_with_other_readers_only_change_access(store: SqlStore) -> None:
    into = collection(store)
    first, born = ingest(store, into, "a.txt", ["one"], metadata={"year": 2025})
    again = accept(store, into, "a.txt", "one", frozenset({"hr"}))
    assert (again.state, again.version) == (JobState.DONE, first.id)
    assert again.generation == born + 1
    assert seen(store, into, born) == ["one"]
    assert seen(store, into, born + 1) == []
    assert seen(store, into, born + 1, frozenset({"hr", "staff"})) == ["one"]
    with store() as unit:
        assert unit.documents.get(first.document).metadata == {"year": 2025}


def test_uploading_again_without_readers_keeps_the_restriction(store: SqlStore) -> None:
    into = collection(store)
    ingest(store, into, "a.txt", ["one"], frozenset({"hr"}), {"year": 2025})
    job, generation = ingest(store, into, "a.txt", ["two"])
    assert seen(store, into, generation) == []
    with store() as unit:
        document = unit.documents.get(job.document)
    assert (document.readers, document.metadata) == (frozenset({"hr"}), {"year": 2025})


def test_the_later_upload_wins_whatever_is_finished_first(store: SqlStore) -> None:
    into = collection(store)
    older = accept(store, into, "a.txt", "old")
    newer = accept(store, into, "a.txt", "new")
    assert accept(store, into, "a.txt", "old").id not in (older.id, newer.id)
    with store() as unit:
        last = unit.jobs.all(into)[0]
    for job in (last, newer, older):
        lease(store, job.id)
    generations = [
        publish(store, last.id, ["last"]),
        publish(store, newer.id, ["new"]),
        publish(store, older.id, ["old"]),
    ]
    assert generations == [1, 2, 3]
    assert [seen(store, into, g) for g in generations] == [["last"]] * 3
    with store() as unit:
        assert unit.documents.get(older.document).version == last.id
        assert {job.state for job in unit.jobs.all(into)} == {JobState.DONE}
        assert len(unit.documents.versions(older.document)) == 3


def test_an_overtaken_upload_counts_for_nothing(store: SqlStore) -> None:
    into = collection(store)
    stale = accept(store, into, "a.txt", "old")
    ingest(store, into, "a.txt", ["new"], frozenset({"hr"}))
    again = accept(store, into, "a.txt", "old")
    assert again.id != stale.id  # the old job would end invisible
    lease(store, again.id)
    publish(store, again.id, ["old"])
    with store() as unit:
        document = unit.documents.named(into, "a.txt")
    assert (document.version, document.readers) == (again.id, frozenset({"hr"}))


@pytest.mark.parametrize("value", [float("nan"), float("inf"), None, ["list"]])
def test_metadata_that_cannot_be_filtered(store: SqlStore, value: object) -> None:
    into = collection(store)
    with store() as unit, pytest.raises(BadInput):
        unit.documents.accept(into, "a", sha("x"), 1, None, {"k": value})  # type: ignore[dict-item]


# --- publishing ---------------------------------------------------------------------------------


def test_publishing_replaces_in_one_generation(store: SqlStore) -> None:
    into = collection(store)
    first, one = ingest(store, into, "a.txt", ["old 1", "old 2"])
    second, two = ingest(store, into, "a.txt", ["new"])
    assert (one, two) == (1, 2)
    assert [seen(store, into, g) for g in (0, 1, 2)] == [[], ["old 1", "old 2"], ["new"]]
    with store() as unit:
        versions = unit.documents.versions(first.document)
        assert [(v.id, v.born, v.died) for v in versions] == [
            (first.id, 1, 2),
            (second.id, 2, None),
        ]
        assert unit.collections.get(into).generation == 2
        assert unit.collections.get(into).embedder == "hash-4@float32"
        assert unit.documents.get(first.document).version == second.id
        done = unit.jobs.get(second.id)
    assert (done.state, done.version, done.generation) == (JobState.DONE, second.id, 2)
    assert done.progress == 1.0


def test_blocks_come_back_as_they_were(store: SqlStore) -> None:
    job, _ = ingest(store, collection(store), "a.txt", ["one", "two"])
    with store() as unit:
        assert unit.documents.blocks(job.id) == publication(job.id, ["one", "two"]).blocks


def test_double_delivery_publishes_once(store: SqlStore) -> None:
    into = collection(store)
    job, generation = ingest(store, into, "a.txt", ["one"])
    assert publish(store, job.id, ["one"]) == generation
    assert publish(store, job.id, ["one"], worker="another") == generation
    with store() as unit:
        assert unit.collections.get(into).generation == generation
        assert len(unit.chunks.since(into, 0).born) == 1


def test_a_failed_publication_leaves_nothing(store: SqlStore) -> None:
    into = collection(store)
    _, one = ingest(store, into, "a.txt", ["old"])
    job = accept(store, into, "a.txt", "new")
    lease(store, job.id)
    broken = publication(job.id, ["new", "newer"])
    broken = replace(broken, chunks=[broken.chunks[0], broken.chunks[0]])
    with store() as unit, pytest.raises(Conflict):
        unit.documents.publish(job.id, "w1", broken)
    assert seen(store, into, one + 1) == ["old"]
    with store() as unit:
        assert unit.collections.get(into).generation == one
        assert unit.jobs.get(job.id).state == JobState.RUNNING
    assert publish(store, job.id, ["new"]) == one + 1


def publish_around(store: SqlStore, job: str, *names: str) -> None:
    """Publish a version that holds files of these names, whose bytes are the names."""
    members = [Enclosed(name, sha(name), len(name)) for name in names]
    with store() as unit:
        unit.documents.publish(job, "w1", replace(publication(job, ["list"]), members=members))
        unit.commit()


def inside(store: SqlStore, document: str) -> list[tuple[str, JobState]]:
    with store() as unit:
        return [(job.name, job.state) for job in unit.jobs.inside(document)]


def test_files_inside_share_the_fate_of_what_they_lie_in(store: SqlStore) -> None:
    into = collection(store)
    first = accept(store, into, "a.zip", "1", readers=frozenset({"staff"}))
    lease(store, first.id)
    publish_around(store, first.id, "x.txt", "y.txt")
    waiting = [("a.zip/x.txt", JobState.QUEUED), ("a.zip/y.txt", JobState.QUEUED)]
    assert inside(store, first.document) == waiting
    with store() as unit:
        (x, _) = unit.jobs.inside(first.document)
        document = unit.documents.get(x.document)
        assert (document.parent, document.readers) == (first.document, {"staff"})
    lease(store, x.id)
    publish(store, x.id, ["words of x"])
    second = accept(store, into, "a.zip", "2")
    lease(store, second.id)
    publish_around(store, second.id, "x.txt", "z.txt")
    assert inside(store, first.document) == [
        ("a.zip/x.txt", JobState.DONE),
        ("a.zip/z.txt", JobState.QUEUED),
    ]
    with store() as unit:
        generation = unit.documents.delete(first.document)
        assert unit.documents.all(into) == []
        unit.commit()
    assert seen(store, into, generation, frozenset({"local", "staff"})) == []


def test_an_overtaken_version_brings_no_files(store: SqlStore) -> None:
    into = collection(store)
    first, second = accept(store, into, "a.zip", "1"), accept(store, into, "a.zip", "2")
    for job in (first, second):
        lease(store, job.id)
    publish_around(store, second.id, "new.txt")
    publish_around(store, first.id, "old.txt")
    assert inside(store, first.document) == [("a.zip/new.txt", JobState.QUEUED)]


def test_files_do_not_lie_in_files_for_ever(store: SqlStore) -> None:
    into = collection(store)
    job = accept(store, into, "0", "0")
    for depth in range(5):
        lease(store, job.id)
        publish_around(store, job.id, f"{depth + 1}")
        with store() as unit:
            (job,) = unit.jobs.inside(job.document)
    lease(store, job.id)
    with pytest.raises(LimitExceeded, match="5 deep"):
        publish_around(store, job.id, "6")


def test_a_lost_lease_cannot_publish(store: SqlStore, clock: Ticker) -> None:
    into = collection(store)
    job = accept(store, into, "a.txt", "x")
    lease(store, job.id, "slow", 60)
    clock.advance(61)
    assert lease(store, job.id, "fast", 60) is not None
    with pytest.raises(Conflict, match="slow"):
        publish(store, job.id, ["x"], "slow")
    assert publish(store, job.id, ["x"], "fast") == 1


def test_a_lease_that_ran_out_unnoticed_can_publish(store: SqlStore, clock: Ticker) -> None:
    job = accept(store, collection(store), "a.txt", "x")
    lease(store, job.id, "slow", 60)
    clock.advance(61)
    assert publish(store, job.id, ["x"], "slow") == 1


def test_vectors_of_two_embedders_are_never_mixed(store: SqlStore) -> None:
    into = collection(store)
    ingest(store, into, "a.txt", ["one"])
    job = accept(store, into, "b.txt", "x")
    lease(store, job.id)
    for wrong in (
        publication(job.id, ["x"], embedder="another"),
        publication(job.id, ["x"], dimension=5),
    ):
        with store() as unit, pytest.raises(Conflict):
            unit.documents.publish(job.id, "w1", wrong)


def test_a_publication_that_contradicts_itself(store: SqlStore) -> None:
    job = accept(store, collection(store), "a.txt", "x")
    lease(store, job.id)
    good = publication(job.id, ["one", "two"])
    nan = good.vectors.copy()
    nan[0, 0] = np.nan
    for wrong in (
        replace(good, indexed=good.indexed[:1]),
        replace(good, vectors=good.vectors[:1]),
        replace(good, vectors=nan),
        replace(good, version="another"),
    ):
        with store() as unit, pytest.raises(Corrupt):
            unit.documents.publish(job.id, "w1", wrong)


def test_a_version_without_chunks(store: SqlStore) -> None:
    into = collection(store)
    job, generation = ingest(store, into, "a.txt", [])
    assert seen(store, into, generation) == []
    with store() as unit:
        assert unit.documents.version(job.id).chunks == 0


def test_the_uploaders_metadata_wins_over_the_files(store: SqlStore) -> None:
    into = collection(store)
    job = accept(store, into, "a.txt", "x", None, {"author": "me"})
    lease(store, job.id)
    with store() as unit:
        made = publication(job.id, ["x"], metadata={"author": "file", "year": 1999})
        unit.documents.publish(job.id, "w1", made)
        unit.commit()
        assert unit.documents.get(job.document).metadata == {"author": "me", "year": 1999}
        assert unit.chunks.since(into, 0).born[0].metadata == {"author": "me", "year": 1999}


# --- deleting and access ------------------------------------------------------------------------


def test_deleting(store: SqlStore) -> None:
    into = collection(store)
    job, one = ingest(store, into, "a.txt", ["one"])
    with store() as unit:
        gone = unit.documents.delete(job.document)
        unit.commit()
    assert gone == one + 1
    assert [seen(store, into, g) for g in (one, gone)] == [["one"], []]
    with store() as unit:
        assert unit.documents.all(into) == []
        assert unit.documents.get(job.document).version is None
        assert unit.documents.delete(job.document) == gone
        with pytest.raises(UnknownDocument):
            unit.documents.named(into, "a.txt")
        with pytest.raises(UnknownDocument):
            unit.documents.set_access(job.document, None, {})
    again, _ = ingest(store, into, "a.txt", ["one"])
    assert again.document != job.document


def test_deleting_cancels_what_waits(store: SqlStore) -> None:
    into = collection(store)
    running = accept(store, into, "a.txt", "x")
    lease(store, running.id)
    queued = accept(store, into, "a.txt", "y")
    with store() as unit:
        unit.documents.delete(running.document)
        unit.commit()
    with store() as unit:
        assert unit.jobs.due() == []
        for job in (running, queued):
            assert unit.jobs.get(job.id).state == JobState.FAILED
            assert "deleted" in unit.jobs.get(job.id).error
        assert not unit.jobs.heartbeat(running.id, "w1", 60, "embed", 0.5)
        with pytest.raises(Conflict):
            unit.jobs.retry(queued.id)
    with pytest.raises(Conflict):
        publish(store, running.id, ["x"])
    with store() as unit:
        assert unit.collections.get(into).generation == 0


def test_set_access_is_one_generation(store: SqlStore) -> None:
    into = collection(store)
    job, one = ingest(store, into, "a.txt", ["one", "two"])
    with store() as unit:
        two = unit.documents.set_access(job.document, frozenset({"hr"}), {"secret": True})
        unit.commit()
    assert two == one + 1
    assert [seen(store, into, g) for g in (one, two)] == [["one", "two"], []]
    with store() as unit:
        delta = unit.chunks.since(into, one)
        assert [row.readers for row in delta.born] == [frozenset({"hr"})] * 2
        assert [row.metadata for row in delta.born] == [{"secret": True}] * 2
        assert [died for _, died in delta.died] == [two, two]
        assert [row.chunk for row in delta.born] == [
            row.chunk for row in unit.chunks.since(into, 0).born[:2]
        ]


def test_set_access_outlives_an_upload_under_way(store: SqlStore) -> None:
    into = collection(store)
    job = accept(store, into, "a.txt", "x")
    lease(store, job.id)
    with store() as unit:
        assert unit.documents.set_access(job.document, frozenset({"hr"}), {}) == 0
        unit.commit()
    generation = publish(store, job.id, ["x"])
    assert seen(store, into, generation) == []


# --- reading ------------------------------------------------------------------------------------


def test_passages_permit_nothing_unlisted(store: SqlStore) -> None:
    into = collection(store)
    ingest(store, into, "all.txt", ["for all"])
    ingest(store, into, "hr.txt", ["for hr"], frozenset({"hr"}))
    _, g = ingest(store, into, "nobody.txt", ["for nobody"], frozenset())
    assert seen(store, into, g, frozenset()) == []
    assert seen(store, into, g, frozenset({"staff"})) == ["for all"]
    assert seen(store, into, g, frozenset({"staff", "hr"})) == ["for all", "for hr"]
    assert seen(store, into, g, frozenset({"hr"})) == []  # hr may not read the collection


def test_passages_meet_every_condition(store: SqlStore) -> None:
    into = collection(store)
    job, _ = ingest(store, into, "a.txt", ["a"], metadata={"year": 2025, "kind": "policy"})
    _, g = ingest(store, into, "b.txt", ["b"], metadata={"year": 2026})
    with store() as unit:
        ids = [row.chunk for row in unit.chunks.since(into, 0).born]

        def found(*conditions: Condition, documents: frozenset[str] | None = None) -> list[str]:
            filter = Filter(g, LOCAL, conditions, documents)
            return [p.chunk.text for p in unit.chunks.passages(into, ids, filter)]

        assert found() == ["a", "b"]
        assert found(Condition("year", (2025, 2026))) == ["a", "b"]
        assert found(Condition("year", (2026,))) == ["b"]
        assert found(Condition("year", ("2026",))) == []
        assert found(Condition("year", (2025, 2026)), Condition("kind", ("policy",))) == ["a"]
        assert found(Condition("year", ())) == []
        assert found(Condition("missing", (1,))) == []
        assert found(documents=frozenset({job.document})) == ["a"]
        assert found(documents=frozenset()) == []


def test_chunks_are_counted_as_they_are_permitted(store: SqlStore) -> None:
    into, other = collection(store, "a"), collection(store, "b")
    ingest(store, into, "a.txt", ["one", "two", "three"], metadata={"year": 2025})
    job, old = ingest(store, into, "hr.txt", ["x", "y"], frozenset({"hr"}), {"year": 2026})
    ingest(store, other, "b.txt", ["elsewhere"])
    with store() as unit:
        new = unit.documents.set_access(job.document, frozenset({"staff"}), {"year": 2025})
        unit.commit()
    staff, both = frozenset({"staff"}), frozenset({"staff", "hr"})
    this_year, last = Condition("year", (2026,)), Condition("year", (2025,))
    with store() as unit:

        def counted(g: int, groups: frozenset[str], *conditions: Condition) -> int:
            return unit.chunks.count(into, Filter(g, groups, conditions))

        assert [counted(g, staff) for g in (0, 1, old, new)] == [0, 3, 3, 5]
        assert counted(old, both) == 5
        assert [counted(g, both, this_year) for g in (old, new)] == [2, 0]
        assert [counted(g, both, last) for g in (old, new)] == [3, 5]
        assert counted(new, both, last, this_year) == 0
        assert counted(new, frozenset({"hr"})) == 0  # hr may not read the collection
        assert unit.chunks.count(into, Filter(new, staff, (), frozenset({job.document}))) == 2
        with pytest.raises(UnknownCollection):
            unit.chunks.count("none", Filter(new, staff))


def test_passages_keep_order_and_collection(store: SqlStore) -> None:
    into, other = collection(store, "a"), collection(store, "b")
    job, g = ingest(store, into, "a.txt", ["one", "two", "three"])
    ingest(store, other, "b.txt", ["elsewhere"])
    with store() as unit:
        ids = [row.chunk for row in unit.chunks.since(into, 0).born]
        foreign = [row.chunk for row in unit.chunks.since(other, 0).born]
        asked = [*reversed(ids), *foreign, ids[0], "unknown"]
        found = unit.chunks.passages(into, asked, Filter(g, LOCAL))
        assert unit.chunks.passages(into, [], Filter(g, LOCAL)) == []
    assert [p.chunk.id for p in found] == list(reversed(ids))
    assert found[0] == Passage(
        chunk=publication(job.id, ["one", "two", "three"]).chunks[2],
        document=job.document,
        document_name="a.txt",
        title=f"Title of {job.id}",
        score=0.0,
    )


def test_since_gives_rows_vectors_and_ends(store: SqlStore) -> None:
    into = collection(store)
    first, one = ingest(store, into, "a.txt", ["old"])
    _, two = ingest(store, into, "a.txt", ["new"])
    with store() as unit:
        everything = unit.chunks.since(into, 0)
        after = unit.chunks.since(into, one)
        nothing = unit.chunks.since(into, two)
        ahead = unit.chunks.since(into, 99)
    assert [(row.born, row.died) for row in everything.born] == [(one, two), (two, None)]
    assert everything.died == []
    assert after.died == [(everything.born[0].row, two)]
    assert [row.row for row in after.born] == [everything.born[1].row]
    assert (nothing.born, nothing.died, nothing.generation) == ([], [], two)
    assert (ahead.born, ahead.died, ahead.generation) == ([], [], two)
    expected = publication(first.id, ["old"])
    row = everything.born[0]
    assert row.vector.dtype == np.float32
    assert np.array_equal(row.vector, expected.vectors[0])
    assert row.text == expected.indexed[0]
    assert row.text[row.own :] == expected.chunks[0].text
    assert row.row < everything.born[1].row


def test_since_ends_early_where_more_would_be_born_than_wanted(store: SqlStore) -> None:
    into = collection(store)
    for name, texts in (("a", 2), ("b", 1), ("c", 5), ("d", 1)):
        ingest(store, into, name, [f"{name}{i}" for i in range(texts)])
    ingest(store, into, "a", ["new"])

    def windows(limit: int | None) -> list[tuple[int, int, list[str], list[int]]]:
        found, at = [], 0
        with store() as unit:
            while (delta := unit.chunks.since(into, at, limit)).generation != at:
                texts = [row.text.split("\n")[-1] for row in delta.born]
                found.append((at, delta.generation, texts, [died for _, died in delta.died]))
                at = delta.generation
        return found

    c = [f"c{i}" for i in range(5)]
    assert windows(3) == [
        (0, 2, ["a0", "a1", "b0"], []),
        (2, 3, c, []),
        (3, 5, ["d0", "new"], [5, 5]),
    ]
    assert [(since, until) for since, until, _, _ in windows(1)] == [
        (0, 1),
        (1, 2),
        (2, 3),
        (3, 4),
        (4, 5),
    ]
    assert windows(10) == windows(None) == [(0, 5, ["a0", "a1", "b0", *c, "d0", "new"], [])]


def test_a_mark_tells_generations_of_one_number_apart(store: SqlStore) -> None:
    one, other = collection(store, "one"), collection(store, "other")
    for into in (one, other):
        ingest(store, into, "a.txt", ["old"])
        ingest(store, into, "a.txt", ["new"])
    with store() as unit:
        marks = [unit.chunks.mark(into, g) for into in (one, other) for g in (1, 2)]
        assert [unit.chunks.mark(one, g) for g in (0, 3)] == ["", ""]
        assert marks == [unit.chunks.mark(into, g) for into in (one, other) for g in (1, 2)]
    assert all(marks)
    assert marks[0] != marks[2]


def test_a_reader_keeps_its_snapshot(store: SqlStore) -> None:
    into = collection(store)
    ingest(store, into, "a.txt", ["old"])
    with store() as unit:
        assert unit.collections.get(into).generation == 1
        ingest(store, into, "a.txt", ["new"])  # commits meanwhile, and waits for nobody
        assert unit.collections.get(into).generation == 1
        assert [row.died for row in unit.chunks.since(into, 0).born] == [None]
        unit.commit()
        assert unit.collections.get(into).generation == 2


def test_a_writer_does_not_block_readers(store: SqlStore) -> None:
    into = collection(store)
    with store() as writing:
        writing.documents.accept(into, "a.txt", sha("x"), 1)
        with store() as reading:
            assert reading.documents.all(into) == []
        writing.commit()
    with store() as reading:
        assert len(reading.documents.all(into)) == 1


def test_reading_first_does_not_spoil_a_later_write(store: SqlStore) -> None:
    into = collection(store)
    with store() as unit:
        assert unit.collections.get(into).generation == 0
        ingest(store, into, "a.txt", ["one"])  # another writer commits in between
        unit.collections.set_settings(into, {"k": 1})
        unit.commit()
        assert unit.collections.get(into).generation == 1


# --- jobs ---------------------------------------------------------------------------------------


def test_a_lease_is_held_by_one(store: SqlStore, clock: Ticker) -> None:
    job = accept(store, collection(store), "a.txt", "x")
    taken = lease(store, job.id, "w1", 60)
    assert taken is not None
    assert (taken.state, taken.attempts) == (JobState.RUNNING, 1)
    assert lease(store, job.id, "w2", 60) is None
    clock.advance(59)
    with store() as unit:
        assert unit.jobs.due() == []
        assert unit.jobs.heartbeat(job.id, "w1", 60, "embed", 1.7)
        assert not unit.jobs.heartbeat(job.id, "w2", 60, "embed", 0.5)
        unit.commit()
        assert (unit.jobs.get(job.id).step, unit.jobs.get(job.id).progress) == ("embed", 1.0)
    clock.advance(59)
    assert lease(store, job.id, "w2", 60) is None
    clock.advance(1)
    with store() as unit:
        assert unit.jobs.due() == [job.id]
    again = lease(store, job.id, "w2", 60)
    assert again is not None
    assert again.attempts == 2
    with store() as unit:
        assert not unit.jobs.heartbeat(job.id, "w1", 60, "embed", 0.5)
        unit.jobs.fail(job.id, "w1", "late")
        unit.jobs.release(job.id, "w1", "late", counted=True)
        unit.commit()
        assert unit.jobs.get(job.id).state == JobState.RUNNING


def test_three_attempts_that_ended_by_the_documents_fault_poison_it(store: SqlStore) -> None:
    job = accept(store, collection(store), "a.txt", "x")
    for attempt in (1, 2, 3):
        taken = lease(store, job.id, "w1", 60)
        assert taken is not None
        assert taken.attempts == attempt
        with store() as unit:
            unit.jobs.heartbeat(job.id, "w1", 60, "parse", 0.1)
            unit.jobs.release(job.id, "w1", "its process was killed", counted=True)
            unit.commit()
    assert lease(store, job.id, "w1", 60) is None
    with store() as unit:
        end = unit.jobs.get(job.id)
        assert unit.jobs.due() == []
    assert (end.state, end.attempts) == (JobState.POISONED, 3)
    assert "'parse': its process was killed" in end.error


def test_a_document_whose_workers_are_lost_is_poisoned_later(
    store: SqlStore, clock: Ticker
) -> None:
    """Somebody else may have killed them; but nothing goes round for ever."""
    job = accept(store, collection(store), "a.txt", "x")
    for attempt in range(1, 7):
        taken = lease(store, job.id, "w1", 60)
        assert taken is not None
        assert taken.attempts == attempt
        with store() as unit:
            unit.jobs.heartbeat(job.id, "w1", 60, "parse", 0.1)
            unit.commit()
        clock.advance(61)
    assert lease(store, job.id, "w1", 60) is None
    with store() as unit:
        end = unit.jobs.get(job.id)
        assert unit.jobs.due() == []
    assert (end.state, end.attempts) == (JobState.POISONED, 6)
    assert "'parse'" in end.error
    with store() as unit:
        again = unit.jobs.retry(job.id)
        unit.commit()
    assert (again.state, again.attempts, again.error) == (JobState.QUEUED, 0, "")
    assert lease(store, job.id) is not None


def test_release_and_fail(store: SqlStore) -> None:
    into = collection(store)
    job = accept(store, into, "a.txt", "x")
    lease(store, job.id)
    with store() as unit:
        unit.jobs.release(job.id, "w1", "the parser\0 fell over", counted=True)
        unit.commit()
        back = unit.jobs.get(job.id)
    assert (back.state, back.attempts, back.error) == (JobState.QUEUED, 1, "the parser  fell over")
    lease(store, job.id)
    with store() as unit:
        unit.jobs.release(job.id, "w1", "the disk is full", counted=False)
        unit.commit()
        assert unit.jobs.get(job.id).attempts == 1
    lease(store, job.id)
    with store() as unit:
        unit.jobs.fail(job.id, "w1", "not a PDF")
        unit.commit()
        assert unit.jobs.get(job.id).state == JobState.FAILED
        assert unit.jobs.all(into, [JobState.FAILED]) == [unit.jobs.get(job.id)]
        assert unit.jobs.all(into, [JobState.QUEUED]) == []
        assert unit.jobs.counts() == dict.fromkeys(JobState, 0) | {JobState.FAILED: 1}
    assert lease(store, job.id) is None
    accept(store, into, "a.txt", "x")
    with store() as unit, pytest.raises(Conflict):
        unit.jobs.retry(job.id)  # a later upload is on its way


def test_only_failed_jobs_are_retried(store: SqlStore) -> None:
    job, _ = ingest(store, collection(store), "a.txt", ["x"])
    with store() as unit, pytest.raises(Conflict, match="done"):
        unit.jobs.retry(job.id)


def test_one_of_many_workers_gets_the_lease(store: SqlStore) -> None:
    job = accept(store, collection(store), "a.txt", "x")
    got: list[str] = []
    start = threading.Barrier(6)

    def work(name: str) -> None:
        start.wait()
        if lease(store, job.id, name) is not None:
            got.append(name)

    threads = [threading.Thread(target=work, args=(f"w{n}",)) for n in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(got) == 1
    with store() as unit:
        assert unit.jobs.get(job.id).attempts == 1


# --- answers, accounts, audit, runs -------------------------------------------------------------


def an_answer(into: str, id: str = "answer-1", user: str = "ann") -> Answer:
    chunk = Chunk("c1", "v1", 3, 8, "words", ("A", "B"), 2)
    return Answer(
        id=id,
        collection=into,
        question="Wie viele Tage?",
        text="Five days [1].",
        verdict=Verdict.ANSWERED,
        confidence=0.875,
        citations=(
            Citation(0, 1, "c1", "d1", "a.txt", "v1", 3, 8, "words", 0.9, 2, (Box(2, 0, 1, 2, 3),)),
        ),
        passages=(Passage(chunk, "d1", "a.txt", "Title", 1.0, {"dense": 0.5, "lexical": 7.25}),),
        timings={"queue": 0.5, "retrieve": 0.25, "generate": 2.0},
        usage=Usage(prompt=310, completion=14),
        replay=Replay(
            7,
            "m",
            "none",
            "p1",
            Sampling(stop=("\n",), seed=3),
            ("c1",),
            {"w": 0.5, "x": True},
            conditions=(Condition("year", (2024, "2024", True)),),
        ),
        user=user,
        created=datetime(2026, 2, 3, 4, 5, 6, 789, tzinfo=UTC),
    )


def test_answers_come_back_equal(store: SqlStore) -> None:
    into = collection(store)
    with store() as unit:
        for id, user in (("answer-1", "ann"), ("answer-2", "ann"), ("answer-3", "bob")):
            unit.answers.add(an_answer(into, id, user))
        unit.commit()
    with store() as unit:
        assert unit.answers.get("answer-1") == an_answer(into)
        unit.answers.add(replace(an_answer(into, "from before it was counted"), usage=None))
        assert unit.answers.get("from before it was counted").usage is None
    with store() as unit:
        assert [a.id for a in unit.answers.recent(into, "ann", 10)] == ["answer-2", "answer-1"]
        assert [a.id for a in unit.answers.recent(into, "ann", 1)] == ["answer-2"]
    with store() as unit, pytest.raises(Conflict):
        unit.answers.add(an_answer(into))
    with store() as unit, pytest.raises(Conflict):
        unit.answers.add(an_answer("no collection", "answer-4"))


def an_opinion(
    into: str, id: str = "f1", user: str = "ann", answer: str = "answer-1", correction: str = ""
) -> Feedback:
    return Feedback(
        id=id,
        answer=answer,
        collection=into,
        user=user,
        question="Wie viele Tage?",
        verdict=Opinion.WRONG if correction else Opinion.RIGHT,
        correction=correction,
        passages=("c1", "c2"),
        cited=("c1",),
        created=datetime(2026, 2, 3, 4, 5, 6, 789, tzinfo=UTC),
    )


def test_feedback_is_one_a_user_and_answer(store: SqlStore) -> None:
    into, other = collection(store), collection(store, "other")
    with store() as unit:
        unit.answers.add(an_answer(into))
        unit.answers.add(an_answer(other, "answer-2"))
        unit.feedback.give(an_opinion(into))
        unit.feedback.give(an_opinion(into, "f2", "bob"))
        unit.feedback.give(an_opinion(other, "f3", "ann", "answer-2"))
        unit.commit()
    changed = an_opinion(into, "f4", correction="Sechs Tage.")
    with store() as unit:
        assert unit.feedback.given("answer-1", "ann") == an_opinion(into)
        unit.feedback.give(changed)
        unit.commit()
    with store() as unit:
        assert unit.feedback.given("answer-1", "ann") == changed
        assert unit.feedback.given("answer-1", "eve") is None
        assert [held.id for held in unit.feedback.all(into)] == ["f2", "f4"]
        assert [held.id for held in unit.feedback.all(other)] == ["f3"]
    with store() as unit, pytest.raises(UnknownAnswer):
        unit.feedback.give(an_opinion(into, "f5", answer="answer-9"))


def test_feedback_of_one_user_at_once_keeps_one(store: SqlStore) -> None:
    into = collection(store)
    with store() as unit:
        unit.answers.add(an_answer(into))
        unit.commit()

    def click(number: int) -> None:
        with store() as unit:
            unit.feedback.give(an_opinion(into, f"click-{number}"))
            unit.commit()

    threads = [threading.Thread(target=click, args=(number,)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    with store() as unit:
        assert len(unit.feedback.all(into)) == 1


def test_feedback_goes_with_its_collection(store: SqlStore) -> None:
    into = collection(store)
    with store() as unit:
        unit.answers.add(an_answer(into))
        unit.feedback.give(an_opinion(into))
        unit.commit()
    with store() as unit:
        unit.collections.delete(into)
        unit.commit()
        assert unit.feedback.all(into) == []


def test_accounts_and_keys(store: SqlStore) -> None:
    with store() as unit:
        ann = unit.accounts.create("ann", "hash", frozenset({"hr", "staff"}), admin=False)
        with pytest.raises(Conflict):
            unit.accounts.create("ann", "hash", frozenset(), admin=True)
        id = unit.accounts.add_key("ann", "laptop", "h1", frozenset({"ask"}))
        unit.commit()
    with store() as unit:
        assert unit.accounts.get("ann") == ann == unit.accounts.all()[0]
        assert unit.accounts.by_key("h1") == (ann, frozenset({"ask"}))
        with pytest.raises(NotSignedIn):
            unit.accounts.by_key("h2")
        unit.accounts.set_groups("ann", frozenset({"staff"}))
        unit.accounts.set_password("ann", "other")
        unit.commit()
        found = unit.accounts.get("ann")
        assert (found.groups, found.password_hash) == (frozenset({"staff"}), "other")
        unit.accounts.revoke_key(id)
        with pytest.raises(NotSignedIn):
            unit.accounts.by_key("h1")


def test_a_disabled_account_has_no_keys(store: SqlStore) -> None:
    with store() as unit:
        unit.accounts.create("ann", "hash", frozenset(), admin=False)
        unit.accounts.add_key("ann", "laptop", "h1", frozenset())
        unit.accounts.disable("ann")
        unit.commit()
        assert unit.accounts.get("ann").disabled
        with pytest.raises(NotSignedIn, match="disabled"):
            unit.accounts.by_key("h1")


def audited(store: SqlStore, n: int = 4) -> None:
    for number in range(n):
        with store() as unit:
            unit.audit.add("ann", "ask", f"answer-{number}", {"n": number, "x": 0.1, "ok": True})
            unit.commit()


def test_the_audit_chain_holds(store: SqlStore) -> None:
    audited(store)
    with store() as unit:
        assert unit.audit.verify() is None
        entries = unit.audit.entries()
        assert [entry.number for entry in entries] == [1, 2, 3, 4]
        assert entries[1].previous == entries[0].digest
        assert entries[2].detail == {"n": 2, "x": 0.1, "ok": True}
        assert unit.audit.entries(after=2, limit=1) == entries[2:3]


@pytest.mark.parametrize(
    ("tampering", "broken"),
    [
        ("UPDATE audit SET subject = 'other' WHERE number = 2", 2),
        ("UPDATE audit SET detail = '{}' WHERE number = 4", 4),
        ("DELETE FROM audit WHERE number = 2", 2),
        ("DELETE FROM audit WHERE number = 4", 4),
        ("DELETE FROM audit", 1),
        ("UPDATE audit_head SET number = 3", 4),
    ],
)
def test_a_broken_audit_chain_is_found(store: SqlStore, tampering: str, broken: int) -> None:
    audited(store)
    with store.engine.connect().execution_options(attest_writing=True) as connection:
        connection.execute(text(tampering))
        connection.commit()
    with store() as unit:
        assert unit.audit.verify() == broken


def test_audit_entries_of_many_writers_make_one_chain(store: SqlStore) -> None:
    threads = [threading.Thread(target=audited, args=(store, 5)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    with store() as unit:
        assert unit.audit.verify() is None
        assert len(unit.audit.entries()) == 20


def test_runs(store: SqlStore, clock: Ticker) -> None:
    report = {"f1": {"mean": 0.5, "n": 3, "interval": [0.1, 0.9]}, "a": None, "b": [1, "x"]}
    runs = [RunRecord(f"r{n}", kind, "name", report, clock()) for n, kind in enumerate("aab")]
    with store() as unit:
        for run in runs:
            unit.runs.add(run)
        unit.commit()
        assert unit.runs.get("r1") == runs[1]
        assert unit.runs.recent() == runs[::-1]
        assert unit.runs.recent(1, kind="a") == [runs[1]]
    with store() as unit, pytest.raises(Conflict):
        unit.runs.add(runs[0])
