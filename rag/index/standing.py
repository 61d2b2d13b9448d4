"""What a searcher uses now: for `attest doctor`, metrics and people."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True)
class Standing:
    """`rows` are all held, `tail` of them added since the snapshot and `dead` of them ended.
    `recall` is the approximate index's recall@10 against flat search, measured on vectors of the
    collection when it was made; 1 where every row is compared. `bytes` lie on disk; `seconds` is
    how long the snapshot took to make. Generations before `floor` can no longer be searched."""

    kind: Literal["memory", "flat", "approximate"]
    generation: int
    floor: int
    rows: int
    tail: int
    dead: int
    recall: float
    probes: int
    bytes: int
    seconds: float

    def __str__(self) -> str:
        said = f"{self.kind}, {self.rows} rows, {self.tail} since the snapshot, {self.dead} ended"
        if self.kind == "memory":
            return f"in memory, {self.rows} rows, {self.dead} ended"
        if self.kind == "approximate":
            said += f", recall@10 {self.recall:.3f} of flat"
        return f"{said}, {self.bytes / 2**20:.0f} MiB made in {self.seconds:.0f} s"
