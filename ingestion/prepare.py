"""A document up to where it waits for the encoder.

bytes -> parse in the sandbox -> examine -> chunk
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from ingestion.care.examine import examine
from ingestion.chunk import chunk, indexed_text
from ingestion.lease import Lease
from ingestion.limits import Limits
from ingestion.sandbox import Outcome, limits_of
from rag.bootstrap import Attest
from rag.changes import personal_policy
from rag.domain import Chunk, Findings, Job, PersonalPolicy
from rag.errors import UnreadableDocument
from rag.ports import Embedder

Read = Callable[[bytes, str, Limits], Outcome]


@dataclass(frozen=True, slots=True)
class Prepared:
    """`indexed[i]` is what is embedded for `chunks[i]`, by the `embedder` whose vectors questions
    of the collection read; `size` is the file's, in bytes."""

    job: Job
    lease: Lease
    size: int
    outcome: Outcome
    findings: Findings
    embedder: Embedder
    chunks: Sequence[Chunk]
    indexed: Sequence[str]

    @property
    def held(self) -> int:
        """Bytes that are kept in memory while it waits, roughly."""
        layout = self.outcome.layout or b""
        inside = sum(len(member.data) for member in self.outcome.parsed.members)
        return 4 * len(self.outcome.parsed.text) + len(layout) + inside


@dataclass(frozen=True, slots=True)
class Terms:
    """What holds for the documents of a collection when they are prepared."""

    policy: PersonalPolicy
    embedder: Embedder


def terms_of(attest: Attest, collection: str) -> Terms:
    """As they are now. Raises NotFound, Unavailable."""
    with attest.store() as work:
        policy = personal_policy(work.collections.get(collection))
        identity = work.embeddings.current(collection).embedder
    return Terms(policy, attest.embedders.of(identity))


def version_of(job: Job) -> str:
    """The id of the version a job makes: one for each job, the same in every attempt."""
    return hashlib.sha256(f"version:{job.id}".encode()).hexdigest()[:32]


def prepare(attest: Attest, job: Job, lease: Lease, read: Read, terms: Terms) -> Prepared:
    """Raises LeaseLost, UnreadableDocument and its leaves, RefusedContent, Unavailable."""
    lease.report("parsing", 0.0)
    data = attest.blobs.get(job.sha256)
    try:
        with lease.reading():
            outcome = read(data, job.name, limits_of(attest.settings))
    except UnreadableDocument:
        lease.check()  # a reading that was given up looks like a crash
        raise
    lease.report("examining", 0.1)
    examined = examine(outcome.parsed, terms.policy)
    outcome = replace(outcome, parsed=examined.parsed)
    return _cut(attest, job, lease, len(data), outcome, examined.findings, terms.embedder)


def prepared_again(attest: Attest, document: Prepared) -> Prepared | None:
    """For the embedder that has taken over its collection; None: it is still the same."""
    embedder = terms_of(attest, document.job.collection).embedder
    if embedder.identity == document.embedder.identity:
        return None
    return _cut(
        attest,
        document.job,
        document.lease,
        document.size,
        document.outcome,
        document.findings,
        embedder,
    )


def _cut(
    attest: Attest,
    job: Job,
    lease: Lease,
    size: int,
    outcome: Outcome,
    findings: Findings,
    embedder: Embedder,
) -> Prepared:
    lease.report("chunking", 0.15)
    chunks = _chunks(attest, job, outcome, embedder)
    indexed = [indexed_text(outcome.parsed.title, each) for each in chunks]
    return Prepared(job, lease, size, outcome, findings, embedder, chunks, indexed)


def _chunks(attest: Attest, job: Job, outcome: Outcome, embedder: Embedder) -> list[Chunk]:
    parsed = outcome.parsed
    return chunk(
        parsed.text,
        parsed.blocks,
        version_of(job),
        parsed.title,
        embedder.count_tokens,
        attest.settings.chunk_tokens,
        embedder.max_tokens,
        attest.settings.chunk_overlap_tokens,
    )
