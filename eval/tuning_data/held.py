"""Passages of a collection as training sees them, and the documents that records were made from.

An adapter answers whoever may ask it, and what it learnt cannot be taken back from one reader.
So only documents that every reader of the collection may read are trained on (PERMITTED).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from models.training.records import Record, TrainingPassage
from rag.domain import Filter, Passage, Source
from rag.ports import UnitOfWork

_BATCH = 500  # ids in one query
_ID = re.compile(r"attest:(?P<document>[^/]+)/(?P<version>[^/]+)/(?P<chunk>[^/]+)")


@dataclass(frozen=True, slots=True)
class Held:
    """A live chunk that every reader of its collection may read. `passage` is what the reader is
    shown of it, title and headings first."""

    document: str
    document_name: str
    headings: tuple[str, ...]
    passage: TrainingPassage


def held_passages(work: UnitOfWork, collection: str) -> list[Held]:
    """All of a collection (an id), in the order they came in. Raises UnknownCollection."""
    delta = work.chunks.since(work.embeddings.current(collection).id, 0)
    open_to_all = [row.chunk for row in delta.born if row.died is None and row.readers is None]
    del delta  # it holds every vector
    return [held for held in open_passages(work, collection, open_to_all) if held is not None]


def open_passages(work: UnitOfWork, collection: str, chunks: Sequence[str]) -> list[Held | None]:
    """Those of `chunks` that are live and that every reader of the collection may read, each in
    its place; None for the others."""
    owner = work.collections.get(collection)
    permitted = Filter(owner.generation, frozenset(owner.rights))
    found: dict[str, Passage] = {}
    for start in range(0, len(chunks), _BATCH):
        batch = chunks[start : start + _BATCH]
        found |= {p.chunk.id: p for p in work.chunks.passages(collection, batch, permitted)}
    whole = {id for id in {p.document for p in found.values()} if _open(work, id)}
    return [
        _held(found[id]) if id in found and found[id].document in whole else None for id in chunks
    ]


def lineage(records: Iterable[Record]) -> tuple[Source, ...]:
    """The versions of documents whose passages stand in the records, sorted; files from elsewhere
    add none."""
    made_from = {
        Source(found["document"], found["version"])
        for record in records
        for passage in record.passages
        if (found := _ID.fullmatch(passage.id))
    }
    return tuple(sorted(made_from, key=lambda source: (source.document, source.version)))


def _open(work: UnitOfWork, document: str) -> bool:
    return work.documents.get(document).readers is None


def _held(passage: Passage) -> Held:
    chunk = passage.chunk
    return Held(
        document=passage.document,
        document_name=passage.document_name,
        headings=chunk.heading_path,
        passage=TrainingPassage(
            id=f"attest:{passage.document}/{chunk.version}/{chunk.id}",
            title=" > ".join(part for part in (passage.title, *chunk.heading_path) if part),
            text=chunk.text,
        ),
    )
