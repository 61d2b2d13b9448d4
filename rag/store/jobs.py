"""The jobs table: the truth about work, of which the broker only reminds the workers."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta

from sqlalchemy import and_, exists, func, or_, select, update
from sqlalchemy.orm import Session, aliased

from rag.domain import Job, JobState
from rag.errors import Conflict, NotFound
from rag.store.tables import DocumentRow, JobRow
from rag.store.transaction import Transaction

WAITING = (JobState.QUEUED.value, JobState.RUNNING.value)
_ERROR_LENGTH = 2_000
# one that somebody waits for, if there is any; else one of a bulk load
_UNTRIED = (
    select(JobRow)
    .where(JobRow.state == JobState.QUEUED.value, JobRow.attempts == 0, JobRow.error == "")
    .order_by(JobRow.bulk, JobRow.number)
)


class SqlJobs:
    """A job is poisoned by the lease after its `max_attempts`th attempt, where that one is known to
    have ended by the document's fault, and after twice as many where its worker was lost each time
    and nobody saw why.

    `lease` must be committed whatever it returns: None may mean that it marked the job poisoned.
    """

    def __init__(self, tx: Transaction, max_attempts: int) -> None:
        self._tx = tx
        self._max_attempts = max_attempts

    def get(self, id: str) -> Job:
        """Raises NotFound."""
        row = self._tx.read().scalar(select(JobRow).where(JobRow.id == id))
        if row is None:
            raise NotFound(f"there is no job {id!r:.100}")
        return job_noun(row)

    def all(self, collection: str, states: Sequence[JobState] = ()) -> list[Job]:
        query = select(JobRow).where(JobRow.collection == collection)
        if states:
            query = query.where(JobRow.state.in_([state.value for state in states]))
        rows = self._tx.read().scalars(query.order_by(JobRow.number.desc()))
        return [job_noun(row) for row in rows]

    def inside(self, document: str) -> list[Job]:
        later = aliased(JobRow)
        newest = ~exists().where(later.document == JobRow.document, later.number > JobRow.number)
        query = (
            select(JobRow)
            .join(DocumentRow, DocumentRow.id == JobRow.document)
            .where(DocumentRow.parent == document, DocumentRow.gone.is_(None), newest)
        )
        return [job_noun(row) for row in self._tx.read().scalars(query.order_by(JobRow.name))]

    def counts(self) -> dict[JobState, int]:
        query = select(JobRow.state, func.count()).group_by(JobRow.state)
        found = {row[0]: row[1] for row in self._tx.read().execute(query)}
        return {state: found.get(state.value, 0) for state in JobState}

    def first(self, named: str) -> str | None:
        session = self._tx.read()
        row = session.scalar(select(JobRow).where(JobRow.id == named))
        due = row is not None and _free(row, self._tx.now())
        if row is not None and due and not row.bulk:
            return named
        # one that was tried waits for its own message: put back again and again, it would be in
        # the way of all others
        oldest = session.scalar(_UNTRIED.limit(1))
        if oldest is not None and not (due and oldest.bulk):
            return oldest.id
        return named if due else None

    def take_bulk(self, worker: str, seconds: float, most: int) -> list[Job]:
        session = self._tx.write()
        oldest = _UNTRIED.limit(most).with_for_update(skip_locked=True)
        rows = [*session.scalars(oldest.execution_options(populate_existing=True))]
        if not rows or not rows[0].bulk:
            return []
        now = self._tx.now()
        for row in rows:
            row.state, row.attempts, row.updated = JobState.RUNNING.value, 1, now
            row.lease_owner, row.lease_until = worker, now + timedelta(seconds=seconds)
        session.flush()
        return [job_noun(row) for row in rows]

    def lease(self, id: str, worker: str, seconds: float) -> Job | None:
        session = self._tx.write()
        row = held_job(session, id)
        now = self._tx.now()
        if row is None or not _free(row, now):
            return None
        row.updated = now
        lost = row.state == JobState.RUNNING  # else the attempt's own worker put it back
        if row.attempts >= self._max_attempts * (1 + lost):
            _end(row, JobState.POISONED, _poison(row), now)
        else:
            row.state = JobState.RUNNING.value
            row.attempts += 1
            row.lease_owner, row.lease_until = worker, now + timedelta(seconds=seconds)
        session.flush()
        return job_noun(row) if row.state == JobState.RUNNING else None

    def heartbeat(self, id: str, worker: str, seconds: float, step: str, progress: float) -> bool:
        return not self.heartbeats(worker, seconds, {id: (step, progress)})

    def heartbeats(
        self, worker: str, seconds: float, shown: Mapping[str, tuple[str, float]]
    ) -> set[str]:
        session = self._tx.write()
        held = select(JobRow.id).where(
            JobRow.id.in_(list(shown)),
            JobRow.state == JobState.RUNNING.value,
            JobRow.lease_owner == worker,
        )
        kept = list(session.scalars(held.order_by(JobRow.number).with_for_update()))
        now = self._tx.now()
        places: dict[tuple[str, float], list[str]] = {}
        for id in kept:
            places.setdefault(shown[id], []).append(id)
        for (step, progress), ids in places.items():
            values = {"step": step, "progress": min(1.0, max(0.0, progress)), "updated": now}
            values["lease_until"] = now + timedelta(seconds=seconds)
            session.execute(update(JobRow).where(JobRow.id.in_(ids)).values(values))
        return set(shown).difference(kept)

    def fail(self, id: str, worker: str, error: str) -> None:
        """A worker that has lost the lease has no say any more: nothing changes."""
        session = self._tx.write()
        row = held_job(session, id)
        if row is not None and held_by(row, worker):
            _end(row, JobState.FAILED, error, self._tx.now())
            session.flush()

    def release(self, id: str, worker: str, error: str, *, counted: bool) -> None:
        """As `fail`, a worker without the lease changes nothing."""
        session = self._tx.write()
        row = held_job(session, id)
        if row is not None and held_by(row, worker):
            _end(row, JobState.QUEUED, error, self._tx.now())
            row.attempts -= not counted
            session.flush()

    def retry(self, id: str) -> Job:
        """Raises NotFound; Conflict when the job did not fail, or a later upload or a deletion of
        the document has made it pointless."""
        session = self._tx.write()
        row = held_job(session, id)
        if row is None:
            raise NotFound(f"there is no job {id!r:.100}")
        if row.state not in (JobState.FAILED, JobState.POISONED, JobState.CANCELLED):
            raise Conflict(
                f"the job of {row.name!r} is {row.state}; only a failed or cancelled one is retried"
            )
        later = exists().where(JobRow.document == row.document, JobRow.number > row.number)
        gone = exists().where(DocumentRow.id == row.document, DocumentRow.gone.is_not(None))
        if session.scalar(select(or_(later, gone))):
            raise Conflict(f"{row.name!r} was uploaded again or deleted since; upload it again")
        _end(row, JobState.QUEUED, "", self._tx.now())
        row.attempts, row.progress, row.step = 0, 0.0, ""
        row.bulk = False  # somebody waits for it now
        session.flush()
        return job_noun(row)

    def cancel(self, id: str, user: str) -> Job:
        """Raises NotFound; Conflict when the job has ended."""
        session = self._tx.write()
        row = held_job(session, id)
        if row is None:
            raise NotFound(f"there is no job {id!r:.100}")
        if row.state not in WAITING:
            raise Conflict(f"the job of {row.name!r} is {row.state}; there is nothing to cancel")
        _end(row, JobState.CANCELLED, f"cancelled by {user}", self._tx.now())
        session.flush()
        return job_noun(row)

    def cancel_rereads(self, collection: str, user: str) -> int:
        session = self._tx.write()
        ended = update(JobRow).where(
            JobRow.collection == collection, JobRow.reread.is_(True), JobRow.state.in_(WAITING)
        )
        done = session.execute(
            ended.values(
                state=JobState.CANCELLED.value,
                error=f"cancelled by {user}",
                lease_owner=None,
                lease_until=None,
                updated=self._tx.now(),
            ).returning(JobRow.id)
        )
        return len(done.all())

    def rereading(self, collection: str) -> int:
        query = select(func.count()).where(
            JobRow.collection == collection, JobRow.reread.is_(True), JobRow.state.in_(WAITING)
        )
        return self._tx.read().scalar(query) or 0

    def unfinished(self) -> bool:
        query = select(JobRow.id).where(JobRow.state.in_(WAITING)).limit(1)
        return self._tx.read().scalar(query) is not None

    def waited_for(self) -> bool:
        query = select(JobRow.id).where(
            JobRow.state == JobState.QUEUED.value, JobRow.bulk.is_(False)
        )
        return self._tx.read().scalar(query.limit(1)) is not None

    def due(self) -> list[str]:
        session = self._tx.read()
        job = aliased(JobRow)
        expired = and_(job.state == JobState.RUNNING.value, job.lease_until <= self._tx.now())
        query = select(job.id).where(or_(job.state == JobState.QUEUED.value, expired))
        return list(session.scalars(query.order_by(job.bulk, job.number)))


def held_jobs(session: Session, ids: Iterable[str]) -> list[JobRow]:
    """The jobs' rows in the order of acceptance, in which all lock them: no deadlock. Locked until
    the transaction ends."""
    query = select(JobRow).where(JobRow.id.in_(list(ids))).order_by(JobRow.number)
    options = {"populate_existing": True}
    return list(session.scalars(query.with_for_update().execution_options(**options)))


def held_job(session: Session, id: str) -> JobRow | None:
    """The job's row, locked until the transaction ends."""
    return next(iter(held_jobs(session, [id])), None)


