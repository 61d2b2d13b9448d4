from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.fake import CopyGenerator, HashEmbedder
from rag.domain import Sampling
from rag.ports import Embedder, Generator

PASSAGES = [
    "Pay is monthly. The notice period is 30 days.",
    "The notice period for managers is 90 days. Cats are welcome.",
]


def said(question: str, passages: list[str] = PASSAGES, **how: int) -> str:
    pieces = CopyGenerator().generate(passages, question, Sampling(**how))
    return "".join(piece.text for piece in pieces)


@given(st.lists(st.text(), max_size=8), st.integers(1, 80))
def test_vectors_have_length_one_whatever_the_text(texts: list[str], dimension: int) -> None:
    embedder: Embedder = HashEmbedder(dimension)
    vectors = embedder.embed(texts)
    assert vectors.shape == (len(texts), embedder.dimension)
    assert vectors.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1.0, rtol=1e-5)
    np.testing.assert_array_equal(vectors, HashEmbedder(dimension).embed(texts))


def test_shared_words_are_near() -> None:
    vectors = HashEmbedder().embed(["the notice period", "Notice PERIOD of a manager", "cats"])
    near, far = vectors[0] @ vectors[1], vectors[0] @ vectors[2]
    assert near > 0.4 > far


def test_another_shape_is_another_identity() -> None:
    assert HashEmbedder(64).identity != HashEmbedder(32).identity
    assert HashEmbedder(max_tokens=3).identity != HashEmbedder().identity


def test_what_is_too_long_is_cut() -> None:
    embedder = HashEmbedder(max_tokens=3)
    assert embedder.count_tokens("one two three four") == 4
    cut, whole = embedder.embed(["one two three four", "one two three"])
    np.testing.assert_array_equal(cut, whole)


def test_the_best_sentence_is_copied_with_its_marker() -> None:
    assert said("How long is the notice period?") == "The notice period is 30 days. [1]"
    assert said("What is the notice period of managers?").endswith("90 days. [2]")


@pytest.mark.parametrize("question", ["Who is the king of France?", "", "What is the?", "???"])
def test_a_question_the_passages_do_not_answer_is_refused(question: str) -> None:
    assert said(question) == CopyGenerator().refusal
    assert said("notice period", []) == CopyGenerator().refusal


def test_pieces_count_and_weigh() -> None:
    generator: CopyGenerator = CopyGenerator()
    pieces = list(generator.generate(PASSAGES, "notice period of astronauts", Sampling()))
    assert sum(piece.tokens for piece in pieces) == len(pieces)
    assert all(piece.logprob == pytest.approx(math.log(2 / 3)) for piece in pieces)


def test_a_sentence_cut_by_the_limit_keeps_its_marker() -> None:
    assert said("notice period", max_tokens=3) == "The notice [1]"


@given(st.lists(st.text(), max_size=4), st.text())
def test_only_markers_of_the_passages_or_the_refusal(passages: list[str], question: str) -> None:
    text = said(question, passages)
    ended = any(text.endswith(f" [{n}]") for n in range(1, len(passages) + 1))
    assert ended or text == CopyGenerator().refusal


def test_the_ports_are_met() -> None:
    members = {name for name in dir(Generator) if not name.startswith("_")}
    assert members <= set(dir(CopyGenerator()))
