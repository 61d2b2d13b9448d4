"""The decoder: RMSNorm, RoPE, grouped-query attention, SwiGLU. Knows tokens and positions only;
not text, sampling or where its weights came from.

B sequences, T new tokens, S tokens seen in all, D width.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from models.attention import attend, hidden
from models.config import ModelConfig
from models.errors import WeightsCorrupt
from models.kernels import Between
from models.kv import KV
from models.projection import Projection
from models.rope import angles, frequencies, rotate


class RMSNorm(nn.Module):
    """x / rms(x) * weight, computed in float32 (Zhang and Sennrich 2019, arXiv 1910.07467)."""

    def __init__(self, width: int, eps: float) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(width), requires_grad=False)
        self.eps = eps
        self.kernel: Between | None = None

    def forward(self, x: Tensor) -> Tensor:
        if self.kernel is not None:
            return self.kernel.norm(x, self.weight, self.eps)
        # The mean of (x, -x) is zero, so that torch's one fused pass for layer norm does it.
        width = x.shape[-1]
        both = torch.cat((x, -x), -1)
        return F.layer_norm(both, (2 * width,), eps=self.eps)[..., :width] * self.weight


class Attention(nn.Module):
    def __init__(self, config: ModelConfig, layer: int) -> None:
        super().__init__()
        self.config, self.layer = config, layer
        q, kv = config.heads * config.head_width, config.kv_heads * config.head_width
        parts = (("q_proj", q), ("k_proj", kv), ("v_proj", kv))
        self.qkv = Projection(config.width, parts, config.qkv_bias)
        self.out = Projection(q, (("o_proj", config.width),), config.out_bias)
        if config.qk_norm:
            self.q_norm = RMSNorm(config.head_width, config.norm_eps)
            self.k_norm = RMSNorm(config.head_width, config.norm_eps)
        self.kernel: Between | None = None

    def forward(
        self, x: Tensor, cos: Tensor, sin: Tensor, kv: KV | None, mask: Tensor | None
    ) -> Tensor:
        """x (B, T, D); cos, sin (B or 1, 1, T, head_width); mask (B or 1, 1, T, S), true = seen."""
        c = self.config
        b, t, _ = x.shape
        own = self.qkv(x).view(b, t, -1, c.head_width)
        heads = own.transpose(1, 2)
        qk, v = heads[:, : c.heads + c.kv_heads], heads[:, c.heads + c.kv_heads :]
        if c.qk_norm:
            qk = torch.cat((self.q_norm(qk[:, : c.heads]), self.k_norm(qk[:, c.heads :])), 1)
        raw = qk[:, c.heads :]
        if self.kernel is not None and b == 1 and not c.qk_norm:
            turned = self.kernel.rotate(own, c.heads + c.kv_heads, cos, sin)
        else:
            turned = rotate(qk, cos, sin)
        q, k = turned[:, : c.heads], turned[:, c.heads :]
        y = attend(q, k, v, mask) if kv is None else kv.attend(self.layer, q, raw, k, v, mask)
        out: Tensor = self.out(y.transpose(1, 2).reshape(b, t, -1))
        return out


class FeedForward(nn.Module):
    """SwiGLU (Shazeer 2020, arXiv 2002.05202)."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        parts = (("gate_proj", config.ffn_width), ("up_proj", config.ffn_width))
        self.gate_up = Projection(config.width, parts)
        self.down = Projection(config.ffn_width, (("down_proj", config.width),))
        self.kernel: Between | None = None

    def forward(self, x: Tensor) -> Tensor:
        both = self.gate_up(x)
        if self.kernel is not None:
            gated: Tensor = self.down(self.kernel.gate(both))
            return gated
        gate, up = both.chunk(2, dim=-1)
        y: Tensor = self.down(F.silu(gate) * up)
        return y


class Layer(nn.Module):
    def __init__(self, config: ModelConfig, layer: int) -> None:
        super().__init__()
        self.attention_norm = RMSNorm(config.width, config.norm_eps)
        self.attention = Attention(config, layer)
        self.ffn_norm = RMSNorm(config.width, config.norm_eps)
        self.ffn = FeedForward(config)

    def forward(
        self, x: Tensor, cos: Tensor, sin: Tensor, kv: KV | None, mask: Tensor | None
    ) -> Tensor:
        x = x + self.attention(self.attention_norm(x), cos, sin, kv, mask)
        y: Tensor = x + self.ffn(self.ffn_norm(x))
        return y


