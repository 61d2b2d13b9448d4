"""The adapter of a run's last checkpoint, in PEFT's file format with its card."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from models.checkpoint import Checkpoint
from models.errors import WeightsCorrupt, WeightsMissing
from models.lora import Adapter, LoraConfig, save_adapter
from models.training.run import Run


def export(base: Checkpoint, folder: Path, out: Path, card: Mapping[str, Any]) -> Adapter:
    """Write to `out` what training in `folder` last kept; `card` joins the notes of the run.
    Raises WeightsMissing, WeightsCorrupt (also where the run was of another base)."""
    run = Run(folder)
    state = run.state()
    if state is None:
        raise WeightsMissing(f"{folder} holds no checkpoint of a training run")
    about = run.about()
    adapter = Adapter(
        base.model, LoraConfig(**about["lora"] | {"targets": tuple(about["lora"]["targets"])})
    )
    try:
        adapter.load_state_dict(state["adapter"])
    except (RuntimeError, KeyError) as exc:
        raise WeightsCorrupt(f"the run in {folder} was of another base or shape: {exc}") from exc
    whole = {"run": about, "steps": state["step"], "questions": state["examples"]} | dict(card)
    save_adapter(adapter, out, base.identity, whole, torch.bfloat16)
    return adapter.to(base.model.device).requires_grad_(False).eval()
