"""What every back end promises of origins, over SQLite and a real PostgreSQL."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from rag.domain import Origin, OriginItem, OriginKind
from rag.errors import Conflict, UnknownDocument, UnknownOrigin
from rag.store.unit import SqlStore
from tests.conftest import Ticker
from tests.store.samples import collection, ingest, sha

SEEN = datetime(2026, 1, 2, tzinfo=UTC)


def origin(store: SqlStore, name: str = "wiki", every: float = 60.0) -> Origin:
    with store() as work:
        held = [each.id for each in work.collections.all()]
    into = held[0] if held else collection(store)
    given = Origin(
        id="",
        collection=into,
        name=name,
        kind=OriginKind.FOLDER,
        addresses=("/srv/wiki",),
        user="mia",
        include=("*.md",),
        exclude=("drafts/*",),
        prefix="wiki/",
        every=every,
        readers=frozenset({"staff"}),
        metadata={"kind": "wiki", "year": 2026},
    )
    with store() as work:
        made = work.origins.add(given)
        work.commit()
    assert replace(made, id="", created=None, due=None) == given
    return made


def leased(store: SqlStore, id: str, worker: str = "a", seconds: float = 30) -> Origin | None:
    with store() as work:
        found = work.origins.lease(id, worker, seconds)
        work.commit()
    return found


def finished(store: SqlStore, id: str, worker: str = "a", again: bool = False) -> None:
    with store() as work:
        work.origins.finish(id, worker, {"new": 1}, 2, "it \0 failed", again)
        work.commit()


def due(store: SqlStore) -> list[str]:
    with store() as work:
        return work.origins.due()


def asked(store: SqlStore, id: str, confirmed: bool = False) -> None:
    with store() as work:
        work.origins.ask(id, confirmed)
        work.commit()


def test_a_new_origin_is_due_and_found_by_name(store: SqlStore) -> None:
    made = origin(store)
    assert due(store) == [made.id]
    with store() as work:
        assert work.origins.get(made.id) == work.origins.named(made.collection, "wiki") == made
        assert work.origins.all(made.collection) == [made]
        assert work.origins.all("another") == []
        with pytest.raises(UnknownOrigin, match="'other'"):
            work.origins.named(made.collection, "other")
    with pytest.raises(Conflict, match="'wiki'"):
        origin(store)


def test_one_sync_at_a_time_then_the_interval(store: SqlStore, clock: Ticker) -> None:
    made = origin(store)
    assert leased(store, made.id, "a") is not None
    assert leased(store, made.id, "b") is None
    assert due(store) == []
    clock.advance(5)
    finished(store, made.id)
    assert due(store) == []
    with store() as work:
        found = work.origins.get(made.id)
    assert (found.syncing, found.counts, found.held) == (False, {"new": 1}, 2)
    assert found.error == "it   failed"
    assert found.synced == clock()
    clock.advance(60)
    assert due(store) == [made.id]


def test_a_killed_sync_is_due_once_its_lease_ends(store: SqlStore, clock: Ticker) -> None:
    made = origin(store)
    leased(store, made.id, "a", seconds=30)
    clock.advance(29)
    with store() as work:
        assert work.origins.hold(made.id, "a", 30)
        assert not work.origins.hold(made.id, "b", 30)
        work.commit()
    clock.advance(29)
    assert due(store) == []
    clock.advance(2)
    assert due(store) == [made.id]
    assert leased(store, made.id, "b") is not None
    with store() as work:
        assert not work.origins.hold(made.id, "a", 30)
    finished(store, made.id, "a")  # it has no say any more
    with store() as work:
        assert work.origins.get(made.id).syncing


def test_what_is_asked_for_while_a_sync_runs_is_not_lost(store: SqlStore, clock: Ticker) -> None:
    made = origin(store, every=0)
    asked(store, made.id, confirmed=True)
    first = leased(store, made.id)
    assert first is not None
    assert first.confirmed
    asked(store, made.id)
    finished(store, made.id)
    assert due(store) == [made.id]
    second = leased(store, made.id)
    assert second is not None
    assert not second.confirmed
    finished(store, made.id)
    clock.advance(1e6)
    assert due(store) == []  # every 0: only when asked
    leased(store, made.id)
    finished(store, made.id, again=True)
    assert due(store) == [made.id]


def test_a_retired_origin_is_never_due_and_its_sync_has_lost(store: SqlStore) -> None:
    made = origin(store)
    leased(store, made.id)
    with store() as work:
        work.origins.retire(made.id)
        work.commit()
        assert not work.origins.hold(made.id, "a", 30)
    assert due(store) == []


def test_items(store: SqlStore) -> None:
    made = origin(store)
    document = ingest(store, made.collection, "a.md", ["A."])[0].document
    key = "ä" * 5_000  # longer than an index takes
    item = OriginItem(key, "wiki/a.md", "m1", sha("a"), document, "", False, SEEN)
    with store() as work:
        work.origins.put(made.id, item)
        work.origins.put(made.id, OriginItem("b", "b", "", "", None, "too large", True, SEEN))
        work.commit()
    with store() as work:
        work.origins.put(made.id, replace(item, mark="m2"))
        work.commit()
        assert {each.key: each.mark for each in work.origins.items(made.id)} == {key: "m2", "b": ""}
        assert work.origins.get(made.id).documents == 1
        work.origins.drop(made.id, "b")
        work.commit()
        assert work.origins.items(made.id) == [replace(item, mark="m2")]
        work.origins.remove(made.id)
        work.commit()
        with pytest.raises(UnknownOrigin):
            work.origins.get(made.id)
        assert work.origins.items(made.id) == []
        assert work.documents.get(document).version is not None


def test_origins_end_with_their_collection(store: SqlStore) -> None:
    made = origin(store)
    document = ingest(store, made.collection, "a.md", ["A."])[0].document
    with store() as work:
        work.origins.put(made.id, OriginItem("a", "a", "", "", document, "", False, SEEN))
        work.commit()
        work.collections.delete(made.collection)
        work.commit()
        assert work.origins.due() == []
        assert work.origins.items(made.id) == []


def test_a_renamed_document_keeps_its_chunks(store: SqlStore) -> None:
    into = collection(store)
    document = ingest(store, into, "old.md", ["Old."])[0].document
    taken = ingest(store, into, "taken.md", ["Taken."])[0].document
    with store() as work:
        before, generation = work.documents.get(document), work.collections.get(into).generation
        work.documents.rename(document, "new.md")
        work.commit()
        assert work.documents.named(into, "new.md") == replace(before, name="new.md")
        assert work.collections.get(into).generation == generation
        with pytest.raises(Conflict, match=r"taken\.md"):
            work.documents.rename(document, "taken.md")
        work.documents.delete(taken)
        work.commit()
        with pytest.raises(UnknownDocument, match="deleted"):
            work.documents.rename(taken, "free.md")
