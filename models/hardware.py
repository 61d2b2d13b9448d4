"""What this machine can compute with."""

from __future__ import annotations

import torch

from models.errors import ModelError


def choose_device(wanted: str) -> torch.device:
    """ "auto" is CUDA where there is some. Raises ModelError for CUDA without a GPU."""
    if wanted == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    if wanted == "cuda" and not torch.cuda.is_available():
        raise ModelError("device is 'cuda', but torch sees no CUDA GPU here; set it to 'cpu'")
    return torch.device(wanted)


def choose_dtype(wanted: str, device: torch.device) -> torch.dtype:
    """ "auto" is bfloat16 where the processor multiplies in it; elsewhere that would be many times
    slower than float32."""
    if wanted != "auto":
        return torch.float32 if wanted == "float32" else torch.bfloat16
    if device.type == "cuda":
        return torch.bfloat16 if torch.cuda.is_bf16_supported() else torch.float32
    # torch.backends.mkldnn.is_available carries no types.
    present = torch.backends.mkldnn.is_available()  # type: ignore[no-untyped-call]
    fast = present and torch.ops.mkldnn._is_mkldnn_bf16_supported()
    return torch.bfloat16 if fast else torch.float32


def processor(device: torch.device) -> str:
    """What computes: a GPU by its name, a CPU by the widest instructions that are used of it."""
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    return str(torch.backends.cpu.get_cpu_capability())
