"""Compiling before anybody waits for it: when weights are pulled, not at the first question."""

from __future__ import annotations

import torch

from models.config import ModelConfig
from models.engine.few import Few
from models.engine.weights import pack
from models.hardware import choose_dtype
from models.transformer import Transformer

_SMALLEST = ModelConfig(
    vocab_size=32,
    width=32,
    layers=1,
    heads=1,
    kv_heads=1,
    head_width=32,
    ffn_width=32,
    norm_eps=1e-5,
    rope_theta=10_000.0,
    positions=32,
    tied=True,
)


def compiles() -> bool:
    """Whether the engine uses compiled passes on this processor."""
    return choose_dtype("auto", torch.device("cpu")) == torch.bfloat16


@torch.no_grad()
def compile_ahead() -> None:
    """Compile what the engine compiles and keep it on disk: half a minute once, a second when it is
    there already. What is compiled is the same for every model."""
    model = Transformer(_SMALLEST).to(torch.bfloat16).eval()
    for parameter in model.parameters():
        torch.nn.init.zeros_(parameter)
    Few(model)
    pack(model)
    model(torch.zeros(1, 2, dtype=torch.long))