class Head(nn.Module):
    """Hidden states to logits; the weight is the embedding's when the checkpoint ties them."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.weight: Tensor = nn.Parameter(torch.empty(config.vocab_size, config.width), False)

    def forward(self, hidden: Tensor) -> Tensor:
        return F.linear(hidden, self.weight)


class Transformer(nn.Module):
    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.config = config
        self.recompute = False  # in training: keep a layer's input, compute the rest once more
        # Given weights: nn's own initialisation would load half of torch for numbers not used.
        empty = torch.empty(config.vocab_size, config.width)
        self.embedding = nn.Embedding(config.vocab_size, config.width, _weight=empty)
        self.layers = nn.ModuleList(Layer(config, i) for i in range(config.layers))
        self.norm = RMSNorm(config.width, config.norm_eps)
        self.head = Head(config)
        if config.tied:
            self.head.weight = self.embedding.weight
        with torch.device("cpu"):  # also while the rest is built without memory
            self.register_buffer("frequency", frequencies(config), persistent=False)
        self.requires_grad_(False)

    @property
    def _groups(self) -> int:
        return self.config.heads // self.config.kv_heads

    @property
    def dtype(self) -> torch.dtype:
        return self.embedding.weight.dtype

    @property
    def device(self) -> torch.device:
        return self.embedding.weight.device

    def forward(
        self,
        ids: Tensor,
        positions: Tensor | None = None,
        kv: KV | None = None,
        mask: Tensor | None = None,
    ) -> Tensor:
        """Hidden states (B, T, D) of `ids` (B, T), which stand at `positions` (B or 1, T; default:
        after what `kv` holds). `mask` (B or 1, T, S) says which of the S tokens each new token
        sees; default causal."""
        past, tokens = (0 if kv is None else kv.length), ids.shape[1]
        if positions is None:
            positions = torch.arange(past, past + tokens, device=ids.device)[None]
        cos, sin = angles(positions, self.frequency)  # type: ignore[arg-type]
        cos, sin = cos[:, None], sin[:, None]
        seen = near = None
        if kv is None or not kv.decides:
            seen = causal(past, tokens, ids.device)[None] if mask is None else mask
            seen = seen[:, None]
            near = windowed(seen, past, tokens, self.config.window)
            if not torch.is_autocast_enabled(ids.device.type):  # which may want another type
                seen = hidden(seen, self._groups, self.dtype)
                near = None if near is None else hidden(near, self._groups, self.dtype)
        x = self.embedding(ids)
        for i, layer in enumerate(self.layers):
            close = near is not None and i >= self.config.windowed_from
            inputs = (x, cos, sin, kv, near if close else seen)
            if self.recompute and torch.is_grad_enabled():
                x = checkpoint(layer, *inputs, use_reentrant=False)
            else:
                x = layer(*inputs)
        if kv is not None:
            kv.advance(tokens)
        y: Tensor = self.norm(x)
        return y

    def logits(self, hidden: Tensor) -> Tensor:
        """(..., vocabulary) in float32."""
        logits: Tensor = self.head(hidden)
        return logits.to(torch.float32)

    @classmethod
    def from_weights(
        cls,
        config: ModelConfig,
        weights: Mapping[str, Tensor],
        dtype: torch.dtype = torch.float32,
        device: torch.device | str = "cpu",
    ) -> Transformer:
        """Build from a checkpoint's tensors under their Hugging Face names. Raises WeightsCorrupt
        when one is missing, left over or of another shape."""
        return cls.from_state(config, fused(config, weights), dtype, device)

    @classmethod
    def from_state(
        cls,
        config: ModelConfig,
        state: Mapping[str, Tensor],
        dtype: torch.dtype = torch.float32,
        device: torch.device | str = "cpu",
    ) -> Transformer:
        """Build from tensors under our own names (as `fused` gives them); a tensor that is of this
        type and on this device already is used as it lies, not copied. Raises WeightsCorrupt."""
        with torch.device("meta"):
            model = cls(config)
        expected = {name: tuple(p.shape) for name, p in model.state_dict().items()}
        if config.tied:
            expected.pop("head.weight")
            state = {name: tensor for name, tensor in state.items() if name != "head.weight"}
        found = {name: tuple(tensor.shape) for name, tensor in state.items()}
        if expected != found:
            wrong = sorted(
                n for n in expected.keys() | found.keys() if expected.get(n) != found.get(n)
            )
            raise WeightsCorrupt(
                f"the weights do not fit the configuration: {wrong[0]} is {found.get(wrong[0])}, "
                f"expected {expected.get(wrong[0])} ({len(wrong)} tensors differ)"
            )
        state = {name: t.to(device=device, dtype=dtype) for name, t in state.items()}
        if config.tied:
            state["head.weight"] = state["embedding.weight"]
        model.load_state_dict(state, assign=True)
        model.frequency = model.frequency.to(device)
        return model.requires_grad_(False).eval()


def projects(name: str, weight: Tensor) -> bool:
    """Whether a tensor of the state is a layer's matrix: those have adapters and are laid out for
    the processor."""
    return name.startswith("layers.") and weight.dim() == 2


def causal(past: int, tokens: int, device: torch.device | str = "cpu") -> Tensor:
    """(tokens, past + tokens) bool: new token t sees the past and new tokens up to itself."""
    ones = torch.ones(tokens, past + tokens, dtype=torch.bool, device=device)
    return ones.tril(past)


def windowed(seen: Tensor, past: int, tokens: int, window: int | None) -> Tensor | None:
    """What is seen (..., tokens, past + tokens) of the last `window` tokens; None: no window."""
    if window is None:
        return None
    query = torch.arange(past, past + tokens, device=seen.device)[:, None]
    key = torch.arange(past + tokens, device=seen.device)[None]
    return seen & (query - key < window)


def fused(config: ModelConfig, weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Rename a checkpoint's tensors to ours and stack q, k, v and gate, up."""
    state: dict[str, Tensor] = {}
    used: set[str] = set()

    def take(target: str, *sources: str) -> None:
        missing = [s for s in sources if s not in weights]
        if missing:
            raise WeightsCorrupt(f"the checkpoint has no tensor {missing[0]}")
        used.update(sources)
        tensors = [weights[s] for s in sources]
        state[target] = tensors[0] if len(tensors) == 1 else torch.cat(tensors)

    take("embedding.weight", "model.embed_tokens.weight")
    take("norm.weight", "model.norm.weight")
    take("head.weight", "model.embed_tokens.weight" if config.tied else "lm_head.weight")
    for i in range(config.layers):
        ours, theirs = f"layers.{i}.", f"model.layers.{i}."
        qkv = [f"{theirs}self_attn.{p}_proj" for p in "qkv"]
        take(ours + "attention.qkv.weight", *(f"{p}.weight" for p in qkv))
        if config.qkv_bias:
            take(ours + "attention.qkv.bias", *(f"{p}.bias" for p in qkv))
        take(ours + "attention.out.weight", f"{theirs}self_attn.o_proj.weight")
        if config.out_bias:
            take(ours + "attention.out.bias", f"{theirs}self_attn.o_proj.bias")
        if config.qk_norm:
            take(ours + "attention.q_norm.weight", f"{theirs}self_attn.q_norm.weight")
            take(ours + "attention.k_norm.weight", f"{theirs}self_attn.k_norm.weight")
        take(ours + "attention_norm.weight", f"{theirs}input_layernorm.weight")
        take(ours + "ffn_norm.weight", f"{theirs}post_attention_layernorm.weight")
        gate_up = (f"{theirs}mlp.gate_proj.weight", f"{theirs}mlp.up_proj.weight")
        take(ours + "ffn.gate_up.weight", *gate_up)
        take(ours + "ffn.down.weight", f"{theirs}mlp.down_proj.weight")
    ignorable = {"lm_head.weight"} if config.tied else set()
    left = {n for n in weights if not n.endswith("rotary_emb.inv_freq")} - used - ignorable
    if left:
        raise WeightsCorrupt(f"the checkpoint has tensors this decoder does not use: {min(left)}")
    return state
