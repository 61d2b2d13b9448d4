"""LoRA (Hu et al. 2021, arXiv 2106.09685) on the decoder's projections: y += scale * B A x.

An adapter may act on the reader's tokens only (question and answer): then the keys and values of
passages come from the base weights and stay valid for every adapter. `markers` carries a
passage's number to the reader although its keys and values must not depend on it: marker n's
vector is added to the values of passage n when the passages are joined.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from models.config import ModelConfig
from models.errors import UnsupportedCheckpoint, WeightsCorrupt, WeightsMissing
from models.kernels import Packed
from models.manifest import sha256_of
from models.projection import Projection
from models.transformer import Transformer

ALL_TARGETS = ("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj")
_WHERE = {
    "qkv": "self_attn",
    "out": "self_attn",
    "gate_up": "mlp",
    "down": "mlp",
}


@dataclass(frozen=True, slots=True)
class LoraConfig:
    """`mode` "reader": active on question and answer only; "all": on every token. `reading` is the
    attention the adapter was trained for: "block" or "full". `markers` is how many passage numbers
    have a trained vector (0: numbers stand in the text)."""

    rank: int = 16
    alpha: float = 32.0
    dropout: float = 0.0
    targets: tuple[str, ...] = ALL_TARGETS
    mode: str = "reader"
    reading: str = "block"
    markers: int = 10
    prompt_version: str = ""

    @property
    def scale(self) -> float:
        return self.alpha / self.rank


class LoraDelta(nn.Module):
    """The low-rank part of one fused projection; one A and B for each targeted part."""

    def __init__(
        self, projection: Projection, config: LoraConfig, adapter: Adapter, fresh: bool
    ) -> None:
        super().__init__()
        width = projection.weight.shape[1]
        self.parts = projection.parts
        self.scale, self.rank = config.scale, config.rank
        self._adapter = [adapter]  # in a list: not a submodule
        self._kept: tuple[Any, tuple[Tensor, Tensor]] | None = None
        self._packed: tuple[Packed, Packed] | None = None
        self.dropout = nn.Dropout(config.dropout)
        self.a, self.b = nn.ParameterDict(), nn.ParameterDict()
        for name, rows in projection.parts:
            if name in config.targets:
                a = torch.empty(config.rank, width)
                if fresh:
                    nn.init.kaiming_uniform_(a, a=math.sqrt(5))
                self.a[name] = nn.Parameter(a)
                self.b[name] = nn.Parameter(torch.zeros(rows, config.rank))

    def forward(self, x: Tensor, y: Tensor) -> Tensor:
        """x (..., in) and the projection's own y (..., out) -> y + scale * B A x."""
        if not self._adapter[0].active:
            return y
        if self._packed is not None:
            down, up = self._packed
            return up.onto(down(x), y)
        a, b = self._fused(x.dtype)
        h = self.dropout(x).flatten(0, -2) @ a
        return torch.addmm(y.flatten(0, -2), h, b).view(y.shape)

    def pack(self) -> None:
        """Multiply from now on by weights laid out for this processor, in bfloat16: small products
        take as long to begin as to do otherwise. It can no longer be trained."""
        a, b = self._fuse(torch.bfloat16)
        self._packed = Packed(a.T.contiguous(), None), Packed(b.T.contiguous(), None)

    def _fused(self, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
        """A of all parts side by side, (in, r), and scale * B as blocks, (r, out): the parts'
        products are two products. Kept while the weights are not in training."""
        weights = (*self.a.values(), *self.b.values())
        if any(weight.requires_grad for weight in weights):
            return self._fuse(dtype)
        state = (dtype, *((w.data_ptr(), w._version) for w in weights))
        if self._kept is None or self._kept[0] != state:
            self._kept = state, self._fuse(dtype)
        return self._kept[1]

    def _fuse(self, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
        a = torch.cat(tuple(self.a.values())).to(dtype)
        device = a.device
        blocks = [
            self.b[name] if name in self.b else torch.zeros(rows, 0, device=device)
            for name, rows in self.parts
        ]
        return a.T, (torch.block_diag(*blocks) * self.scale).to(dtype).T  # type: ignore[no-untyped-call]


class Adapter(nn.Module):
    """One set of LoRA weights for one decoder. `active` switches it for the calls that follow.
    Without `fresh`, its weights are anything, to be filled in."""

    def __init__(self, model: Transformer, config: LoraConfig, fresh: bool = True) -> None:
        super().__init__()
        self.config = config
        self.active = True
        self.deltas = nn.ModuleDict()
        for name, projection in _projections(model):
            if any(part in config.targets for part, _ in projection.parts):
                self.deltas[name] = LoraDelta(projection, config, self, fresh)
        self.markers = nn.Parameter(_marker_shape(model.config, config.markers))

    def attach(self, model: Transformer) -> None:
        for name, projection in _projections(model):
            projection.delta = self.deltas[name] if name in self.deltas else None  # noqa: SIM401

    def pack(self) -> None:
        """See `LoraDelta.pack`; for a decoder that is packed too."""
        for delta in self.deltas.values():
            delta.pack()  # type: ignore[operator]

    @staticmethod
    def detach(model: Transformer) -> None:
        for _, projection in _projections(model):
            projection.delta = None

    @contextmanager
    def switched(self, active: bool) -> Iterator[None]:
        before, self.active = self.active, active
        try:
            yield
        finally:
            self.active = before

    def merge(self, model: Transformer) -> None:
        """Add the deltas into the base weights (only right for mode "all", or where the base
        weights are no longer needed). The sum is made in a wider type and rounded once, to the
        base's; what is merged cannot be taken out again."""
        for name, projection in _projections(model):
            if name not in self.deltas:
                continue
            delta: LoraDelta = self.deltas[name]  # type: ignore[assignment]
            at = 0
            for part, size in projection.parts:
                if part in delta.a:
                    rows = projection.weight.data[at : at + size]
                    wide = torch.float64 if rows.dtype == torch.float32 else torch.float32
                    b, a = delta.b[part].to(rows.device, wide), delta.a[part].to(rows.device, wide)
                    rows.copy_(torch.addmm(rows.to(wide), b, a, alpha=delta.scale))
                at += size
            projection.delta = None


def _marker_shape(config: ModelConfig, markers: int) -> Tensor:
    return torch.zeros(markers, config.layers, config.kv_heads, config.head_width)


def _projections(model: Transformer) -> Iterator[tuple[str, Projection]]:
    """Every projection under a name that can key a ModuleDict (dots are not allowed there)."""
    for name, module in model.named_modules():
        if isinstance(module, Projection):
            yield name.replace(".", "/"), module


def _peft_name(key: str, part: str, matrix: str) -> str:
    _, layer, _, kind = key.split("/")
    return f"base_model.model.model.layers.{layer}.{_WHERE[kind]}.{part}.lora_{matrix}.weight"


# --- PEFT's file format ------------------------------------------------------------------------

WEIGHTS, CONFIG, MARKERS, CARD = (
    "adapter_model.safetensors",
    "adapter_config.json",
    "markers.safetensors",
    "card.json",
)


def save_adapter(
    adapter: Adapter, folder: Path, base: str, card: Mapping[str, Any], dtype: torch.dtype
) -> None:
    """Write PEFT's two files, the marker vectors beside them, and the card (written last)."""
    folder.mkdir(parents=True, exist_ok=True)
    tensors: dict[str, Tensor] = {}
    for key, delta in adapter.deltas.items():
        for part in delta.a:  # type: ignore[union-attr]
            tensors[_peft_name(key, part, "A")] = delta.a[part].detach().to(dtype).contiguous()  # type: ignore[index]
            tensors[_peft_name(key, part, "B")] = delta.b[part].detach().to(dtype).contiguous()  # type: ignore[index]
    save_file(tensors, folder / WEIGHTS, metadata={"format": "pt"})
    save_file({"markers": adapter.markers.detach().to(dtype).contiguous()}, folder / MARKERS)
    c = adapter.config
    peft = {
        "peft_type": "LORA",
        "task_type": "CAUSAL_LM",
        "base_model_name_or_path": base,
        "r": c.rank,
        "lora_alpha": c.alpha,
        "lora_dropout": c.dropout,
        "target_modules": list(c.targets),
        "bias": "none",
        "fan_in_fan_out": False,
        "inference_mode": True,
    }
    (folder / CONFIG).write_text(json.dumps(peft, indent=2) + "\n", "utf-8")
    digest = sha256_of(folder / WEIGHTS)[:12]
    whole = {"lora": asdict(c), "base": base, "digest": digest} | dict(card)
    (folder / CARD).write_text(json.dumps(whole, indent=2) + "\n", "utf-8")


@dataclass(frozen=True, slots=True)
class AdapterFiles:
    """What an adapter folder says about itself, before its weights are read."""

    folder: Path
    config: LoraConfig
    base: str
    card: Mapping[str, Any] = field(default_factory=dict)


def describe_adapter(folder: Path) -> AdapterFiles:
    """Read the configuration of our own or of a plain PEFT adapter (full attention, all tokens).
    Raises WeightsMissing, WeightsCorrupt or UnsupportedCheckpoint."""
    path, card_path = folder / CONFIG, folder / CARD
    if not path.is_file():
        raise WeightsMissing(f"{folder} holds no adapter ({CONFIG} is missing)")
    try:
        peft = json.loads(path.read_text("utf-8"))
        card = json.loads(card_path.read_text("utf-8")) if card_path.is_file() else {}
        _check_plain(peft, folder)
        if "lora" in card:
            config = LoraConfig(**card["lora"] | {"targets": tuple(card["lora"]["targets"])})
        else:
            config = _from_peft(peft, folder)
        return AdapterFiles(folder, config, str(peft.get("base_model_name_or_path", "")), card)
    except (ValueError, KeyError, TypeError, AttributeError, OSError, SafetensorError) as exc:
        raise WeightsCorrupt(f"the adapter's settings in {folder} cannot be read: {exc!r}") from exc


# PEFT settings that change what the weights mean or where they belong.
_OTHER_KINDS = (
    "use_dora", "lora_bias", "rank_pattern", "alpha_pattern", "layers_to_transform",
    "exclude_modules", "modules_to_save", "target_parameters", "fan_in_fan_out",
)  # fmt: skip


def _check_plain(peft: Mapping[str, Any], folder: Path) -> None:
    set_ = [name for name in _OTHER_KINDS if peft.get(name)]
    if peft.get("peft_type") != "LORA" or peft.get("bias", "none") != "none" or set_:
        wrong = set_ or [f"peft_type {peft.get('peft_type')!r}, bias {peft.get('bias')!r}"]
        raise UnsupportedCheckpoint(
            f"{folder}: only plain LoRA adapters are supported, this one has {', '.join(wrong)}"
        )


def _from_peft(peft: Mapping[str, Any], folder: Path) -> LoraConfig:
    """`alpha` holds rank-stabilised scaling too (alpha / sqrt(rank), arXiv 2312.03732)."""
    rank = int(peft["r"])
    named = peft["target_modules"]
    if isinstance(named, str):  # a pattern: the weights say what it met
        with safe_open(folder / WEIGHTS, framework="pt") as file:
            named = [key.rsplit(".lora_", 1)[0] for key in file.keys()]  # noqa: SIM118
    parts = {str(name).rpartition(".")[2] for name in named}
    if unknown := parts - set(ALL_TARGETS):
        raise UnsupportedCheckpoint(
            f"{folder} adapts {min(unknown)}; adapters are supported on {', '.join(ALL_TARGETS)}"
        )
    return LoraConfig(
        rank=rank,
        alpha=float(peft["lora_alpha"]) * (math.sqrt(rank) if peft.get("use_rslora") else 1),
        dropout=float(peft.get("lora_dropout") or 0.0),
        targets=tuple(name for name in ALL_TARGETS if name in parts),
        mode="all",
        reading="full",
        markers=0,
    )


def load_adapter(folder: Path, model: Transformer) -> Adapter:
    """Read an adapter for `model`, as float32 weights that are not in training. Raises
    WeightsMissing, WeightsCorrupt (another base's shapes) or UnsupportedCheckpoint."""
    files = describe_adapter(folder)
    adapter = Adapter(model, files.config, fresh=False)
    try:
        tensors = load_file(folder / WEIGHTS)
        if files.config.markers:
            markers = load_file(folder / MARKERS).get("markers")
            _fill(adapter.markers, markers, folder)
    except (SafetensorError, OSError, KeyError, RuntimeError) as exc:
        raise WeightsCorrupt(f"the adapter in {folder} cannot be read: {exc}") from exc
    for key, delta in adapter.deltas.items():
        for part in delta.a:  # type: ignore[union-attr]
            for matrix, into in (("A", delta.a), ("B", delta.b)):
                _fill(into[part], tensors.pop(_peft_name(key, part, matrix), None), folder)  # type: ignore[index]
    if tensors:
        raise WeightsCorrupt(
            f"the adapter in {folder} has weights for other layers: {min(tensors)}"
        )
    return adapter.to(model.device).requires_grad_(False).eval()


def _fill(parameter: Tensor, found: Tensor | None, folder: Path) -> None:
    if found is None or found.shape != parameter.shape:
        shape = None if found is None else tuple(found.shape)
        raise WeightsCorrupt(
            f"the adapter in {folder} was made for another base: a tensor is {shape}, "
            f"expected {tuple(parameter.shape)}"
        )
    parameter.data.copy_(found)
