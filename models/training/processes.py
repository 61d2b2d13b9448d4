"""The processes that train one adapter together (data parallel). They draw the same episodes; each
reads its share of a step's, and gradients and counts are added up before the optimiser's step, so
the loss curve is that of one process.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import torch
import torch.distributed as dist
from torch import Tensor


class Processes:
    """One process alone; `rank` numbers the processes, `size` counts them."""

    rank = 0
    size = 1

    @property
    def first(self) -> bool:
        """Whether this process writes the run's files and reports."""
        return self.rank == 0

    def mine(self, turn: int) -> bool:
        """Whether the step's episode `turn` is read here."""
        return turn % self.size == self.rank

    def add_up(self, tensors: Sequence[Tensor]) -> None:
        """Replace each tensor by its sum over all processes."""

    def agree(self, number: float) -> float:
        """The first process's number."""
        return number

    def wait(self) -> None:
        """Until all processes are here."""


class Together(Processes):
    """The processes that torchrun started, inside `joined()`."""

    def __init__(self) -> None:
        self.rank, self.size = dist.get_rank(), dist.get_world_size()

    def add_up(self, tensors: Sequence[Tensor]) -> None:
        """In one message; all on one device."""
        flat = torch.cat([t.flatten() for t in tensors])
        dist.all_reduce(flat)
        parts = torch.split(flat, [t.numel() for t in tensors])
        for tensor, part in zip(tensors, parts, strict=True):
            tensor.copy_(part.view_as(tensor))

    def agree(self, number: float) -> float:
        said = [number]
        dist.broadcast_object_list(said)
        return said[0]

    def wait(self) -> None:
        dist.barrier()


@contextmanager
def joined() -> Iterator[Processes]:
    """The processes of this run: those of torchrun (its WORLD_SIZE is set), else this one alone.
    Each takes the GPU of its local rank, where there are GPUs."""
    if int(os.environ.get("WORLD_SIZE", "1")) == 1:
        yield Processes()
        return
    on_gpu = torch.cuda.is_available()
    if on_gpu:
        torch.cuda.set_device(int(os.environ.get("LOCAL_RANK", "0")))
    dist.init_process_group("nccl" if on_gpu else "gloo")
    try:
        yield Together()
    finally:
        dist.destroy_process_group()
