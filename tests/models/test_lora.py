"""LoRA against PEFT, in both directions of its file format."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import LlamaConfig, LlamaForCausalLM

from models.checkpoint import load
from models.errors import UnsupportedCheckpoint, WeightsCorrupt, WeightsMissing
from models.lora import ALL_TARGETS, Adapter, LoraConfig, load_adapter, save_adapter
from models.transformer import Transformer

IDS = torch.tensor([[3, 14, 15, 92, 65, 35, 89, 79]])


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    torch.manual_seed(3)
    folder = tmp_path_factory.mktemp("llama")
    config = LlamaConfig(
        vocab_size=128,
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        max_position_embeddings=64,
    )
    LlamaForCausalLM(config).save_pretrained(folder)
    from tokenizers import Tokenizer, models

    Tokenizer(models.BPE({"a": 0}, [])).save(str(folder / "tokenizer.json"))
    return folder


def ours(checkpoint: Path) -> Transformer:
    return load(checkpoint).model


def random_adapter(model: Transformer, targets: tuple[str, ...] = ALL_TARGETS) -> Adapter:
    torch.manual_seed(11)
    adapter = Adapter(model, LoraConfig(rank=4, alpha=8, targets=targets, markers=3))
    for name, parameter in adapter.named_parameters():
        torch.nn.init.normal_(parameter, std=0.1 if "markers" not in name else 1.0)
    return adapter.requires_grad_(False).eval()


def logits(model: Transformer) -> torch.Tensor:
    with torch.no_grad():
        return model.logits(model(IDS))


def peft_logits(checkpoint: Path, folder: Path) -> torch.Tensor:
    from peft import PeftModel

    base: Any = LlamaForCausalLM.from_pretrained(checkpoint)
    with torch.no_grad():
        out: torch.Tensor = PeftModel.from_pretrained(base, str(folder))(IDS).logits
    return out


@pytest.mark.parametrize("targets", [ALL_TARGETS, ("q_proj", "v_proj"), ("down_proj",)])
def test_what_we_save_peft_reads_with_the_same_outputs(
    checkpoint: Path, tmp_path: Path, targets: tuple[str, ...]
) -> None:
    model = ours(checkpoint)
    plain = logits(model)
    adapter = random_adapter(model, targets)
    adapter.attach(model)
    save_adapter(adapter, tmp_path, "llama", {}, torch.float32)
    got = logits(model)
    assert not torch.allclose(got, plain, atol=1e-3)
    assert torch.allclose(got, peft_logits(checkpoint, tmp_path), atol=1e-5)


def test_what_peft_saves_we_read_with_the_same_outputs(checkpoint: Path, tmp_path: Path) -> None:
    import peft

    torch.manual_seed(1)
    base: Any = LlamaForCausalLM.from_pretrained(checkpoint)
    config = peft.LoraConfig(r=4, lora_alpha=16, target_modules=["q_proj", "up_proj"])
    theirs: Any = peft.get_peft_model(base, config)
    for name, parameter in theirs.named_parameters():
        if "lora_B" in name:
            torch.nn.init.normal_(parameter, std=0.1)
    theirs.save_pretrained(str(tmp_path))
    with torch.no_grad():
        wanted = theirs(IDS).logits
    model = ours(checkpoint)
    load_adapter(tmp_path, model).attach(model)
    assert torch.allclose(logits(model), wanted, atol=1e-5)


def test_merging_does_not_drift(checkpoint: Path) -> None:
    model = ours(checkpoint)
    adapter = random_adapter(model)
    adapter.attach(model)
    apart = logits(model)
    adapter.merge(model)
    assert torch.allclose(logits(model), apart, atol=1e-5)


def test_an_adapter_comes_back_as_it_was_saved(checkpoint: Path, tmp_path: Path) -> None:
    model = ours(checkpoint)
    adapter = random_adapter(model)
    save_adapter(adapter, tmp_path, "llama", {"data": ["squad2"]}, torch.float32)
    back = load_adapter(tmp_path, model)
    assert back.config == adapter.config
    assert torch.equal(back.markers, adapter.markers)
    assert json.loads((tmp_path / "card.json").read_text())["data"] == ["squad2"]


def test_switched_off_it_changes_nothing(checkpoint: Path) -> None:
    model = ours(checkpoint)
    plain = logits(model)
    adapter = random_adapter(model)
    adapter.attach(model)
    with adapter.switched(False):
        assert torch.equal(logits(model), plain)
    Adapter.detach(model)
    assert torch.equal(logits(model), plain)


def test_an_adapter_of_another_base_is_refused(checkpoint: Path, tmp_path: Path) -> None:
    from dataclasses import replace

    model = ours(checkpoint)
    save_adapter(random_adapter(model), tmp_path, "llama", {}, torch.float32)
    wider = Transformer(replace(model.config, width=64, head_width=16))
    with pytest.raises(WeightsCorrupt, match="another base"):
        load_adapter(tmp_path, wider)
    with pytest.raises(WeightsMissing):
        load_adapter(tmp_path / "nowhere", model)


def test_other_kinds_of_adapter_are_refused(checkpoint: Path, tmp_path: Path) -> None:
    model = ours(checkpoint)
    save_adapter(random_adapter(model), tmp_path, "llama", {}, torch.float32)
    config = json.loads((tmp_path / "adapter_config.json").read_text())
    (tmp_path / "adapter_config.json").write_text(json.dumps(config | {"use_dora": True}))
    with pytest.raises(UnsupportedCheckpoint):
        load_adapter(tmp_path, model)
