"""Syncing whatever is due. Any number of schedulers and workers may ask for it: the lease in SQL
sees to it that no origin is synced twice at once."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from ingestion.origins.sync import sync
from rag.ports import Queue

if TYPE_CHECKING:
    from rag.bootstrap import Attest


def sync_due(attest: Attest, queue: Queue, attempt: Callable[[], str]) -> int:
    """How many were synced. `attempt` names each attempt anew."""
    with attest.store() as work:
        due = work.origins.due()
    return sum(sync(attest, queue, id, attempt()) is not None for id in due)
