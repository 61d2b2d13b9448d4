"""Whether every file handed in is indexed exactly once, or failed with a reason: asked of the API
and counted in the database. Each function returns what is wrong, one line each."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from sqlalchemy import select
from sqlalchemy.orm import Session

from rag.client import Client
from rag.domain import JobState
from rag.store.engine import make_engine
from rag.store.tables import AuditRow, ChunkRow, DocumentRow, GenerationRow, JobRow, VersionRow


def by_api(client: Client, collection: str, names: Iterable[str]) -> list[str]:
    """One document for each name; done with a live version, or failed with a reason and without."""
    shelves = client.library(collection)
    wrong = _differences("the library", [shelf.document.name for shelf in shelves], names)
    for shelf in shelves:
        name, job, version = shelf.document.name, shelf.job, shelf.version
        if job is None:
            wrong.append(f"{name}: has no job")
        elif job.state is JobState.DONE:
            if version is None or version.id != job.version or version.died is not None:
                wrong.append(f"{name}: its job is done, but its version is not the live one")
        elif job.state is not JobState.FAILED:
            wrong.append(f"{name}: its job is {job.state.value}")
        elif not job.error or version is not None:
            wrong.append(f"{name}: failed without a reason, or has a version all the same")
    return wrong


@dataclass(frozen=True)
class Rows:
    """One document's rows in the database."""

    name: str
    jobs: list[JobRow]
    versions: list[VersionRow]
    chunks: list[tuple[str, str, int, int | None]]  # chunk, version, born, died
    generations: int
    publications: int

    def wrong(self) -> Iterator[str]:
        if len(self.jobs) != 1:
            yield f"{self.name}: {len(self.jobs)} jobs"
            return
        done = int(self.jobs[0].state == JobState.DONE)
        counts = {
            "versions": len(self.versions),
            "live versions": sum(version.died is None for version in self.versions),
            "generations": self.generations,
            "publications on record": self.publications,
        }
        for what, count in counts.items():
            if count != done:
                yield f"{self.name}: {count} {what}, expected {done}"
        for version in self.versions:
            yield from self._wrong_chunks(version)

    def _wrong_chunks(self, version: VersionRow) -> Iterator[str]:
        rows = [row for row in self.chunks if row[1] == version.id]
        live = {chunk for chunk, _, born, died in rows if born == version.born and died is None}
        if not len(rows) == len(live) == version.chunks == len(self.chunks):
            yield (
                f"{self.name}: {len(rows)} chunk rows ({len(live)} live chunks) where the version "
                f"says {version.chunks}; {len(self.chunks)} of the document"
            )


def by_sql(database: str, collection: str, names: Iterable[str]) -> list[str]:
    """`collection` is the id. For each name one document, one job, and for a job that is done one
    version, one generation, one publication and its chunks once."""
    engine = make_engine(database)
    try:
        with Session(engine) as session:
            documents = list(session.scalars(select(DocumentRow).filter_by(collection=collection)))
            found = [each.name for each in documents]
            wrong = _differences("the database", found, names)
            for document in documents:
                wrong.extend(_rows(session, document).wrong())
    finally:
        engine.dispose()
    return wrong


def _rows(session: Session, document: DocumentRow) -> Rows:
    def of(kind: type[JobRow] | type[VersionRow] | type[GenerationRow]) -> list[object]:
        return list(session.scalars(select(kind).filter_by(document=document.id)))

    chunks = select(ChunkRow.chunk, ChunkRow.version, ChunkRow.born, ChunkRow.died)
    published = select(AuditRow.number).filter_by(subject=document.id, action="publish version")
    return Rows(
        document.name,
        of(JobRow),  # type: ignore[arg-type]
        of(VersionRow),  # type: ignore[arg-type]
        [(*row,) for row in session.execute(chunks.filter_by(document=document.id))],
        len(of(GenerationRow)),
        len(list(session.scalars(published))),
    )


def _differences(where: str, found: Iterable[str], expected: Iterable[str]) -> list[str]:
    have, want = Counter(list(found)), Counter(list(expected))
    missing = [f"{where} lacks {name}" for name in (want - have).elements()]
    return missing + [f"{where} holds one {name} too many" for name in (have - want).elements()]