def held_by(row: JobRow, worker: str) -> bool:
    """A lease that ran out but was taken by nobody else still counts: its work is not wasted."""
    return row.state == JobState.RUNNING and row.lease_owner == worker


def job_noun(row: JobRow) -> Job:
    return Job(
        id=row.id,
        collection=row.collection,
        document=row.document,
        name=row.name,
        sha256=row.sha256,
        state=JobState(row.state),
        attempts=row.attempts,
        step=row.step,
        progress=row.progress,
        error=row.error,
        version=row.version,
        generation=row.generation,
        created=row.created,
        updated=row.updated,
        bulk=row.bulk,
        reread=row.reread,
    )


def _free(row: JobRow, now: datetime) -> bool:
    if row.state == JobState.RUNNING:
        return row.lease_until is None or row.lease_until <= now
    return row.state == JobState.QUEUED


def _end(row: JobRow, state: JobState, error: str, now: datetime) -> None:
    row.state, row.error = state.value, error.replace("\0", " ")[:_ERROR_LENGTH]
    row.lease_owner = row.lease_until = None
    row.updated = now


def _poison(row: JobRow) -> str:
    reason = row.error or "its worker died"
    where = f" in step {row.step!r}" if row.step else ""
    return f"given up after {row.attempts} attempts; the last one ended{where}: {reason}"
