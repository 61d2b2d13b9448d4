"""LoRA against PEFT, in both directions of its file format."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import LlamaConfig, LlamaForCausalLM

from models.checkpoint import load
from models.engine.ahead import compiles
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


SUBSETS = [ALL_TARGETS, ("q_proj", "v_proj"), ("k_proj",), ("o_proj", "up_proj"), ("down_proj",)]


@pytest.mark.parametrize("targets", SUBSETS)
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


@pytest.mark.parametrize(
    "settings",
    [
        {"r": 4, "lora_alpha": 16, "target_modules": ["q_proj", "up_proj"]},
        {"r": 3, "lora_alpha": 1, "target_modules": list(ALL_TARGETS), "lora_dropout": 0.5},
        {"r": 4, "lora_alpha": 8, "target_modules": "all-linear"},
        {"r": 4, "lora_alpha": 8, "target_modules": r".*\.self_attn\.(k|o)_proj"},
        {"r": 9, "lora_alpha": 6, "target_modules": ["self_attn.v_proj"], "use_rslora": True},
    ],
)
def test_what_peft_saves_we_read_with_the_same_outputs(
    checkpoint: Path, tmp_path: Path, settings: dict[str, Any]
) -> None:
    import peft

    torch.manual_seed(1)
    base: Any = LlamaForCausalLM.from_pretrained(checkpoint)
    theirs: Any = peft.get_peft_model(base, peft.LoraConfig(**settings)).eval()
    for name, parameter in theirs.named_parameters():
        if "lora_B" in name:
            torch.nn.init.normal_(parameter, std=0.1)
    theirs.save_pretrained(str(tmp_path))
    with torch.no_grad():
        wanted = theirs(IDS).logits
    model = ours(checkpoint)
    plain = logits(model)
    load_adapter(tmp_path, model).attach(model)
    assert not torch.allclose(logits(model), plain, atol=1e-3)
    assert torch.allclose(logits(model), wanted, atol=1e-5)


def test_what_peft_saved_goes_through_us_back_to_peft(checkpoint: Path, tmp_path: Path) -> None:
    model = ours(checkpoint)
    save_adapter(random_adapter(model), tmp_path / "a", "llama", {}, torch.float32)
    (tmp_path / "a" / "card.json").unlink()  # now it is any PEFT adapter
    again = load_adapter(tmp_path / "a", model)
    assert (again.config.mode, again.config.reading, again.config.markers) == ("all", "full", 0)
    save_adapter(again, tmp_path / "b", "llama", {}, torch.float32)
    wanted = peft_logits(checkpoint, tmp_path / "a")
    assert torch.equal(peft_logits(checkpoint, tmp_path / "b"), wanted)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_merging_does_not_drift(checkpoint: Path, dtype: torch.dtype) -> None:
    """Every merged weight is the exact sum, rounded once to the base's type. That one
    rounding costs less than those of the products, which the outputs have with the adapter apart.
    """
    model = load(checkpoint, dtype).model
    adapter = random_adapter(model)
    before = {n: p.detach().double() for n, p in model.named_parameters()}
    adapter.attach(model)
    apart = logits(model)
    adapter.double()
    exact = logits(model.double())
    model.to(dtype)
    adapter.merge(model)
    merged_off, apart_off = ((x - exact).square().mean().sqrt() for x in (logits(model), apart))
    assert float(merged_off) < 2**0.5 * float(apart_off) + 1e-6
    q, k, v = before["layers.1.attention.qkv.weight"].split([32, 16, 16])
    delta = adapter.deltas["layers/1/attention/qkv"]
    sums = [
        rows + delta.b[part].double() @ delta.a[part].double() * 2.0  # type: ignore[index, union-attr]
        for part, rows in (("q_proj", q), ("k_proj", k), ("v_proj", v))
    ]
    merged = dict(model.named_parameters())["layers.1.attention.qkv.weight"]
    assert torch.equal(merged, torch.cat(sums).to(dtype))


def test_dropout_acts_in_training_only(checkpoint: Path) -> None:
    model = ours(checkpoint)
    adapter = Adapter(model, LoraConfig(rank=4, dropout=0.5))
    for parameter in adapter.parameters():
        torch.nn.init.normal_(parameter, std=0.1)
    adapter.attach(model)
    calm = logits(model) if not adapter.eval().training else None
    assert calm is not None
    assert torch.equal(logits(model), calm)
    adapter.train()
    torch.manual_seed(2)
    first = logits(model)
    assert not torch.allclose(first, calm, atol=1e-3)
    assert not torch.allclose(logits(model), first, atol=1e-3)


def test_adapters_change_places_without_a_trace(checkpoint: Path) -> None:
    """What is kept of one adapter's products is not used for another, or after a change."""
    model = ours(checkpoint)
    plain = logits(model)
    one, two = random_adapter(model), random_adapter(model, ("q_proj", "down_proj"))
    one.attach(model)
    first = logits(model)
    two.attach(model)
    assert not torch.allclose(logits(model), first, atol=1e-3)
    one.attach(model)
    assert torch.equal(logits(model), first)
    for parameter in one.parameters():
        parameter.mul_(1.1)
    assert not torch.allclose(logits(model), first, atol=1e-3)
    Adapter.detach(model)
    assert torch.equal(logits(model), plain)


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


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"use_dora": True}, "use_dora"),
        ({"rank_pattern": {"q_proj": 8}}, "rank_pattern"),
        ({"layers_to_transform": [1]}, "layers_to_transform"),
        ({"bias": "all"}, "bias 'all'"),
        ({"peft_type": "IA3"}, "'IA3'"),
        ({"target_modules": ["lm_head"]}, "adapts lm_head"),
    ],
)
def test_other_kinds_of_adapter_are_refused(
    checkpoint: Path, tmp_path: Path, changed: dict[str, Any], said: str
) -> None:
    model = ours(checkpoint)
    save_adapter(random_adapter(model), tmp_path, "llama", {}, torch.float32)
    (tmp_path / "card.json").unlink()
    config = json.loads((tmp_path / "adapter_config.json").read_text())
    (tmp_path / "adapter_config.json").write_text(json.dumps(config | changed))
    with pytest.raises(UnsupportedCheckpoint, match=said):
        load_adapter(tmp_path, model)


@pytest.mark.parametrize("name", ["adapter_config.json", "card.json", "adapter_model.safetensors"])
def test_broken_files_are_said(checkpoint: Path, tmp_path: Path, name: str) -> None:
    model = ours(checkpoint)
    save_adapter(random_adapter(model), tmp_path, "llama", {}, torch.float32)
    whole = (tmp_path / name).read_bytes()
    (tmp_path / name).write_bytes(whole[: len(whole) // 2])
    with pytest.raises(WeightsCorrupt, match="cannot be read"):
        load_adapter(tmp_path, model)


@pytest.mark.skipif(not compiles(), reason="weights are laid out where bfloat16 is multiplied")
@pytest.mark.parametrize("targets", [ALL_TARGETS, ("q_proj", "v_proj", "down_proj")])
def test_an_adapter_that_is_laid_out_says_the_same(
    checkpoint: Path, targets: tuple[str, ...]
) -> None:
    model = ours(checkpoint).to(torch.bfloat16)
    without = logits(model)
    adapter = random_adapter(model, targets)
    adapter.attach(model)
    wanted = logits(model)
    adapter.pack()
    found = logits(model)
    assert float((found - wanted).norm() / wanted.norm()) < 0.01
    assert float((without - wanted).norm() / wanted.norm()) > 0.1
    with adapter.switched(False):
        assert torch.equal(logits(model), without)
