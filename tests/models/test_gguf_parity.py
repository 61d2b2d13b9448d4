"""Small GGUF files of each family, written as llama.cpp's converter writes them, against the
Hugging Face model they were made from."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import gguf
import pytest
import torch
from numpy.typing import NDArray
from transformers import PreTrainedModel

from models.checkpoint import load
from models.convert import convert_gguf, is_converted
from models.gguf import _NAMES, _TOP
from models.rope import frequencies
from tests.models.test_transformer_parity import CONFIGS, TOLERANCE, reference, some_ids, theirs

OURS = {theirs_: f"blk.{{}}.{ours}" for ours, theirs_ in _NAMES.items()}


def interleaved(rows: NDArray[Any], heads: int) -> NDArray[Any]:
    """llama.cpp's order of the rows of q and k: rotary pairs side by side."""
    shape = rows.shape
    return rows.reshape(heads, 2, shape[0] // heads // 2, -1).swapaxes(1, 2).reshape(shape)


def written(model: PreTrainedModel, path: Path, factors: NDArray[Any] | None) -> None:
    config = model.config
    family = "llama" if config.model_type == "mistral" else config.model_type
    writer = gguf.GGUFWriter(path, family)
    writer.add_block_count(config.num_hidden_layers)
    writer.add_context_length(config.max_position_embeddings)
    writer.add_embedding_length(config.hidden_size)
    writer.add_feed_forward_length(config.intermediate_size)
    writer.add_head_count(config.num_attention_heads)
    writer.add_head_count_kv(config.num_key_value_heads)
    writer.add_layer_norm_rms_eps(config.rms_norm_eps)
    writer.add_rope_freq_base(config.rope_parameters["rope_theta"])
    if config.rope_parameters["rope_type"] == "linear":
        writer.add_rope_scaling_type(gguf.RopeScalingType.LINEAR)
        writer.add_rope_scaling_factor(config.rope_parameters["factor"])
    if getattr(config, "head_dim", None):
        writer.add_key_length(config.head_dim)
        writer.add_value_length(config.head_dim)
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("qwen2")
    writer.add_token_list(["t", "1", *(f"t{i}" for i in range(1, config.vocab_size - 1))])
    writer.add_token_types([gguf.TokenType.NORMAL] * config.vocab_size)
    writer.add_token_merges(["t 1"])
    writer.add_eos_token_id(2)
    if factors is not None:
        writer.add_tensor("rope_freqs.weight", factors)
    for name, weight in model.state_dict().items():
        if name == "lm_head.weight" and config.tie_word_embeddings:
            continue
        rows = weight.numpy()
        for part, heads in (("q", config.num_attention_heads), ("k", config.num_key_value_heads)):
            if family == "llama" and name.endswith(f"{part}_proj.weight"):
                rows = interleaved(rows, heads)
        writer.add_tensor(gguf_name(name), rows)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def gguf_name(name: str) -> str:
    stem, _, kind = name.rpartition(".")
    for ours, top in _TOP.items():
        if stem == top:
            return f"{ours}.{kind}"
    layer, _, part = stem.removeprefix("model.layers.").partition(".")
    return f"{OURS[part].format(layer)}.{kind}"


@pytest.mark.parametrize(
    "name",
    [name for name in CONFIGS if "window" not in name and "biased" not in name],
)
def test_logits_of_a_gguf_file(name: str, tmp_path: Path) -> None:
    model = reference(CONFIGS[name]())
    factors = None
    if name == "llama3-rope":  # the converter stores Llama 3's scaling as divisors
        rotary = model.model.rotary_emb
        theta = model.config.rope_parameters["rope_theta"]
        width = 2 * len(rotary.inv_freq)
        plain = theta ** -(torch.arange(0, width, 2).float() / width)
        factors = (plain / rotary.inv_freq).numpy()
        assert factors.max() > 4
    written(model, tmp_path / "model.gguf", factors)
    mine = load(tmp_path).model
    if factors is not None:
        torch.testing.assert_close(frequencies(mine.config), model.model.rotary_emb.inv_freq)
    ids = some_ids(mine)
    found = mine.logits(mine(ids))
    torch.testing.assert_close(found, theirs(model, ids), atol=TOLERANCE, rtol=0)

    convert_gguf(tmp_path)
    assert is_converted(tmp_path)
    source, converted = load(tmp_path / "model.gguf"), load(tmp_path)
    assert converted.identity == source.identity
    assert converted.model.config == source.model.config
    torch.testing.assert_close(converted.model(ids), source.model(ids), atol=0, rtol=0)
    assert converted.tokenizer.to_json() == source.tokenizer.to_json()
