"""The benchmark of pipelines: what it searches, how ours is asked, and what its table says."""

from __future__ import annotations

import gzip
import json
import sys
from pathlib import Path

import numpy as np
import pytest

from benchmarks.pipelines import OURS, run_set
from benchmarks.pipelines_table import table, times
from benchmarks.searched import Searched, articles, judged, many
from eval.beir import Item, RetrievalSet
from models.fake import HashEmbedder
from rag.errors import BadSamples

ITEMS = (
    Item("a", "Leave", "Staff have 25 days of leave."),
    Item("b", "", "Trains are booked by the office."),
    Item("c", "", "Invoices are paid within thirty days."),
    Item("d", "", " "),
)
SET = RetrievalSet(
    "small",
    ITEMS,
    {"1": "Are trains booked by the office?", "2": "When are invoices paid?"},
    {"1": {"b": 1}, "2": {"c": 1, "a": 0}},
)


@pytest.fixture
def searched(tmp_path: Path) -> Searched:
    return judged(SET, HashEmbedder(), tmp_path / "cache")


def test_ours_is_measured_and_absent_peers_are_named(searched: Searched) -> None:
    missing: dict[str, str] = {}
    found = run_set(searched, (10,), sys.executable, 1, missing)
    assert list(found) == [OURS]
    assert found[OURS].ndcg == [1.0, 1.0]
    assert len(found[OURS].seconds) == 2
    assert set(missing) == {"LlamaIndex", "Haystack"}
    assert all("ModuleNotFoundError" in why and "pip install" in why for why in missing.values())
    run_set(searched, (10,), "no/such/python", 1, missing)
    assert "cannot be run" in missing["Haystack"]


def test_many_are_made_from_few(searched: Searched) -> None:
    texts = [item.text for item in ITEMS[:3]]
    vectors = HashEmbedder().embed(texts)
    made = many(texts, vectors, [searched], 50, 2, seed=1)
    again = many(texts, vectors, [searched], 50, 2, seed=1)
    assert made.texts == again.texts
    assert (made.vectors.shape, len(made.texts)) == ((50, vectors.shape[1]), 50)
    assert np.allclose(np.linalg.norm(made.vectors, axis=1), 1, atol=1e-5)
    assert "Staff have 25 within thirty days." in made.texts
    assert sorted(made.questions) == sorted(searched.questions)
    at = searched.questions.index(made.questions[0])
    assert np.array_equal(made.question_vectors[0], searched.question_vectors[at])


def test_articles(tmp_path: Path) -> None:
    path = tmp_path / "articles.jsonl.gz"
    told = [{"paragraphs": ["One two.", ""]}, {"paragraphs": ["Three four.", "Five six."]}]
    path.write_bytes(gzip.compress("\n".join(map(json.dumps, told)).encode()))
    assert articles(path) == ["One two.", "Three four.", "Five six."]
    with pytest.raises(BadSamples, match=r"none\.gz"):
        articles(tmp_path / "none.gz")


def test_the_table_compares_with_ours() -> None:
    def row(pipeline: str, ndcg: list[float], seconds: list[float]) -> dict[str, object]:
        return {
            "set": "small",
            "chunks": 3,
            "pipeline": pipeline,
            "ndcg": ndcg,
            "seconds": seconds,
            "encoder": 0.01,
        }

    said = table([row(OURS, [1.0, 0.5], [0.01, 0.01]), row("peer", [0.5, 0.5], [0.2, 0.2])])
    assert "ours                0.750" in said
    assert "+0.250" in said
    assert "20.0 [20.0, 20.0]" in said
    assert said.endswith("10.5"), "(200 + 10) / (10 + 10)"
    assert times([0.1, 0.2, 0.3], [1.0, 2.0, 3.0]).value == pytest.approx(10)
