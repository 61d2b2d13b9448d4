"""A checkpoint that cannot be run ends in an error of this package that names it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import LlamaConfig, Qwen2Config

from models.checkpoint import load
from models.errors import ModelError, UnsupportedCheckpoint, WeightsCorrupt, WeightsMissing
from tests.models.test_transformer_parity import SHAPE, reference, saved


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    saved(reference(LlamaConfig(**SHAPE)), tmp_path)
    return tmp_path


def edit(folder: Path, **changes: Any) -> None:
    path = folder / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


def test_another_family(folder: Path) -> None:
    edit(folder, model_type="gpt2")
    with pytest.raises(UnsupportedCheckpoint, match="gpt2"):
        load(folder)


@pytest.mark.parametrize(
    "changes",
    [
        {"hidden_act": "gelu"},
        {"rope_parameters": {"rope_type": "yarn", "factor": 4.0, "rope_theta": 1e4}},
        {"num_attention_heads": None},
        {"hidden_size": "wide"},
        {"num_attention_heads": 0},
        {"num_key_value_heads": 4},  # does not divide 6
    ],
)
def test_a_configuration_that_cannot_be_run(folder: Path, changes: dict[str, Any]) -> None:
    edit(folder, **changes)
    with pytest.raises(UnsupportedCheckpoint):
        load(folder)


@pytest.mark.parametrize("text", ["", "{", "[]", "null", "{}"])
def test_a_configuration_that_cannot_be_read(folder: Path, text: str) -> None:
    (folder / "config.json").write_text(text)
    with pytest.raises(ModelError, match=r"config\.json|model_type"):
        load(folder)


@pytest.mark.parametrize("name", ["tokenizer.json", "tokenizer_config.json"])
@pytest.mark.parametrize("text", ["", "{", "[1]"])
def test_a_tokenizer_that_cannot_be_read(folder: Path, name: str, text: str) -> None:
    (folder / name).write_text(text)
    with pytest.raises(WeightsCorrupt, match=name):
        load(folder)


def test_layers_of_mixed_kinds_in_an_order_of_their_own(tmp_path: Path) -> None:
    config = Qwen2Config(**SHAPE, use_sliding_window=True, sliding_window=7, max_window_layers=1)
    saved(reference(config), tmp_path)
    edit(tmp_path, layer_types=["sliding_attention", "full_attention", "sliding_attention"])
    with pytest.raises(UnsupportedCheckpoint, match="layer_types"):
        load(tmp_path)


@pytest.mark.parametrize("size", [0, 7, 1000])
def test_truncated_safetensors(folder: Path, size: int) -> None:
    path = folder / "model.safetensors"
    path.write_bytes(path.read_bytes()[:size])
    with pytest.raises(WeightsCorrupt, match=r"model\.safetensors"):
        load(folder)


def test_a_tensor_missing_left_over_or_of_another_shape(folder: Path) -> None:
    path = folder / "model.safetensors"
    whole = load_file(path)
    name = "model.layers.1.mlp.up_proj.weight"
    for changed in (
        {n: t for n, t in whole.items() if n != name},
        whole | {"model.layers.0.mlp.up_proj.bias": torch.zeros(3)},
        whole | {name: whole[name][:-1].clone()},
    ):
        save_file(changed, path)
        with pytest.raises(WeightsCorrupt):
            load(folder)


def test_a_shard_that_is_not_there(tmp_path: Path) -> None:
    saved(reference(LlamaConfig(**SHAPE)), tmp_path, max_shard_size="40KB")
    sorted(tmp_path.glob("model-*.safetensors"))[1].unlink()
    with pytest.raises(WeightsMissing, match="model-00002"):
        load(tmp_path)


@pytest.mark.parametrize("name", ["config.json", "model.safetensors", "tokenizer.json"])
def test_a_file_that_is_not_there(folder: Path, name: str) -> None:
    (folder / name).unlink()
    with pytest.raises(WeightsMissing, match=name.split(".")[0]):
        load(folder)


@pytest.mark.parametrize("data", [b"", b"GGUF", b"GGUF" + bytes(64), bytes(range(256)) * 40])
def test_a_file_that_is_not_gguf(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "model.gguf"
    path.write_bytes(data)
    with pytest.raises((WeightsCorrupt, UnsupportedCheckpoint), match=r"model\.gguf"):
        load(path)


def test_no_such_folder(tmp_path: Path) -> None:
    with pytest.raises(WeightsMissing):
        load(tmp_path / "nothing")


@pytest.mark.weights
@pytest.mark.parametrize("name", ["model.json", "tokenizer.json", "state.safetensors"])
def test_a_damaged_conversion(smollm2: Path, tmp_path: Path, name: str) -> None:
    converted = tmp_path / "converted"
    converted.mkdir()
    for file in (smollm2 / "converted").iterdir():
        (converted / file.name).symlink_to(file)
    damaged = converted / name
    damaged.unlink()
    damaged.write_bytes((smollm2 / "converted" / name).read_bytes()[:200])
    with pytest.raises(WeightsCorrupt, match=r"attest models pull"):
        load(tmp_path)


@pytest.mark.weights
@pytest.mark.parametrize("size", [1_000_000, 98_362_431])
def test_a_truncated_gguf_file(smollm2: Path, tmp_path: Path, size: int) -> None:
    whole = smollm2 / "SmolLM2-135M-Instruct.Q4_1.gguf"
    path = tmp_path / "cut.gguf"
    with whole.open("rb") as source:
        path.write_bytes(source.read(size))
    with pytest.raises(WeightsCorrupt, match=r"cut\.gguf"):
        load(path)
