"""Workers, broker and API are killed while documents are on their way in: a small run of
benchmarks.chaos; and what its searcher must not see is noticed."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.chaos import Chaos, Plan
from benchmarks.editions import Paper, Sighting, papers, sighting
from benchmarks.handbook import give_weights
from rag.domain import Chunk, Passage
from tests.weights import pulled, weights_folder

pytestmark = pytest.mark.slow

WHOLE = frozenset({(1, 1, 2), (1, 2, 2)})


def passage(version: str, text: str) -> Passage:
    chunk = Chunk(f"{version} {text}", version, 0, len(text), text)
    return Passage(chunk, "document", "a.md", "", 1.0)


@pytest.mark.parametrize(
    ("marks", "versions", "before", "said"),
    [
        (WHOLE, 1, 0, ""),
        (WHOLE, 1, 1, ""),
        (frozenset(), 0, 0, ""),
        (frozenset(), 0, 1, "edition 0 after edition 1"),
        (WHOLE, 1, 2, "edition 1 after edition 2"),
        (frozenset({(1, 2, 2)}), 1, 0, "a part of edition 1"),
        (WHOLE | {(2, 1, 1)}, 2, 0, "two editions"),
        (WHOLE, 2, 0, "two editions"),
    ],
)
def test_what_no_search_may_see(
    marks: frozenset[tuple[int, int, int]], versions: int, before: int, said: str
) -> None:
    wrong = Sighting(marks, versions).wrong(before)
    assert wrong.startswith(said)
    assert bool(wrong) == bool(said)


def test_a_paper_seen_whole_is_whole() -> None:
    paper = Paper("a.md", "qzbx", 2, broken=False)
    for edition in (1, 2):
        text = paper.bytes(edition).decode()
        whole = sighting([passage("v", text)])
        assert (whole.edition, whole.wrong(0)) == (edition, "")
        assert sighting([passage("v", text.rpartition("## Part")[0])]).wrong(0)


def test_the_same_seed_gives_the_same_papers() -> None:
    made = papers(200, seed=1)
    assert made == papers(200, seed=1) != papers(200, seed=2)
    assert len({paper.word for paper in made}) == 200
    assert any(paper.broken for paper in made)
    assert any(paper.editions == 2 for paper in made)


def test_documents_come_through_four_kills(tmp_path: Path) -> None:
    for name in ("smollm2-135m-instruct", "all-minilm-l6-v2"):
        pulled(name)
    give_weights(tmp_path, weights_folder())
    chaos = Chaos(Plan(documents=40, workers=2, kills=4, seed=25), tmp_path)
    chaos.run()
    assert chaos.wrong == []
    assert sum(chaos.killed.values()) == 4
