"""The weights in the shape in which the engine multiplies by them."""

from __future__ import annotations

import torch

from models.checkpoint import Checkpoint, load
from models.kernels import Between
from models.lora import Adapter
from models.prepared import Tensors
from models.projection import Projection
from models.transformer import Attention, FeedForward, RMSNorm, Transformer, projects


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


def merged(checkpoint: Checkpoint, adapter: Adapter, name: str) -> Transformer:
    """The checkpoint's weights with the adapter of that name added in, beside them; all but the
    projections is shared. Read again from where they came, as packed ones cannot be added to."""
    base = checkpoint.model
    Adapter.detach(base)
    made_of = f"{checkpoint.identity}\n{base.dtype}\n{base.device}\n{name}\n{adapter.config}"
    own = checkpoint.prepared.tensors("merged", made_of, lambda: _merged(checkpoint, adapter))
    shared = {n: t for n, t in base.state_dict().items() if not projects(n, t)}
    model = Transformer.from_state(base.config, shared | own, base.dtype, base.device)
    model.embedding, model.head = base.embedding, base.head
    if packs(model):
        pack(model)
    return model


def _merged(checkpoint: Checkpoint, adapter: Adapter) -> Tensors:
    base = checkpoint.model
    if checkpoint.source is None:
        model = Transformer.from_state(base.config, _copied(base), base.dtype, base.device)
    else:
        source, prepared = checkpoint.source, checkpoint.prepared
        model = load(source, base.dtype, base.device, prepared).model
    adapter.merge(model)
    return {n: t for n, t in model.state_dict().items() if projects(n, t)}


def _copied(model: Transformer) -> Tensors:
    return {name: tensor.clone() for name, tensor in model.state_dict().items()}
