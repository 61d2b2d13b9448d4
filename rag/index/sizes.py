"""From how many rows on a collection is searched in which way; docs/experiments.md says why."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Sizes:
    """All in rows. `tail_share` and `dead_share` are parts of the snapshot's rows."""

    snapshot: int = 10_000  # fewer are read from the database at each start
    approximate: int = 100_000  # a snapshot of fewer has no approximate index
    exact_rows: int = 30_000  # permitted rows that are compared one by one
    at_once: int = 200  # new rows that a question waits for, however long it takes
    tail_share: float = 0.125  # added since the snapshot: then a new one is made
    dead_share: float = 0.2  # ended since the snapshot: then it is compacted


SIZES = Sizes()
