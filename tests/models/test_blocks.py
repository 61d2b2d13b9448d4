"""Passages encoded one by one and joined equal the same block mask computed in one pass."""

from __future__ import annotations

from itertools import chain

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from models.blocks import encode, encode_blocks, join
from models.kv import KVCache, Recorder
from models.rope import angles, rotate
from models.transformer import Transformer
from tests.models.tiny import TINY, tiny


@pytest.fixture(scope="module")
def model() -> Transformer:
    return tiny()


def block_mask(lengths: list[int]) -> Tensor:
    """Prefix and passages: a passage sees the prefix and itself."""
    total = sum(lengths)
    mask = torch.ones(total, total, dtype=torch.bool).tril()
    at = lengths[0]
    for length in lengths[1:]:
        mask[at : at + length, lengths[0] : at] = False
        at += length
    return mask[None]


def in_one_pass(
    model: Transformer, prefix: list[int], passages: list[list[int]], question: list[int]
) -> Tensor:
    """The question's logits after one pass over everything under the block mask. Each passage
    stands right after the prefix while it is read, and at its own place for the question."""
    ids = [*prefix, *chain(*passages)]
    local = [*range(len(prefix)), *chain(*(range(6, 6 + len(p)) for p in passages))]
    recorder = Recorder()
    mask = block_mask([len(prefix), *map(len, passages)])
    model(torch.tensor([ids]), torch.tensor([local]), recorder, mask)
    raw, values = recorder.recorded()
    keys = rotate(raw, *angles(torch.arange(len(ids)), model.frequency))
    past = Recorder((keys, values))
    return model.logits(model(torch.tensor([question]), kv=past))[0]


@settings(max_examples=25)
@given(st.lists(st.integers(1, 12), min_size=1, max_size=5), st.integers(0, 1000))
def test_joined_blocks_equal_one_pass(model: Transformer, lengths: list[int], seed: int) -> None:
    chance = torch.Generator().manual_seed(seed)
    draw = lambda n: torch.randint(0, 97, (n,), generator=chance).tolist()  # noqa: E731
    prefix, passages, question = draw(6), [draw(n) for n in lengths], draw(5)
    with torch.no_grad():
        wanted = in_one_pass(model, prefix, passages, question)
        head = encode(model, prefix)
        cache = KVCache(TINY, 11 + sum(lengths))
        cache.append(*join(model, head, encode_blocks(model, head, passages)))
        got = model.logits(model(torch.tensor([question]), kv=cache))[0]
    assert torch.allclose(got, wanted, atol=1e-4)


def test_marker_vectors_reach_the_reader_only_through_their_passage(model: Transformer) -> None:
    head = encode(model, [1, 2, 3])
    blocks = encode_blocks(model, head, [[4, 5], [6, 7, 8]])
    markers = torch.randn(2, TINY.layers, TINY.kv_heads, TINY.head_width)
    keys, plain = join(model, head, blocks)
    same_keys, marked = join(model, head, blocks, markers)
    assert torch.equal(keys, same_keys)
    difference = (marked - plain)[:, 0]
    assert torch.allclose(difference[:, :, :3], torch.zeros(()))
    expected = markers[1][:, :, None].expand(-1, -1, 3, -1)
    assert torch.allclose(difference[:, :, 5:], expected, atol=1e-6)


def test_a_block_does_not_depend_on_its_neighbours(model: Transformer) -> None:
    head = encode(model, [1, 2, 3])
    alone = encode_blocks(model, head, [[4, 5]])[0]
    beside = encode_blocks(model, head, [[9] * 11, [4, 5]])[1]
    assert torch.allclose(alone.keys, beside.keys, atol=1e-6)
    assert torch.allclose(alone.values, beside.values, atol=1e-6)
