"""Reading a GGUF file: configuration, tensors (dequantised by `gguf`) and vocabulary."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from models.config import ModelConfig, RopeScaling
from models.errors import UnsupportedCheckpoint, WeightsCorrupt, WeightsMissing

_NAMES = {
    "attn_q": "self_attn.q_proj",
    "attn_k": "self_attn.k_proj",
    "attn_v": "self_attn.v_proj",
    "attn_output": "self_attn.o_proj",
    "attn_norm": "input_layernorm",
    "attn_q_norm": "self_attn.q_norm",
    "attn_k_norm": "self_attn.k_norm",
    "ffn_norm": "post_attention_layernorm",
    "ffn_gate": "mlp.gate_proj",
    "ffn_up": "mlp.up_proj",
    "ffn_down": "mlp.down_proj",
}
_TOP = {"token_embd": "model.embed_tokens", "output_norm": "model.norm", "output": "lm_head"}


class GGUF:
    """An opened file. Raises WeightsMissing, or WeightsCorrupt when it cannot be read."""

    def __init__(self, path: Path) -> None:
        import gguf

        if not path.is_file():
            raise WeightsMissing(f"no file {path}")
        try:
            self._reader = gguf.GGUFReader(str(path))
        except (ValueError, KeyError, IndexError, OSError) as exc:
            raise WeightsCorrupt(f"{path} cannot be read as GGUF: {exc}") from exc
        self.family = str(self.field("general.architecture"))

    def field(self, name: str, default: Any = None) -> Any:
        found = self._reader.fields.get(name)
        return default if found is None else found.contents()

    def config(self) -> ModelConfig:
        if self.family not in ("llama", "qwen2", "qwen3"):
            raise UnsupportedCheckpoint(f"GGUF architecture {self.family!r} is not supported")

        def read(key: str, default: Any = None) -> Any:
            return self.field(f"{self.family}.{key}", default)

        width, heads = int(read("embedding_length")), int(read("attention.head_count"))
        tensors = {t.name for t in self._reader.tensors}
        return ModelConfig(
            vocab_size=len(self.field("tokenizer.ggml.tokens")),
            width=width,
            layers=int(read("block_count")),
            heads=heads,
            kv_heads=int(read("attention.head_count_kv", heads)),
            head_width=int(read("attention.key_length", width // heads)),
            ffn_width=int(read("feed_forward_length")),
            norm_eps=float(read("attention.layer_norm_rms_epsilon", 1e-5)),
            rope_theta=float(read("rope.freq_base", 10_000.0)),
            positions=int(read("context_length", 2048)),
            tied="output.weight" not in tensors,
            qkv_bias="blk.0.attn_q.bias" in tensors,
            qk_norm="blk.0.attn_q_norm.weight" in tensors,
            rope_scaling=self._rope_scaling(),
        )

    def _rope_scaling(self) -> RopeScaling | None:
        """Llama 3.1 and later keep their scaling as a tensor of divisors, one a frequency."""
        for tensor in self._reader.tensors:
            if tensor.name == "rope_freqs.weight":
                return RopeScaling("factors", 1.0, factors=tuple(map(float, tensor.data)))
        kind = self.field(f"{self.family}.rope.scaling.type", "none")
        if kind == "none":
            return None
        if kind == "linear":
            factor = float(self.field(f"{self.family}.rope.scaling.factor", 1.0))
            return RopeScaling("linear", factor)
        raise UnsupportedCheckpoint(f"GGUF RoPE scaling {kind!r} is not supported")

    def weights(self) -> dict[str, Tensor]:
        """Float32 tensors under their Hugging Face names. Llama-family files keep the rows of q
        and k permuted for interleaved RoPE; they are put back for the half-split layout."""
        import gguf

        config = self.config()
        weights: dict[str, Tensor] = {}
        for tensor in self._reader.tensors:
            name = _hugging_face_name(tensor.name)
            if name is None:
                continue
            data = gguf.quants.dequantize(tensor.data, tensor.tensor_type)
            value = torch.from_numpy(data.copy()).reshape(*reversed(tensor.shape.tolist()))
            if self.family == "llama" and name.endswith(("q_proj.weight", "k_proj.weight")):
                heads = config.heads if "q_proj" in name else config.kv_heads
                value = _half_split(value, heads)
            weights[name] = value
        return weights


def _hugging_face_name(name: str) -> str | None:
    stem, _, kind = name.rpartition(".")
    if stem == "rope_freqs":
        return None
    if stem in _TOP:
        return f"{_TOP[stem]}.{kind}"
    _, _, rest = stem.partition("blk.")
    layer, _, part = rest.partition(".")
    if part not in _NAMES:
        raise UnsupportedCheckpoint(f"GGUF tensor {name!r} is not one this decoder knows")
    return f"model.layers.{layer}.{_NAMES[part]}.{kind}"


def _half_split(rows: Tensor, heads: int) -> Tensor:
    """Undo the interleaving of rotary pairs in the rows of q or k, (heads * head_width, D)."""
    width = rows.shape[0] // heads
    return rows.view(heads, width // 2, 2, -1).transpose(1, 2).reshape(rows.shape)
