"""Whatever a model prefers, only markers of this prompt come out and every answer ends in one."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from models.constraint import CitationConstraint, Vocabulary
from models.gguf import GGUF
from models.prompt import REFUSAL
from models.tokenizer import Tokenizer, tokenizer_from_gguf
from tests.weights import pulled

pytestmark = pytest.mark.weights


@cache
def parts() -> tuple[Tokenizer, Vocabulary]:
    file = GGUF(next(Path(pulled("smollm2-135m-instruct")).glob("*.gguf")))
    tokenizer = tokenizer_from_gguf(file)
    return tokenizer, Vocabulary(tokenizer, file.config().vocab_size)


def written(seed: int, markers: int, limit: int, liking: dict[str, float]) -> str:
    """An answer of a model whose preferences are noise, plus what it is said to like."""
    tokenizer, vocabulary = parts()
    constraint = CitationConstraint(tokenizer, vocabulary, markers, REFUSAL)
    noise = torch.Generator().manual_seed(seed)
    ids: list[int] = []
    while len(ids) < limit:
        constraint.closing = len(ids) >= limit - 6
        logits = torch.randn(len(vocabulary.plain), generator=noise)
        for text, bonus in liking.items():
            logits[tokenizer.encode(text)] += bonus
        logits[vocabulary.end] += 6
        token = int(constraint.mask(logits).argmax())
        if token in tokenizer.end:
            break
        ids.append(token)
        constraint.advance(token)
    return tokenizer.decode(ids)


LIKINGS = [
    {},
    {"[": 30.0},
    {"]": 30.0},
    {" [9]": 30.0},
    {".": 9.0, " The": 9.0},
    {"[[1]]": 12.0, "\n": 8.0},
]


@given(st.integers(0, 10_000), st.integers(1, 9), st.integers(12, 40), st.sampled_from(LIKINGS))
def test_only_markers_of_the_prompt_and_one_at_the_end(
    seed: int, markers: int, limit: int, liking: dict[str, float]
) -> None:
    text = written(seed, markers, limit, liking)
    if text == REFUSAL:
        return
    assert re.search(r"\[\d+\]$", text), text
    inside = re.sub(r"\[(\d+)\]", lambda m: "" if 1 <= int(m[1]) <= markers else m[0], text)
    assert "[" not in inside
    assert "]" not in inside


def test_the_refusal_needs_no_marker() -> None:
    tokenizer, vocabulary = parts()
    constraint = CitationConstraint(tokenizer, vocabulary, 3, REFUSAL)
    end = next(iter(tokenizer.end))
    for token in tokenizer.encode(REFUSAL):
        logits = constraint.mask(torch.zeros(len(vocabulary.plain)))
        assert logits[token] == 0
        assert logits[end] == float("-inf")
        constraint.advance(token)
    assert constraint.mask(torch.zeros(len(vocabulary.plain)))[end] == 0


def test_another_sentence_waits_for_the_marker() -> None:
    tokenizer, vocabulary = parts()
    constraint = CitationConstraint(tokenizer, vocabulary, 3, REFUSAL)
    for token in tokenizer.encode("Leave is 28 days."):
        constraint.advance(token)
    logits = constraint.mask(torch.zeros(len(vocabulary.plain)))
    (the,), (mark, *_) = tokenizer.encode(" The"), tokenizer.encode(" [1]")
    assert logits[the] == float("-inf")
    assert logits[mark] == 0
