"""The weights in the shape in which the engine multiplies by them."""

from __future__ import annotations

import torch

from models.checkpoint import Checkpoint, load
from models.kernels import Between
from models.lora import Adapter
from models.projection import Projection
from models.transformer import Attention, FeedForward, RMSNorm, Transformer


def packs(model: Transformer) -> bool:
    """Whether this processor gains from packed weights: a CPU that multiplies in bfloat16 (else
    the weights would not be in it)."""
    return model.device.type == "cpu" and model.dtype == torch.bfloat16


def pack(model: Transformer) -> None:
    """Have every module compute in this processor's quickest way (see `models.kernels`)."""
    between = Between()
    for module in model.modules():
        if isinstance(module, Projection):
            module.pack()
        elif isinstance(module, RMSNorm | Attention | FeedForward):
            module.kernel = between


def merged(checkpoint: Checkpoint, adapter: Adapter) -> Transformer:
    """The checkpoint's weights with the adapter added in, beside them; embedding and head are
    shared. Read again from where they came, as packed ones cannot be added to."""
    base = checkpoint.model
    Adapter.detach(base)
    if checkpoint.source is None:
        model = Transformer.from_state(base.config, _copied(base), base.dtype, base.device)
    else:
        model = load(checkpoint.source, base.dtype, base.device).model
    model.embedding, model.head = base.embedding, base.head
    adapter.merge(model)
    if packs(model):
        pack(model)
    return model


def _copied(model: Transformer) -> dict[str, torch.Tensor]:
    return {name: tensor.clone() for name, tensor in model.state_dict().items()}
