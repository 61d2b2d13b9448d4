"""What every back end of the adapter registry promises, over SQLite and a real PostgreSQL."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rag.adapters import answering, promote, register, retire, rollback
from rag.domain import LOCAL_USER, Adapter, AdapterState, Principal, Source
from rag.errors import BadInput, BadName, Conflict, NotPermitted, UnknownAdapter
from rag.store.unit import SqlStore
from tests.servers import SqliteDatabases
from tests.store.samples import collection, ingest, sha

BASE, OTHER = "small@0123456789ab", "large@0123456789ab"
MIA = Principal("mia", frozenset({"staff"}))


def adapter(
    name: str,
    into: str | None = None,
    base: str = BASE,
    sources: tuple[Source, ...] = (),
    passed: bool = True,
) -> Adapter:
    return Adapter(
        name=name,
        base=base,
        digest=sha(name),
        folder=f"adapters/{name}",
        state=AdapterState.PROMOTED,  # not for the one who registers to say
        collection=into,
        card={"base": base, "losses": [1.5, None], "effect": {"gate": {"passed": passed}}},
        sources=sources,
        promoted=None,
        created=datetime(2026, 1, 1, tzinfo=UTC),
    )


def registered(store: SqlStore, data: Path, *made: Adapter) -> None:
    for one in made:
        register(store, LOCAL_USER, one)
        (data / one.folder).mkdir(parents=True)


def answers(store: SqlStore, into: str | None = None, base: str = BASE) -> str | None:
    with store() as work:
        found = answering(work, base, into)
    return None if found is None else found.name


def test_a_registered_adapter_is_a_candidate(store: SqlStore) -> None:
    sources = (Source("d2", "v2"), Source("d1", "v1"), Source("d1", "v1"))
    given = adapter("first", sources=sources)
    found = register(store, LOCAL_USER, given)
    assert found.state is AdapterState.CANDIDATE
    assert found.sources == (Source("d1", "v1"), Source("d2", "v2"))
    assert (found.card, found.created) == (given.card, given.created)
    assert found.identity == f"first@{sha('first')[:12]}"
    with pytest.raises(Conflict):
        register(store, LOCAL_USER, given)
    with store() as work:
        assert [one.name for one in work.adapters.all()] == ["first"]
        assert work.adapters.of_digest(sha("first")[:12]) == [found]
        assert work.adapters.of_digest("%") == []
        with pytest.raises(UnknownAdapter, match="'second'"):
            work.adapters.get("second")
        work.adapters.set_card("first", {"effect": {"right": 0.5}})
        work.commit()
        assert work.adapters.get("first").card == {"effect": {"right": 0.5}}


@pytest.mark.parametrize("name", ["", "default", "none", "a/b", "..", "-x", "é", "x" * 101])
def test_names_that_cannot_be_a_folder(store: SqlStore, name: str) -> None:
    with pytest.raises(BadName):
        register(store, LOCAL_USER, adapter(name))


def test_only_what_a_gate_let_pass_is_promoted(store: SqlStore, tmp_path: Path) -> None:
    registered(store, tmp_path, adapter("poor", passed=False))
    with pytest.raises(Conflict, match="no gate has let"):
        promote(store, LOCAL_USER, tmp_path, "poor")
    assert answers(store) is None
    promote(store, LOCAL_USER, tmp_path, "poor", ungated=True)
    assert answers(store) == "poor"
    with store() as work:
        assert work.audit.entries()[-1].detail["gate"] == "overruled"


def test_promotion_retires_the_one_before(store: SqlStore, tmp_path: Path) -> None:
    registered(store, tmp_path, adapter("a"), adapter("b"), adapter("c"))
    assert promote(store, LOCAL_USER, tmp_path, "a")[1] is None
    now, before = promote(store, LOCAL_USER, tmp_path, "b")
    assert (now.name, now.state) == ("b", AdapterState.PROMOTED)
    assert now.promoted is not None
    assert before is not None
    assert (before.name, before.state) == ("a", AdapterState.RETIRED)
    with pytest.raises(Conflict, match="already"):
        promote(store, LOCAL_USER, tmp_path, "b")
    assert answers(store) == "b"
    with store() as work:
        last = work.audit.entries()[-1]
        assert (last.action, last.subject, last.detail["before"]) == ("promote adapter", "b", "a")
        assert work.audit.verify() is None


def test_rollback_goes_back_one_by_one(store: SqlStore, tmp_path: Path) -> None:
    registered(store, tmp_path, adapter("a"), adapter("b"), adapter("c"))
    for name in "abc":
        promote(store, LOCAL_USER, tmp_path, name)
    gone, back = rollback(store, LOCAL_USER, tmp_path, None)
    assert back is not None
    assert (gone.name, gone.state, gone.promoted) == ("c", AdapterState.RETIRED, None)
    assert (back.name, back.state) == ("b", AdapterState.PROMOTED)
    assert rollback(store, LOCAL_USER, tmp_path, None)[1] is not None
    assert answers(store) == "a"
    assert rollback(store, LOCAL_USER, tmp_path, None)[1] is None
    assert answers(store) is None
    with pytest.raises(Conflict, match="nothing to roll back"):
        rollback(store, LOCAL_USER, tmp_path, None)


def test_a_rolled_back_adapter_does_not_come_back(store: SqlStore, tmp_path: Path) -> None:
    registered(store, tmp_path, *map(adapter, "abcd"))
    for name in "abc":
        promote(store, LOCAL_USER, tmp_path, name)
    rollback(store, LOCAL_USER, tmp_path, None)  # c was bad
    retire(store, LOCAL_USER, "a")  # and so was a
    promote(store, LOCAL_USER, tmp_path, "d")
    rollback(store, LOCAL_USER, tmp_path, None)
    assert answers(store) == "b"
    assert rollback(store, LOCAL_USER, tmp_path, None)[1] is None


def test_scopes(store: SqlStore, tmp_path: Path) -> None:
    mine, other = collection(store, "mine"), collection(store, "other")
    registered(
        store,
        tmp_path,
        adapter("all"),
        adapter("mine", mine),
        adapter("large", base=OTHER),
        adapter("large-mine", mine, OTHER),
    )
    for name in ("all", "mine", "large"):
        promote(store, LOCAL_USER, tmp_path, name)
    assert [answers(store, each) for each in (mine, other, None)] == ["mine", "all", "all"]
    assert answers(store, mine, OTHER) == "large"
    promote(store, LOCAL_USER, tmp_path, "large-mine")
    with pytest.raises(BadInput, match="large@"):
        rollback(store, LOCAL_USER, tmp_path, None)
    rollback(store, LOCAL_USER, tmp_path, None, OTHER)
    rollback(store, LOCAL_USER, tmp_path, mine, BASE)
    assert answers(store, mine) == "all"
    assert answers(store, mine, OTHER) == "large-mine"


def test_a_deleted_collections_adapter_is_not_everybodys(store: SqlStore, tmp_path: Path) -> None:
    mine = collection(store, "mine")
    registered(store, tmp_path, adapter("mine", mine))
    promote(store, LOCAL_USER, tmp_path, "mine")
    with store() as work:
        work.collections.delete(mine)
        work.commit()
    assert answers(store) is None
    assert retire(store, LOCAL_USER, "mine").state is AdapterState.RETIRED


def test_who_may_change_adapters(store: SqlStore, tmp_path: Path) -> None:
    mine = collection(store, "mine")
    registered(store, tmp_path, adapter("all"), adapter("mine", mine))
    for name in ("all", "mine"):
        with pytest.raises(NotPermitted):
            promote(store, MIA, tmp_path, name)  # staff may read the collection only
    manager = Principal("mo", frozenset({"local"}))
    promote(store, manager, tmp_path, "mine")
    with pytest.raises(NotPermitted, match="administrator"):
        retire(store, manager, "all")


def test_weights_that_are_gone(store: SqlStore, tmp_path: Path) -> None:
    registered(store, tmp_path, adapter("a"), adapter("b"))
    for name in "ab":
        promote(store, LOCAL_USER, tmp_path, name)
    (tmp_path / "adapters" / "a").rmdir()
    with pytest.raises(UnknownAdapter, match="no longer"):
        rollback(store, LOCAL_USER, tmp_path, None)
    assert answers(store) == "b"  # nothing changed
    with pytest.raises(UnknownAdapter):
        promote(store, LOCAL_USER, tmp_path, "a")


def test_which_adapters_were_made_from_a_document(store: SqlStore) -> None:
    into = collection(store)
    job, _ = ingest(store, into, "leave.md", ["27 days"])
    with store() as work:
        held = work.documents.get(job.document)
    source = Source(held.id, str(held.version))
    register(store, LOCAL_USER, adapter("with", sources=(source, Source("else", "v"))))
    register(store, LOCAL_USER, adapter("without", sources=(Source("else", "v"),)))
    with store() as work:
        work.documents.delete(held.id)
        work.commit()
    with store() as work:
        assert [one.name for one in work.adapters.made_from(held.id)] == ["with"]
        assert [one.name for one in work.adapters.made_from("else")] == ["without", "with"]
        assert work.adapters.made_from("unheard-of") == []
    with store() as work:
        work.collections.delete(into)
        work.commit()
        assert [one.name for one in work.adapters.made_from(held.id)] == ["with"]


@settings(max_examples=12, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.lists(st.sampled_from(["a", "b", "c", "rollback", "retire a"]), max_size=12))
def test_rollback_is_a_stack(
    sqlite: SqliteDatabases, tmp_path_factory: pytest.TempPathFactory, moves: list[str]
) -> None:
    """Whatever the history: promotions stack up, a rollback takes the top off."""
    from rag.store.unit import open_store

    store, data = open_store(sqlite.new()), tmp_path_factory.mktemp("adapters")
    registered(store, data, *map(adapter, "abc"))
    stack: list[str] = []
    top: str | None = None  # what answers; a retired top leaves nobody
    for move in moves:
        if move == "rollback":
            if top is None:
                continue
            rollback(store, LOCAL_USER, data, None)
            stack.pop()
            top = stack[-1] if stack else None
        elif move == "retire a":
            retire(store, LOCAL_USER, "a")
            stack = [name for name in stack if name != "a"]
            top = None if top == "a" else top
        elif move != top:
            promote(store, LOCAL_USER, data, move)
            stack = [*(name for name in stack if name != move), move]
            top = move
        assert answers(store) == top
    store.close()
