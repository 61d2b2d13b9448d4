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
    wrong = _differences("the library", [shelf.document.name for shelf in shelves], set(names))
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

    def wrong(self, handed_in: int) -> Iterator[str]:
        if len(self.jobs) != handed_in:
            yield f"{self.name}: {len(self.jobs)} jobs, expected {handed_in}"
            return
        done = sum(job.state == JobState.DONE for job in self.jobs)
        live = [version for version in self.versions if version.died is None]
        counts = {
            "versions": (len(self.versions), done),
            "live versions": (len(live), min(1, done)),
            "generations": (self.generations, done),
            "publications on record": (self.publications, done),
        }
        for what, (count, expected) in counts.items():
            if count != expected:
                yield f"{self.name}: {count} {what}, expected {expected}"
        newest = [job.version for job in self.jobs if job.state == JobState.DONE][-1:]
        if newest != [version.id for version in live]:
            yield f"{self.name}: what was handed in last is not what is live"
        for version in self.versions:
            yield from self._wrong_chunks(version)
        if strange := {row[1] for row in self.chunks} - {version.id for version in self.versions}:
            yield f"{self.name}: chunks of {len(strange)} versions that do not exist"

    def _wrong_chunks(self, version: VersionRow) -> Iterator[str]:
        """A version that was overtaken before it was done never had chunks to see."""
        rows = [row for row in self.chunks if row[1] == version.id]
        span = (version.born, version.died)
        sound = {chunk for chunk, _, born, died in rows if (born, died) == span}
        expected = 0 if version.born == version.died else version.chunks
        if not len(rows) == len(sound) == expected:
            yield (
                f"{self.name}: {len(rows)} chunk rows ({len(sound)} of its life) where the version "
                f"says {expected}"
            )


def by_sql(database: str, collection: str, names: Iterable[str]) -> list[str]:
    """`collection` is the id, `names` has a document's as often as it was handed in with new bytes.
    For each name one document, for each time a job, and for a job that is done one version, one
    generation, one publication and its chunks once; the last one done is live."""
    engine = make_engine(database)
    handed_in = Counter(iter(names))
    try:
        with Session(engine) as session:
            documents = list(session.scalars(select(DocumentRow).filter_by(collection=collection)))
            found = [each.name for each in documents]
            wrong = _differences("the database", found, handed_in)
            for document in documents:
                wrong.extend(_rows(session, document).wrong(handed_in[document.name]))
    finally:
        engine.dispose()
    return wrong


def _rows(session: Session, document: DocumentRow) -> Rows:
    def of(kind: type[VersionRow] | type[GenerationRow]) -> list[object]:
        return list(session.scalars(select(kind).filter_by(document=document.id)))

    jobs = select(JobRow).filter_by(document=document.id).where(JobRow.step != "unchanged")
    chunks = select(ChunkRow.chunk, ChunkRow.version, ChunkRow.born, ChunkRow.died)
    published = select(AuditRow.number).filter_by(subject=document.id, action="publish version")
    return Rows(
        document.name,
        list(session.scalars(jobs.order_by(JobRow.number))),  # but those of bytes handed in twice
        of(VersionRow),  # type: ignore[arg-type]
        [(*row,) for row in session.execute(chunks.filter_by(document=document.id))],
        len(of(GenerationRow)),
        len(list(session.scalars(published))),
    )


def _differences(where: str, found: Iterable[str], expected: Iterable[str]) -> list[str]:
    have, want = Counter(list(found)), Counter(list(expected))
    missing = [f"{where} lacks {name}" for name in (want - have).elements()]
    return missing + [f"{where} holds one {name} too many" for name in (have - want).elements()]
