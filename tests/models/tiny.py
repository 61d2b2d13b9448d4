"""A decoder with random weights that runs in milliseconds."""

from __future__ import annotations

import torch

from models.config import ModelConfig
from models.transformer import Transformer

TINY = ModelConfig(
    vocab_size=97,
    width=32,
    layers=3,
    heads=4,
    kv_heads=2,
    head_width=8,
    ffn_width=48,
    norm_eps=1e-5,
    rope_theta=10_000.0,
    positions=512,
    tied=True,
)


def tiny(config: ModelConfig = TINY) -> Transformer:
    torch.manual_seed(5)
    model = Transformer(config)
    for parameter in model.parameters():
        if parameter.dim() > 1:
            torch.nn.init.normal_(parameter, std=0.15)
    return model.eval()
