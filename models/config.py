"""The shape of a decoder: one dataclass that covers Llama, Mistral, Qwen2, Qwen3 and SmolLM2."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from models.errors import UnsupportedCheckpoint

FAMILIES = ("llama", "mistral", "qwen2", "qwen3")


@dataclass(frozen=True, slots=True)
class RopeScaling:
    """Llama 3's frequency scaling (`kind` "llama3"), plain division by `factor` ("linear"), or
    division of each frequency by its own of `factors` ("factors", as GGUF files store it)."""

    kind: str
    factor: float
    low_frequency: float = 1.0
    high_frequency: float = 4.0
    original_positions: int = 8192
    factors: tuple[float, ...] = ()


@dataclass(frozen=True, slots=True)
class ModelConfig:
    vocab_size: int
    width: int
    layers: int
    heads: int
    kv_heads: int
    head_width: int
    ffn_width: int
    norm_eps: float
    rope_theta: float
    positions: int
    tied: bool
    qkv_bias: bool = False
    out_bias: bool = False
    qk_norm: bool = False
    window: int | None = None  # sliding attention window in tokens; None sees everything
    windowed_from: int = 0  # first layer with the window
    rope_scaling: RopeScaling | None = None

    def __post_init__(self) -> None:
        """Raises UnsupportedCheckpoint when the numbers cannot make a decoder."""
        sizes = (self.vocab_size, self.width, self.layers, self.heads, self.kv_heads)
        if min(*sizes, self.head_width, self.ffn_width, self.positions) < 1:
            raise UnsupportedCheckpoint(f"a size in the configuration is below 1: {self}")
        if self.heads % self.kv_heads or self.head_width % 2:
            raise UnsupportedCheckpoint(
                f"{self.heads} heads of width {self.head_width} over {self.kv_heads} key/value "
                "heads cannot be: the heads must divide evenly, and their width be even"
            )

    @property
    def groups(self) -> int:
        """Query heads per key/value head."""
        return self.heads // self.kv_heads

    def kv_bytes_per_token(self, item_size: int = 2) -> int:
        return 2 * self.layers * self.kv_heads * self.head_width * item_size


def config_from_hugging_face(raw: Mapping[str, Any]) -> ModelConfig:
    """Read a checkpoint's `config.json`. Raises UnsupportedCheckpoint for another family, or when
    a value is missing or cannot be used."""
    try:
        return _from_hugging_face(raw)
    except (KeyError, TypeError, ValueError, AttributeError, ZeroDivisionError) as exc:
        raise UnsupportedCheckpoint(
            f"the checkpoint's config.json cannot be used: {type(exc).__name__}: {exc}"
        ) from exc


def _from_hugging_face(raw: Mapping[str, Any]) -> ModelConfig:
    family = raw.get("model_type")
    if family not in FAMILIES:
        raise UnsupportedCheckpoint(
            f"model_type {family!r} is not supported; this decoder runs {', '.join(FAMILIES)}"
        )
    if raw.get("hidden_act", "silu") != "silu":
        raise UnsupportedCheckpoint(f"activation {raw['hidden_act']!r} is not supported, only silu")
    heads = int(raw["num_attention_heads"])
    rope = dict(raw.get("rope_parameters") or {})
    window, windowed_from = _window(family, raw)
    return ModelConfig(
        vocab_size=int(raw["vocab_size"]),
        width=int(raw["hidden_size"]),
        layers=int(raw["num_hidden_layers"]),
        heads=heads,
        kv_heads=int(raw.get("num_key_value_heads") or heads),
        head_width=int(raw.get("head_dim") or raw["hidden_size"] // heads),
        ffn_width=int(raw["intermediate_size"]),
        norm_eps=float(raw.get("rms_norm_eps", 1e-6)),
        rope_theta=float(rope.get("rope_theta") or raw.get("rope_theta") or 10_000.0),
        positions=int(raw.get("max_position_embeddings", 2048)),
        tied=bool(raw.get("tie_word_embeddings", False)),
        qkv_bias=bool(raw.get("attention_bias", False)) or family == "qwen2",
        out_bias=bool(raw.get("attention_bias", False)),
        qk_norm=family == "qwen3",
        window=window,
        windowed_from=windowed_from,
        rope_scaling=_scaling(rope or raw.get("rope_scaling") or {}),
    )


def _window(family: str, raw: Mapping[str, Any]) -> tuple[int | None, int]:
    window = raw.get("sliding_window")
    if family == "mistral":
        return (int(window) if window else None), 0
    if family in ("qwen2", "qwen3") and raw.get("use_sliding_window") and window:
        start = int(raw.get("max_window_layers", 0))
        kinds = raw.get("layer_types") or []
        if any((kind == "sliding_attention") != (i >= start) for i, kind in enumerate(kinds)):
            raise UnsupportedCheckpoint(
                f"layer_types {kinds} is not supported: only the layers from max_window_layers "
                f"({start}) on can have a sliding window"
            )
        return int(window), start
    return None, 0


def _scaling(raw: Mapping[str, Any]) -> RopeScaling | None:
    kind = raw.get("rope_type") or raw.get("type") or "default"
    if kind == "default":
        return None
    if kind == "linear":
        return RopeScaling("linear", float(raw["factor"]))
    if kind == "llama3":
        return RopeScaling(
            "llama3",
            float(raw["factor"]),
            float(raw["low_freq_factor"]),
            float(raw["high_freq_factor"]),
            int(raw["original_max_position_embeddings"]),
        )
    raise UnsupportedCheckpoint(f"RoPE scaling {kind!r} is not supported (default, linear, llama3)")
