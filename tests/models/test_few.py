"""The compiled pass over a few tokens computes what the decoder does with the same weights."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from models import fused
from models.blocks import KVBlock, join
from models.config import ModelConfig
from models.engine.ahead import compile_ahead
from models.engine.few import Few, can_be_fused, quantised
from models.engine.weights import pack
from models.kv import KVCache
from models.lora import Adapter, LoraConfig
from models.transformer import Transformer

SMALL = ModelConfig(
    vocab_size=160,
    width=64,
    layers=3,
    heads=6,
    kv_heads=2,
    head_width=32,
    ffn_width=96,
    norm_eps=1e-5,
    rope_theta=10_000.0,
    positions=512,
    tied=True,
)


def random_model(config: ModelConfig = SMALL) -> Transformer:
    torch.manual_seed(3)
    model = Transformer(config)
    for parameter in model.parameters():
        if parameter.dim() > 1:
            torch.nn.init.normal_(parameter, std=0.12)
        else:
            torch.nn.init.uniform_(parameter, 0.5, 1.5)
    return model.eval().to(torch.bfloat16)


def rounded(model: Transformer) -> Transformer:
    """The same decoder in float32, with the weights that int8 leaves of it."""
    wide = random_model().to(torch.float32)
    for own in wide.layers:
        for projection in (own.attention.qkv, own.attention.out, own.ffn.gate_up, own.ffn.down):  # type: ignore[union-attr]
            projection.weight.data = _rounded(projection.weight)  # type: ignore[union-attr]
    wide.head.weight = torch.nn.Parameter(_rounded(wide.head.weight), False)
    return wide


def _rounded(weight: torch.Tensor) -> torch.Tensor:
    numbers, scale = quantised(weight)
    return numbers.float() * scale[:, None]


@pytest.fixture(scope="module")
def model() -> Transformer:
    return random_model()


@pytest.fixture(scope="module")
def few(model: Transformer) -> Few:
    return Few(model)


def filled(config: ModelConfig, length: int, seed: int) -> KVCache:
    """A cache that holds so many tokens, with room for more than it needs."""
    chance = torch.Generator().manual_seed(seed)
    shape = (config.layers, 1, config.kv_heads, length, config.head_width)
    cache = KVCache(config, length + 17, dtype=torch.bfloat16)
    cache.append(*(torch.randn(shape, generator=chance).to(torch.bfloat16) for _ in range(2)))
    return cache


def widened(config: ModelConfig, cache: KVCache) -> KVCache:
    wide = KVCache(config, cache.capacity)
    wide.append(
        cache.keys[..., : cache.length, :].float(), cache.values[..., : cache.length, :].float()
    )
    return wide


@settings(max_examples=40)
@given(
    st.lists(st.tuples(st.integers(0, 70), st.integers(1, 3)), min_size=1, max_size=3),
    st.integers(0, 1000),
)
def test_several_answers_at_once_get_what_the_decoder_gives_each(
    model: Transformer, few: Few, parts: list[tuple[int, int]], seed: int
) -> None:
    """`parts`: tokens held and tokens new of each answer; two passes, one after the other."""
    plain = rounded(model)
    caches = [filled(SMALL, length, seed + n) for n, (length, _) in enumerate(parts)]
    wides = [widened(SMALL, cache) for cache in caches]
    for turn in range(2):
        new = [[(seed + 7 * i + turn) % 160 for i in range(tokens)] for _, tokens in parts]
        found = few(
            [i for own in new for i in own],
            [(c, len(n), None) for c, n in zip(caches, new, strict=True)],
        )
        with torch.no_grad():
            wanted = torch.cat(
                [
                    plain.logits(plain(torch.tensor([own]), kv=w)[0])
                    for own, w in zip(new, wides, strict=True)
                ]
            )
        assert torch.allclose(found, wanted, atol=0.03, rtol=0.02)
    assert [c.length for c in caches] == [length + 2 * tokens for length, tokens in parts]


def test_what_a_token_gets_does_not_depend_on_who_is_beside_it(few: Few) -> None:
    """To the bit: an answer written among others is the answer written alone."""
    alone = few([5, 6], [(filled(SMALL, 40, 1), 2, None)])
    among = few(
        [9, 5, 6, 7, 7],
        [
            (filled(SMALL, 3, 2), 1, None),
            (filled(SMALL, 40, 1), 2, None),
            (filled(SMALL, 60, 3), 2, None),
        ],
    )
    assert torch.equal(among[1:3], alone)


def test_one_by_one_is_all_at_once(few: Few) -> None:
    """To the bit: so a guess that is checked with others is the token that would have been
    written without it."""
    ids = [5, 6, 7, 8, 9, 10, 11, 12]
    cache = filled(SMALL, 21, 4)
    single = torch.cat([few([i], [(cache, 1, None)]) for i in ids])
    assert torch.equal(few(ids, [(filled(SMALL, 21, 4), len(ids), None)]), single)


def test_each_answer_has_its_own_adapter(model: Transformer, few: Few) -> None:
    """Two adapters (one on some projections only) and none in one pass, against the decoder with
    each attached in turn."""
    plain = rounded(model)
    configs = LoraConfig(rank=5), LoraConfig(rank=3, targets=("q_proj", "v_proj", "up_proj"))
    adapters = [random_adapter(plain, config, seed) for seed, config in enumerate(configs)]
    caches = [filled(SMALL, 20 + n, n) for n in range(4)]
    wides = [widened(SMALL, cache) for cache in caches]
    who = [0, None, 1, 0]
    loras = [few.lora(adapter) for adapter in adapters]
    named = [None if n is None else loras[n] for n in who]
    found = few([5] * 8, [(cache, 2, lora) for cache, lora in zip(caches, named, strict=True)])
    wanted = []
    for wide, number in zip(wides, who, strict=True):
        Adapter.detach(plain)
        if number is not None:
            adapters[number].attach(plain)
        with torch.no_grad():
            wanted.append(plain.logits(plain(torch.tensor([[5, 5]]), kv=wide)[0]))
    assert torch.allclose(found, torch.cat(wanted), atol=0.05, rtol=0.02)
    alone = few([5, 5], [(filled(SMALL, 22, 2), 2, loras[1])])
    assert torch.equal(found[4:6], alone)


def random_adapter(model: Transformer, config: LoraConfig, seed: int) -> Adapter:
    torch.manual_seed(seed)
    adapter = Adapter(model, config)
    for weight in adapter.parameters():
        weight.data = (torch.randn_like(weight) * 0.1).to(torch.bfloat16).float()
    return adapter.requires_grad_(False).eval()


@given(st.lists(st.integers(1, 30), min_size=1, max_size=4), st.booleans())
def test_blocks_are_joined_as_by_plain_operations(
    model: Transformer, few: Few, lengths: list[int], marked: bool
) -> None:
    shape = (SMALL.layers, SMALL.kv_heads)
    blocks = [
        KVBlock(*(torch.randn(*shape, n, SMALL.head_width).to(torch.bfloat16) for _ in range(2)))
        for n in lengths
    ]
    markers = torch.randn(4, *shape, SMALL.head_width) if marked else None
    cache = KVCache(SMALL, sum(lengths), dtype=torch.bfloat16)
    few.join(cache, blocks, markers)
    keys, values = join(model, blocks[0], blocks[1:], markers)
    assert cache.length == sum(lengths)
    assert torch.equal(cache.values, values)
    assert torch.allclose(cache.keys.float(), keys.float(), rtol=0.01, atol=1e-5)
    with pytest.raises(ValueError, match="do not fit"):
        few.join(cache, blocks, markers)


@pytest.mark.parametrize("tokens", [1, 17])
def test_a_packed_decoder_gives_what_it_gave_before(tokens: int) -> None:
    """Both ways in bfloat16; the reference is the same decoder in float32."""
    plain, packed = random_model(), random_model()
    pack(packed)
    ids, caches = torch.arange(tokens)[None], (filled(SMALL, 40, 1), filled(SMALL, 40, 1))
    with torch.no_grad():
        exact = random_model().float()(ids, kv=widened(SMALL, caches[0]))
        before = plain(ids, kv=caches[0]).float()
        after = packed(ids, kv=caches[1]).float()
    error = (before - exact).abs().mean()
    assert float((after - exact).abs().mean()) < 1.2 * float(error) + 1e-4


def test_what_is_compiled_ahead_is_what_a_model_needs() -> None:
    """Else the first question would wait for the compiler after all."""
    compile_ahead()
    compiled = {f: len(f.signatures) for f in vars(fused).values() if hasattr(f, "signatures")}
    other = random_model(replace(SMALL, layers=2))
    few = Few(other)
    few([1, 2], [(filled(other.config, 9, 1), 2, None)])
    few.logits(torch.zeros(3, SMALL.width, dtype=torch.bfloat16))
    pack(other)
    with torch.no_grad():
        other(torch.arange(5)[None], kv=filled(other.config, 9, 1))
    assert compiled
    assert {f: len(f.signatures) for f in compiled} == compiled


def test_decoders_of_other_kinds_are_left_to_the_plain_way() -> None:
    assert can_be_fused(random_model())
    for other in ({"qk_norm": True}, {"qkv_bias": True}, {"window": 16}, {"ffn_width": 90}):
        assert not can_be_fused(random_model(replace(SMALL, **other)))  # type: ignore[arg-type]
    assert not can_be_fused(random_model().to(torch.float32))
