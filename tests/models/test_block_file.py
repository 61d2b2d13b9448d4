"""A kept block comes back within the bounds of its precision, or not at all."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from models.block_file import Damaged, Stored, unpack
from models.block_key import BlockKey, text_key
from models.block_quantise import LARGEST, SCALES
from models.blocks import KVBlock

PLACE = BlockKey("a reading", text_key("a text")).place
DTYPES = (torch.float32, torch.bfloat16)


def block(seed: int, shape: tuple[int, ...], dtype: torch.dtype, spread: float = 3.0) -> KVBlock:
    """Channels of very different size, as keys before RoPE have them."""
    chance = torch.Generator().manual_seed(seed)
    sizes = torch.exp(spread * torch.randn(*shape[:2], 1, shape[3], generator=chance))
    keys, values = (torch.randn(shape, generator=chance) * sizes for _ in range(2))
    return KVBlock(keys.to(dtype), values.to(dtype))


shapes = st.tuples(st.integers(1, 3), st.integers(1, 2), st.integers(1, 9), st.integers(1, 8))


@given(shapes, st.integers(0, 99), st.sampled_from(DTYPES))
def test_exact_is_exact(shape: tuple[int, ...], seed: int, dtype: torch.dtype) -> None:
    given = block(seed, shape, dtype)
    again = unpack(bytearray(Stored.of(given, "exact").pack(PLACE)), PLACE).block("cpu")
    assert torch.equal(again.keys, given.keys)
    assert torch.equal(again.values, given.values)
    assert again.keys.dtype == dtype


@given(shapes, st.integers(0, 99), st.sampled_from(DTYPES))
def test_int8_is_within_half_a_step_of_its_channel(
    shape: tuple[int, ...], seed: int, dtype: torch.dtype
) -> None:
    given = block(seed, shape, dtype)
    stored = Stored.of(given, "int8")
    again = unpack(bytearray(stored.pack(PLACE)), PLACE).block("cpu")
    for before, after in ((given.keys, again.keys), (given.values, again.values)):
        before, after = before.float(), after.float()
        step = (before.abs().amax(2, keepdim=True) / 127 * 1.096).clamp_min(2.0**-20)
        rounding = after.abs() * (2**-8 if dtype == torch.bfloat16 else 2**-23)
        assert bool(((before - after).abs() <= step / 2 + rounding).all())
    made = stored.block("cpu")  # what whoever computed it goes on with
    assert torch.equal(made.keys, again.keys)
    assert torch.equal(made.values, again.values)


def test_the_extremes() -> None:
    shape = (1, 1, 2, 3)
    keys = torch.tensor([0.0, 1e-30, LARGEST, 0.0, -1e-30, -LARGEST]).view(shape)
    again = Stored.of(KVBlock(keys, torch.zeros(shape)), "int8").block("cpu")
    assert not again.values.any()
    assert again.keys[..., 2].abs().allclose(torch.tensor(LARGEST), rtol=0.005)
    assert not again.keys[..., :2].any()
    assert bool((SCALES[1:] > SCALES[:-1]).all())
    assert torch.equal(SCALES, SCALES.bfloat16().float())
    for wrong in (float("nan"), float("inf"), 2 * LARGEST):
        with pytest.raises(ValueError, match="cannot be quantised"):
            Stored.of(KVBlock(torch.full(shape, wrong), keys), "int8")


def test_a_passage_of_200_tokens_of_the_default_model_takes_at_most_11600_bytes_a_token() -> None:
    given = block(0, (30, 3, 200, 64), torch.bfloat16, spread=1.0)
    assert len(Stored.of(given, "int8").pack(PLACE)) <= 200 * 11_600


@settings(max_examples=200)
@given(st.data())
def test_damage_anywhere_is_seen(data: st.DataObject) -> None:
    whole = Stored.of(block(1, (2, 1, 3, 4), torch.bfloat16), "int8").pack(PLACE)
    kind = data.draw(st.sampled_from(["changed", "cut", "longer"]))
    damaged = bytearray(whole)
    if kind == "changed":
        at = data.draw(st.integers(0, len(whole) - 1))
        damaged[at] ^= data.draw(st.integers(1, 255))
    elif kind == "cut":
        del damaged[data.draw(st.integers(0, len(whole) - 1)) :]
    else:
        damaged += data.draw(st.binary(min_size=1, max_size=9))
    with pytest.raises(Damaged):
        unpack(damaged, PLACE)


def test_another_ones_file_is_not_taken() -> None:
    whole = Stored.of(block(1, (2, 1, 3, 4), torch.float32), "exact").pack(PLACE)
    for other in (BlockKey("a reading", text_key("b")), BlockKey("b", text_key("a text"))):
        with pytest.raises(Damaged, match="another one's"):
            unpack(bytearray(whole), other.place)
