"""SNAPSHOT as a property: after any sequence of changes, every generation shows exactly what a
simple model says, and a searcher that stops anywhere and catches up agrees with one from scratch.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rag.domain import Filter
from rag.ports import Delta, Row
from rag.store.unit import SqlStore, open_store
from tests.servers import Databases
from tests.store.samples import accept, collection, lease, publish

NAMES = ("a.txt", "b.txt", "c.txt")
READERS = (None, frozenset[str](), frozenset({"hr"}), frozenset({"hr", "staff"}))
ASKERS = (frozenset({"staff"}), frozenset({"staff", "hr"}), frozenset({"hr"}), frozenset[str]())

changes = st.lists(
    st.one_of(
        st.tuples(
            st.just("ingest"),
            st.sampled_from(NAMES),
            st.lists(st.sampled_from(("x", "yy", "zzz")), max_size=3),
            st.sampled_from(READERS),
        ),
        st.tuples(st.just("delete"), st.sampled_from(NAMES)),
        st.tuples(st.just("access"), st.sampled_from(NAMES), st.sampled_from(READERS)),
        st.tuples(st.just("wait"), st.sampled_from(NAMES)),
        st.tuples(st.just("stop")),
    ),
    max_size=12,
)


@dataclass
class Model:
    """Texts and readers of each live document, and what they were at each generation."""

    live: dict[str, tuple[list[str], frozenset[str] | None]] = field(default_factory=dict)
    past: list[dict[str, tuple[list[str], frozenset[str] | None]]] = field(
        default_factory=lambda: [{}]
    )

    def commit(self, generation: int) -> None:
        assert generation == len(self.past)  # consecutive, whatever happened
        self.past.append(dict(self.live))

    def seen(self, generation: int, groups: frozenset[str]) -> list[str]:
        if "staff" not in groups:  # only staff may read the collection
            return []
        return sorted(
            text
            for texts, readers in self.past[generation].values()
            if readers is None or readers & groups
            for text in texts
        )


@dataclass
class Searcher:
    """Applies deltas as an index does."""

    generation: int = 0
    rows: dict[int, Row] = field(default_factory=dict)

    def catch_up(self, delta: Delta) -> None:
        assert delta.since == self.generation
        for row in delta.born:
            assert row.row not in self.rows
            self.rows[row.row] = row
        for number, died in delta.died:
            assert self.rows[number].died is None
            self.rows[number] = replace(self.rows[number], died=died)
        self.generation = delta.generation

    def state(self) -> list[tuple[object, ...]]:
        return [
            (
                row.row,
                row.chunk,
                row.born,
                row.died,
                row.readers,
                row.text,
                row.own,
                row.vector.tobytes(),
            )
            for _, row in sorted(self.rows.items())
        ]


@given(script=changes)
@settings(
    max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_every_generation_shows_what_was_live(
    databases: Databases, script: list[tuple[object, ...]]
) -> None:
    store = open_store(databases.new())
    try:
        into = collection(store)
        model, searcher = Model(), Searcher()
        for change in script:
            apply(store, into, model, searcher, change)
        check(store, into, model, searcher)
    finally:
        store.close()


def apply(
    store: SqlStore, into: str, model: Model, searcher: Searcher, change: tuple[object, ...]
) -> None:
    match change:
        case ("stop",):
            with store() as unit:
                searcher.catch_up(unit.chunks.since(into, searcher.generation))
        case ("wait", str(name)):  # a worker died: nothing may become visible
            accept(store, into, name, f"never finished {len(model.past)}")
            if name not in model.live:
                with store() as unit:
                    unit.documents.delete(unit.documents.named(into, name).id)
                    unit.commit()
        case ("ingest", str(name), list(texts), readers):
            ingest_distinct(store, into, model, name, texts, readers)
        case ("delete", str(name)) if name in model.live:
            with store() as unit:
                gone = unit.documents.delete(unit.documents.named(into, name).id)
                unit.commit()
            del model.live[name]
            model.commit(gone)
        case ("access", str(name), readers) if name in model.live:
            with store() as unit:
                document = unit.documents.named(into, name)
                changed = unit.documents.set_access(document.id, readers, {})  # type: ignore[arg-type]
                unit.commit()
            model.live[name] = (model.live[name][0], readers)  # type: ignore[assignment]
            model.commit(changed)


def ingest_distinct(
    store: SqlStore, into: str, model: Model, name: str, texts: list[str], readers: object
) -> None:
    """Texts carry the generation, so that no two versions are the same bytes."""
    at = len(model.past)
    marked = [f"{text} {name} {n} at {at}" for n, text in enumerate(texts)]
    given = readers if isinstance(readers, frozenset) else None
    job = accept(store, into, name, f"{name} at {at}", given)
    assert lease(store, job.id) is not None
    generation = publish(store, job.id, marked)
    before = model.live.get(name)
    held = given if given is not None or before is None else before[1]  # None keeps what it has
    model.live[name] = (marked, held)
    model.commit(generation)


def check(store: SqlStore, into: str, model: Model, searcher: Searcher) -> None:
    with store() as unit:
        assert unit.collections.get(into).generation == len(model.past) - 1
        scratch = Searcher()
        scratch.catch_up(unit.chunks.since(into, 0))
        searcher.catch_up(unit.chunks.since(into, searcher.generation))
        assert searcher.state() == scratch.state()
        ids = [row.chunk for row in scratch.rows.values()]
        for generation in range(len(model.past)):
            visible = [
                row
                for row in scratch.rows.values()
                if row.born <= generation and (row.died is None or row.died > generation)
            ]
            for groups in ASKERS:
                found = unit.chunks.passages(into, ids, Filter(generation, groups))
                assert sorted(p.chunk.text for p in found) == model.seen(generation, groups)
                indexed = [r for r in visible if r.readers is None or r.readers & groups]
                if "staff" in groups:
                    assert sorted(r.chunk for r in indexed) == sorted(p.chunk.id for p in found)
