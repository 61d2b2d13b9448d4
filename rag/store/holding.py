"""Blobs and the rows that name them: a purge never takes away what somebody is about to name."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from sqlalchemy import func, select, text
from sqlalchemy.orm import Session

from rag.domain import JobState
from rag.store.tables import JobRow, VersionRow

_LOCK = 0x417474657342  # the name of PostgreSQL's advisory lock
_AT_ONCE = 500  # names in one statement
_NOTE = text("INSERT INTO unused_blobs (sha256) VALUES (:sha256) ON CONFLICT DO NOTHING")


def name_blobs(session: Session) -> None:
    """Before rows that name blobs are written: no purge removes a blob until this transaction ends.
    One that it removed before is seen missing now, and can be put again."""
    if session.get_bind().dialect.name == "postgresql":  # on SQLite one writer is alone anyway
        session.execute(select(func.pg_advisory_xact_lock_shared(_LOCK)))


def hold_blobs(session: Session) -> None:
    """Before blobs are removed: nobody begins to name one until this transaction ends."""
    if session.get_bind().dialect.name == "postgresql":
        session.execute(select(func.pg_advisory_xact_lock(_LOCK)))


def unnamed(session: Session, names: Sequence[str]) -> set[str]:
    """Those of the blobs that no version names, and no job that is not done."""
    found = set(names)
    asked = list(found)
    for at in range(0, len(asked), _AT_ONCE):
        some = asked[at : at + _AT_ONCE]
        for column in (VersionRow.sha256, VersionRow.text_blob, VersionRow.layout_blob):
            found.difference_update(session.scalars(select(column).where(column.in_(some))))
        jobs = select(JobRow.sha256).where(
            JobRow.sha256.in_(some), JobRow.state != JobState.DONE.value
        )
        found.difference_update(session.scalars(jobs))
    return found


def note_unused(session: Session, names: Iterable[str | None]) -> None:
    """Have them looked at by the next purge: the rows that named them are about to go."""
    if rows := [{"sha256": name} for name in sorted({name for name in names if name is not None})]:
        session.execute(_NOTE, rows)
