"""Retrieval sets: reading them, and searching them through the real store and index."""

from __future__ import annotations

import json
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import pytest

from eval import beir, report, retrieval
from eval.corpus import open_corpus
from eval.vectors import embed_cached
from models.fake import HashEmbedder
from rag.domain import Passage
from rag.errors import BadSamples
from rag.fuse import convex

TEXTS = {
    "river": "The river flows past the old mill.",
    "bridge": "A bridge of stone crosses the water.",
    "market": "The market sells fish, bread and cheese.",
    "blank": "",
    "tower": "From the tower one sees the whole valley.",
}
QUERIES = {"q1": "stone bridge", "q2": "fish and cheese market", "q3": "zeppelin", "q4": "unjudged"}
QRELS = [("q1", "bridge", 2), ("q1", "river", 1), ("q2", "market", 1), ("q3", "tower", 1)]


def write(folder: Path, header: str = "query-id\tcorpus-id\tscore\n") -> Path:
    folder.mkdir(exist_ok=True)
    corpus = [{"_id": id, "title": id.title(), "text": text} for id, text in TEXTS.items()]
    queries = [{"_id": id, "text": text} for id, text in QUERIES.items()]
    for name, rows in (("corpus", corpus), ("queries", queries)):
        text = "".join(json.dumps(row) + "\n" for row in rows)
        (folder / f"{name}.jsonl").write_text(text, "utf-8")
    qrels = "".join(f"{q}\t{i}\t{grade}\n" for q, i, grade in QRELS)
    (folder / "qrels.tsv").write_text(header + qrels, "utf-8")
    return folder


def test_reading_a_folder(tmp_path: Path) -> None:
    found = beir.load(write(tmp_path / "towns"))
    assert found.name == "towns"
    assert list(found.queries) == ["q1", "q2", "q3"]  # nothing is defined on q4
    assert found.grades["q1"] == {"bridge": 2, "river": 1}
    assert found.graded
    assert found.binary().grades["q1"] == {"bridge": 1, "river": 1}
    assert found.items[0].indexed == "River\nThe river flows past the old mill."
    assert beir.load(write(tmp_path / "bare", header="")).grades == found.grades


def test_the_title_is_not_said_twice() -> None:
    assert beir.Item("1", "a wing", "a wing in a stream").indexed == "a wing in a stream"


@pytest.mark.parametrize(
    ("file", "text", "said"),
    [
        ("corpus.jsonl", "{", r"corpus\.jsonl:1: not JSON"),
        ("corpus.jsonl", '{"_id": "x"}\n', r"corpus\.jsonl:1: the key 'text' is missing"),
        ("queries.jsonl", "[]\n", r"queries\.jsonl:1: the key '_id' is missing"),
        ("qrels.tsv", "q1\tbridge\tmuch\n", r"qrels\.tsv:1: not"),
        ("qrels.tsv", "q9\tbridge\t1\n", r"qrels\.tsv:1: names an unknown"),
        ("qrels.tsv", "q1\tbridge\t0\n", "judges nothing relevant"),
    ],
)
def test_wrong_folders(tmp_path: Path, file: str, text: str, said: str) -> None:
    folder = write(tmp_path / "towns")
    (folder / file).write_text(text, "utf-8")
    with pytest.raises(BadSamples, match=said):
        beir.load(folder)
    (folder / file).unlink()
    with pytest.raises(BadSamples, match="cannot be read"):
        beir.load(folder)


class Backwards:
    """The worst reranker."""

    identity = "backwards"

    def rerank(self, question: str, passages: Sequence[Passage]) -> Sequence[Passage]:
        return passages[::-1]


def test_every_leg_searches_the_real_index(tmp_path: Path) -> None:
    found = beir.load(write(tmp_path / "towns")).binary()
    embedder = HashEmbedder()
    with open_corpus(found.items, embedder, tmp_path / "cache", say=lambda _: None) as corpus:
        assert len(corpus.items) == 4  # the blank one cannot be found
        fuse = partial(convex, dense_weight=0.5)
        search = retrieval.searches(corpus, embedder, fuse, Backwards())
        assert set(search) == set(retrieval.LEGS)
        for leg in retrieval.LEGS:
            place = -1 if leg == "reranked" else 0
            assert search[leg]("stone bridge")[place] == "bridge"
            assert search[leg]("fish and cheese market")[place] == "market"
        assert search["lexical"]("zeppelin") == []
        measured = retrieval.measure(found, search, retrieval.LEGS, say=lambda _: None)
    lexical = measured["legs"]["lexical"]["metrics"]
    assert lexical["mrr@10"]["n"] == 3  # the query without a hit stays in
    assert lexical["mrr@10"]["value"] == pytest.approx(2 / 3)
    document = retrieval.report(found, measured, "hybrid", {"seed": 0})
    assert document["ndcg@10"] == document["legs"]["hybrid"]["metrics"]["ndcg@10"]["value"]
    assert document["better_single_leg"]["ndcg@10_difference"]["n"] == 3
    assert document["milliseconds_per_query"]["n"] == 3
    json.dumps(document)
    assert "ndcg@10" in report.text(document)


class Counting(HashEmbedder):
    embedded = 0

    def embed(self, texts):  # type: ignore[no-untyped-def]
        self.embedded += len(texts)
        return super().embed(texts)


def test_vectors_are_remembered_by_content_and_embedder(tmp_path: Path) -> None:
    texts = ["one text", "another", "one text"]
    first = Counting()
    found = embed_cached(texts, first, tmp_path)
    assert first.embedded == 2
    again = Counting()
    assert (embed_cached(texts, again, tmp_path) == found).all()
    assert again.embedded == 0
    assert found.shape == (3, 64)
    assert (found == HashEmbedder().embed(texts)).all()
    other = Counting(dimension=32)
    assert embed_cached([*texts, "new"], other, tmp_path).shape == (4, 32)
    assert other.embedded == 3
    assert embed_cached([], Counting(), tmp_path).shape == (0, 64)
