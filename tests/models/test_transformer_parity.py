"""Our decoder against Hugging Face transformers, logit for logit, in float32."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from torch import Tensor
from transformers import (
    AutoModelForCausalLM,
    LlamaConfig,
    MistralConfig,
    PreTrainedModel,
    Qwen2Config,
    Qwen3Config,
)

from models.checkpoint import load
from models.kv import KVCache
from models.transformer import Transformer

TOLERANCE = 1e-4
SHAPE: dict[str, Any] = {
    "vocab_size": 160,
    "hidden_size": 48,
    "intermediate_size": 80,
    "num_hidden_layers": 3,
    "num_attention_heads": 6,
    "num_key_value_heads": 2,
    "max_position_embeddings": 128,
    "bos_token_id": 1,
    "eos_token_id": 2,
    "pad_token_id": 0,
}
LLAMA3 = {
    "rope_type": "llama3",
    "rope_theta": 500_000.0,
    "factor": 8.0,
    "low_freq_factor": 1.0,
    "high_freq_factor": 4.0,
    "original_max_position_embeddings": 32,
}
CONFIGS: dict[str, Callable[[], Any]] = {
    "llama": lambda: LlamaConfig(**SHAPE, tie_word_embeddings=False),
    "llama-one-kv-head-each": lambda: LlamaConfig(**SHAPE | {"num_key_value_heads": 6}),
    "llama-biased": lambda: LlamaConfig(**SHAPE, attention_bias=True),
    "llama3-rope": lambda: LlamaConfig(**SHAPE, rope_parameters=LLAMA3),
    "llama-linear-rope": lambda: LlamaConfig(
        **SHAPE, rope_parameters={"rope_type": "linear", "factor": 4.0, "rope_theta": 10_000.0}
    ),
    "smollm2": lambda: LlamaConfig(
        **SHAPE | {"hidden_size": 72, "num_attention_heads": 9, "num_key_value_heads": 3},
        tie_word_embeddings=True,
        rms_norm_eps=1e-5,
        rope_parameters={"rope_type": "default", "rope_theta": 100_000.0},
    ),
    "mistral": lambda: MistralConfig(**SHAPE, sliding_window=None),
    "mistral-windowed": lambda: MistralConfig(**SHAPE, sliding_window=7),
    "mistral-wide-heads": lambda: MistralConfig(**SHAPE, head_dim=16, sliding_window=None),
    "qwen2": lambda: Qwen2Config(**SHAPE, tie_word_embeddings=False),
    "qwen2-tied": lambda: Qwen2Config(**SHAPE, tie_word_embeddings=True),
    "qwen2-windowed": lambda: Qwen2Config(
        **SHAPE, use_sliding_window=True, sliding_window=7, max_window_layers=1
    ),
    "qwen3": lambda: Qwen3Config(**SHAPE, head_dim=16, tie_word_embeddings=False),
    "qwen3-tied": lambda: Qwen3Config(**SHAPE, head_dim=16, tie_word_embeddings=True),
    "qwen3-windowed": lambda: Qwen3Config(
        **SHAPE, head_dim=16, use_sliding_window=True, sliding_window=7, max_window_layers=2
    ),
}


def reference(config: Any, seed: int = 0) -> PreTrainedModel:
    """A random model with every weight away from its start, biases and norms too."""
    torch.manual_seed(seed)
    model = AutoModelForCausalLM.from_config(config, dtype=torch.float32)
    with torch.no_grad():
        for name, weight in model.named_parameters():
            spread = torch.randn_like(weight)
            weight.copy_(1 + 0.2 * spread if "norm" in name else 0.15 * spread)
    return model.eval()


def saved(model: PreTrainedModel, folder: Path, **how: Any) -> Transformer:
    model.save_pretrained(folder, **how)
    words = {f"w{i}": i for i in range(model.config.vocab_size)}
    Tokenizer(WordLevel(words, "w0")).save(str(folder / "tokenizer.json"))
    return load(folder).model


def theirs(model: PreTrainedModel, ids: Tensor) -> Tensor:
    with torch.no_grad():
        logits: Tensor = model(ids).logits
    return logits


def ours(model: Transformer, ids: Tensor) -> Tensor:
    return model.logits(model(ids))


def some_ids(model: Transformer, batch: int = 2, length: int = 40) -> Tensor:
    chance = torch.Generator().manual_seed(3)
    return torch.randint(3, model.config.vocab_size, (batch, length), generator=chance)


def greedy(model: Transformer, prompt: list[int], steps: int, cached: bool) -> list[int]:
    cache = KVCache(model.config, len(prompt) + steps) if cached else None
    ids = list(prompt)
    for step in range(steps):
        new = ids if cache is None or step == 0 else ids[-1:]
        hidden = model(torch.tensor([new]), kv=cache)
        ids.append(int(model.logits(hidden[:, -1]).argmax()))
    return ids[len(prompt) :]


@pytest.mark.parametrize("name", CONFIGS)
def test_logits_equal_hugging_face(name: str, tmp_path: Path) -> None:
    model = reference(CONFIGS[name]())
    mine = saved(model, tmp_path)
    ids = some_ids(mine)
    expected = theirs(model, ids)
    assert expected.std() > 0.1  # not a comparison of two nothings
    torch.testing.assert_close(ours(mine, ids), expected, atol=TOLERANCE, rtol=0)


@pytest.mark.parametrize("name", CONFIGS)
def test_greedy_text_with_and_without_cache_is_theirs(name: str, tmp_path: Path) -> None:
    model = reference(CONFIGS[name](), seed=1)
    mine = saved(model, tmp_path)
    prompt = some_ids(mine, batch=1, length=9)[0].tolist()
    cached = greedy(mine, prompt, 30, cached=True)
    assert cached == greedy(mine, prompt, 30, cached=False)
    with torch.no_grad():
        generated = model.generate(
            torch.tensor([prompt]), max_new_tokens=30, do_sample=False, eos_token_id=-1
        )
    assert cached == generated[0, len(prompt) :].tolist()


@pytest.mark.parametrize("name", ["llama", "smollm2", "mistral-windowed", "qwen2", "qwen3"])
@pytest.mark.parametrize("cuts", [(1,), (5, 6, 20), (39,)])
def test_a_prompt_in_pieces_is_the_prompt(name: str, cuts: tuple[int, ...], tmp_path: Path) -> None:
    mine = saved(reference(CONFIGS[name]()), tmp_path)
    ids = some_ids(mine)
    cache = KVCache(mine.config, ids.shape[1], batch=ids.shape[0])
    pieces = [mine(piece, kv=cache) for piece in ids.tensor_split(cuts, dim=1)]
    whole = mine(ids)
    torch.testing.assert_close(torch.cat(pieces, 1), whole, atol=TOLERANCE, rtol=0)


@pytest.mark.parametrize("name", ["llama", "smollm2"])
def test_a_sharded_checkpoint_is_the_same(name: str, tmp_path: Path) -> None:
    model = reference(CONFIGS[name]())
    mine = saved(model, tmp_path, max_shard_size="40KB")
    assert len(list(tmp_path.glob("*.safetensors"))) > 1
    ids = some_ids(mine)
    torch.testing.assert_close(ours(mine, ids), theirs(model, ids), atol=TOLERANCE, rtol=0)


def test_bfloat16_stays_near(tmp_path: Path) -> None:
    model = reference(CONFIGS["smollm2"]())
    saved(model.to(torch.bfloat16), tmp_path)
    mine = load(tmp_path, dtype=torch.bfloat16).model
    ids = some_ids(mine)
    expected = theirs(model.to(torch.float32), ids)
    found = ours(mine, ids)
    assert found.dtype == torch.float32
    assert torch.nn.functional.cosine_similarity(found, expected, dim=-1).min() > 0.99
