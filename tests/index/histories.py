"""Random histories of a collection, and random filters on them."""

from __future__ import annotations

from hypothesis import strategies as st

from rag.domain import Condition, Filter
from tests.index.truth import DIMENSION, New, Truth

WORDS = ("invoice", "paid", "late", "INV-7", "fee", "rare", "the")  # with ties, and a stop word
GROUPS = ("hr", "it", "law")

groups = st.frozensets(st.sampled_from(GROUPS), max_size=3)
texts = st.lists(st.sampled_from(WORDS), max_size=9).map(" ".join)
vectors = st.tuples(*[st.integers(-2, 2)] * DIMENSION).filter(any)
values = st.sampled_from((1, 2, "x", True, 2.5))
metadata = st.dictionaries(st.sampled_from(("year", "kind")), values, max_size=2)
rows = st.builds(
    New,
    text=texts,
    vector=vectors,
    document=st.sampled_from(("d1", "d2", "d3")),
    readers=st.none() | groups,
    metadata=metadata.map(lambda given: tuple(given.items())),
    headings=texts,
)
conditions = st.builds(
    Condition, st.sampled_from(("year", "kind", "no")), st.lists(values, max_size=3).map(tuple)
)
filters = st.builds(
    Filter,
    generation=st.integers(0, 6),
    groups=groups,
    conditions=st.lists(conditions, max_size=1).map(tuple),
    documents=st.none() | st.frozensets(st.sampled_from(("d1", "d2", "d9")), max_size=2),
)


@st.composite
def steps(draw: st.DrawFn) -> list[tuple[list[New], list[int]]]:
    """Up to 5 commits: rows born, and positions ended (each once)."""
    taken: list[tuple[list[New], list[int]]] = []
    count, live = 0, set[int]()
    for _ in range(draw(st.integers(1, 5))):
        ended = (
            sorted(draw(st.frozensets(st.sampled_from(sorted(live)), max_size=4))) if live else []
        )
        born = draw(st.lists(rows, max_size=10))
        live = (live - set(ended)) | set(range(count, count + len(born)))
        count += len(born)
        taken.append((born, list(ended)))
    return taken


def told(history: list[tuple[list[New], list[int]]]) -> Truth:
    truth = Truth()
    for born, ended in history:
        truth.commit(born, ended)
    return truth
