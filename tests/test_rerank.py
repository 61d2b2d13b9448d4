from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rag.domain import Chunk, Passage, chunk_id
from rag.rerank import reranked


def found(*fused: float) -> list[Passage]:
    chunks = [Chunk(chunk_id("v", i, i + 1), "v", i, i + 1, "x") for i in range(len(fused))]
    return [
        Passage(chunk, "d", "d.md", "", score, {"hybrid": score, "dense": 0.5})
        for chunk, score in zip(chunks, fused, strict=True)
    ]


def places(passages: list[Passage]) -> list[int]:
    return [passage.chunk.start for passage in passages]


def test_a_reading_outweighs_retrieval_by_as_much_as_it_is_sure() -> None:
    passages = found(1.0, 0.75, 0.5)
    assert places(reranked(passages, [0.0, 1.9, 0.0], prior=8)) == [0, 1, 2]
    assert places(reranked(passages, [0.0, 2.1, 0.0], prior=8)) == [1, 0, 2]
    assert places(reranked(passages, [0.0, 0.1, 0.2], prior=0)) == [2, 1, 0]


def test_what_was_not_read_stays_below_in_its_order() -> None:
    again = reranked(found(1.0, 0.9, 0.8, 0.7), [0.0, 50.0], prior=8)
    assert places(again) == [1, 0, 2, 3]
    assert [p.score for p in again[2:]] == [0, 0]
    assert "rerank" not in again[2].scores


def test_each_score_says_where_it_came_from() -> None:
    first, second = reranked(found(0.5, 0.25), [1.0, 3.0], prior=2)
    assert first.scores == {"hybrid": 0.25, "dense": 0.5, "rerank": 3.0}
    assert second.scores == {"hybrid": 0.5, "dense": 0.5, "rerank": 1.0}
    assert first.score == pytest.approx(1 / (1 + math.exp(-1)))  # 3 + 2 / 2 against 1 + 2


def test_fused_scores_of_any_scale_count_alike() -> None:
    """Reciprocal ranks are about a sixtieth, a convex combination is about 1."""
    read = [0.0, 1.5, 3.0]
    assert places(reranked(found(1.0, 0.8, 0.2), read, prior=4)) == places(
        reranked(found(0.016, 0.0128, 0.0032), read, prior=4)
    )


def test_nothing_found_is_nothing_ranked() -> None:
    assert reranked([], [], prior=8) == []


@given(st.lists(st.tuples(st.floats(0, 1), st.floats(-900, 900)), min_size=1, max_size=30))
def test_nothing_is_lost_and_scores_fall(rows: list[tuple[float, float]]) -> None:
    passages = found(*sorted((fused for fused, _ in rows), reverse=True))
    again = reranked(passages, [read for _, read in rows], prior=8)
    assert sorted(places(again)) == places(passages)
    scores = [passage.score for passage in again]
    assert scores == sorted(scores, reverse=True)
    assert sum(scores) == pytest.approx(1)
