"""Which reranker a process uses, over the shipped weights' card; only the embedders are fakes."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import get_args

import pytest

from models.fake import HashEmbedder
from rag.domain import Chunk, Passage
from rag.errors import BadSettings
from rag.rerankers import DEFAULT, SHIPPED, ChosenReranker, Name
from tests.ingestion.house import open_house

PASSAGES = [
    Passage(Chunk(f"c{i}", "v", i, i + 1, "words"), "d", "d.md", "", 1 - i / 10, {})
    for i in range(3)
]


def chosen(name: Name) -> ChosenReranker:
    def no_encoder() -> Path:
        raise AssertionError("the encoder is not needed")

    return ChosenReranker(name, 20, HashEmbedder, no_encoder)


def test_another_embedders_passages_keep_their_order_and_it_is_said(
    caplog: pytest.LogCaptureFixture,
) -> None:
    reranker = chosen("auto")
    assert list(reranker.rerank("a question", PASSAGES)) == PASSAGES
    assert "hash-words" in reranker.why_not
    assert "all-minilm-l6-v2" in reranker.why_not
    reranker.rerank("another", PASSAGES)
    assert [record.getMessage() for record in caplog.records].count(caplog.messages[0]) == 1
    assert reranker.identity == "none"


def test_a_reranker_asked_for_by_name_is_never_left_out_silently() -> None:
    with pytest.raises(BadSettings, match="hash-words"):
        chosen(DEFAULT).rerank("a question", PASSAGES)


def test_none_reads_nothing() -> None:
    reranker = chosen("none")
    assert list(reranker.rerank("a question", PASSAGES)) == PASSAGES
    assert "none" in reranker.why_not


def test_every_name_in_the_settings_is_shipped() -> None:
    assert set(get_args(Name)) == {"auto", "none", *(path.name for path in SHIPPED.iterdir())}
    assert DEFAULT in get_args(Name)


def test_a_process_that_is_warmed_has_read_with_the_reranker(tmp_path: Path) -> None:
    """Else the first question waits for its encoder."""

    class Reads:
        identity, why_not = "reads", ""
        asked: Sequence[Passage] = ()

        def rerank(self, question: str, passages: Sequence[Passage]) -> Sequence[Passage]:
            self.asked = passages
            return passages

    attest = open_house(tmp_path)
    attest.reranker = reranker = Reads()
    attest.warm()
    attest.close()
    assert reranker.asked
