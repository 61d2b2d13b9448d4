"""The unit of work, and the store that makes them."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from types import TracebackType
from typing import Self

from sqlalchemy import Engine

from rag.ports import (
    Accounts,
    Adapters,
    Answers,
    Audit,
    Chunks,
    Collections,
    Documents,
    Embeddings,
    Jobs,
    KVBlocks,
    Opinions,
    Origins,
    Purging,
    Runs,
)
from rag.store.accounts import SqlAccounts
from rag.store.adapters import SqlAdapters
from rag.store.alone import alone
from rag.store.answers import SqlAnswers
from rag.store.audit import SqlAudit
from rag.store.chunks import SqlChunks
from rag.store.collections import SqlCollections
from rag.store.documents import SqlDocuments
from rag.store.embeddings import SqlEmbeddings
from rag.store.engine import make_engine
from rag.store.feedback import SqlFeedback
from rag.store.jobs import SqlJobs
from rag.store.origins import SqlOrigins
from rag.store.purging import SqlPurging
from rag.store.runs import SqlRuns
from rag.store.transaction import Clock, Transaction


class SqlUnitOfWork:
    """One transaction over every repository. Reads share a snapshot until the first write; leaving
    the block without `commit()` rolls back. Belongs to one thread."""

    def __init__(
        self,
        engine: Engine,
        *,
        max_attempts: int = 3,
        clock: Clock | None = None,
        kv_blocks: KVBlocks | None = None,
    ) -> None:
        self._tx = Transaction(engine, clock)
        self._kv_blocks = kv_blocks
        self.collections: Collections = SqlCollections(self._tx)
        self.documents: Documents = SqlDocuments(self._tx)
        self.jobs: Jobs = SqlJobs(self._tx, max_attempts)
        self.chunks: Chunks = SqlChunks(self._tx)
        self.embeddings: Embeddings = SqlEmbeddings(self._tx)
        self.answers: Answers = SqlAnswers(self._tx)
        self.feedback: Opinions = SqlFeedback(self._tx)
        self.accounts: Accounts = SqlAccounts(self._tx)
        self.audit: Audit = SqlAudit(self._tx)
        self.runs: Runs = SqlRuns(self._tx)
        self.adapters: Adapters = SqlAdapters(self._tx)
        self.origins: Origins = SqlOrigins(self._tx)
        self.purging: Purging = SqlPurging(self._tx)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._tx.close()

    def commit(self) -> None:
        """And then have the KV blocks of what it ended forgotten, whichever change ended it. Raises
        StoreUnavailable when they could not be: the change is committed all the same."""
        ended = self._tx.ended
        self._tx.commit()
        if self._kv_blocks is not None and ended:
            self._kv_blocks.forget(ended)


class SqlStore:
    """Call it for a unit of work. One per process; shared by its threads."""

    def __init__(
        self,
        engine: Engine,
        *,
        max_attempts: int = 3,
        clock: Clock | None = None,
        kv_blocks: KVBlocks | None = None,
    ) -> None:
        self.engine = engine
        self._max_attempts = max_attempts
        self._clock = clock
        self._kv_blocks = kv_blocks

    def __call__(self) -> SqlUnitOfWork:
        return SqlUnitOfWork(
            self.engine,
            max_attempts=self._max_attempts,
            clock=self._clock,
            kv_blocks=self._kv_blocks,
        )

    def alone(self, name: str, seconds: float) -> AbstractContextManager[Callable[[], None]]:
        """Be the only process on this database inside a block of that name; see
        `rag.store.alone`. Raises TimeoutError."""
        return alone(self.engine, name, seconds)

    def close(self) -> None:
        """Close the pooled connections; a later call opens new ones."""
        self.engine.dispose()

    def after_fork(self) -> None:
        """In a forked child: forget the parent's connections (done by itself where the platform
        can; harmless twice)."""
        self.engine.dispose(close=False)


def open_store(
    url: str,
    *,
    max_attempts: int = 3,
    clock: Clock | None = None,
    kv_blocks: KVBlocks | None = None,
) -> SqlStore:
    """The truth at `url`, already upgraded by `rag.store.migrate.upgrade`. Nothing is connected
    before the first use. `max_attempts` bounds the leases of one job; `clock` is for tests; from
    `kv_blocks` goes what was computed from text that a commit ends. Raises BadSettings."""
    engine = make_engine(url)
    return SqlStore(engine, max_attempts=max_attempts, clock=clock, kv_blocks=kv_blocks)
