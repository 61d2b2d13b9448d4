"""Live documents of a collection that say the same, from the hashes and signatures of versions.

Looked up when asked for and never stored: what is deleted is nobody's copy from the same generation
on. Rights are the caller's to apply.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from sqlalchemy import ColumnElement, Executable, func, select
from sqlalchemy.orm import InstrumentedAttribute, Session, aliased

from rag.domain import Copy, Sameness
from rag.ports import MOST_COPIES
from rag.resemblance import NEAR, share
from rag.store.tables import BandRow, DocumentRow, VersionRow

_COMPARED = 200  # candidates a document is compared with
_AT_ONCE = 500  # ids in one statement


class _Live(NamedTuple):
    version: str
    document: str
    name: str
    sha256: str
    text_blob: str
    signature: bytes


def copies(session: Session, collection: str, document: str | None) -> Mapping[str, Sequence[Copy]]:
    """See `rag.ports.Documents.copies`."""
    beside: dict[str, dict[str, None]] = {}  # version -> versions, in order
    for key in (VersionRow.sha256, VersionRow.text_blob):
        _put_together(session, _by_hash(collection, key, document), beside)
    _put_together(session, _by_band(collection, document), beside)
    wanted = dict.fromkeys(id for one, others in beside.items() for id in (one, *others))
    live = _live(session, list(wanted))
    found = {
        live[id].document: _likest(live[id], [live[other] for other in others if other in live])
        for id, others in beside.items()
        if id in live
    }
    return {id: said for id, said in found.items() if said and (document is None or id == document)}


def _put_together(session: Session, query: Executable, beside: dict[str, dict[str, None]]) -> None:
    """Rows of (what is shared, version): those that share something are beside each other."""
    groups: dict[str, list[str]] = {}
    for shared, version in session.execute(query):
        groups.setdefault(shared, []).append(version)
    for group in groups.values():
        for at, version in enumerate(group):
            near = beside.setdefault(version, {})
            # Of a great many the neighbours in the list: each has its copies, none has them all.
            first = max(0, min(at - MOST_COPIES // 2, len(group) - MOST_COPIES - 1))
            for other in group[first : first + MOST_COPIES + 1]:
                if other != version and len(near) < _COMPARED:
                    near[other] = None


def _is_live(collection: str) -> tuple[ColumnElement[bool], ...]:
    return VersionRow.collection == collection, VersionRow.died.is_(None)


def _by_hash(collection: str, key: InstrumentedAttribute[str], document: str | None) -> Executable:
    shared = select(key).where(*_is_live(collection))
    if document is None:
        shared = shared.group_by(key).having(func.count() > 1)
    else:
        shared = shared.where(VersionRow.document == document)
    return select(key, VersionRow.id).where(*_is_live(collection), key.in_(shared))


def _by_band(collection: str, document: str | None) -> Executable:
    other, held = aliased(BandRow), aliased(VersionRow)
    shared = (
        select(other.band)
        .join(held, held.id == other.version)
        .where(other.collection == collection, held.died.is_(None))
    )
    if document is None:
        shared = shared.group_by(other.band).having(func.count() > 1)
    else:
        shared = shared.where(held.document == document)
    return (
        select(BandRow.band, BandRow.version)
        .join(VersionRow, VersionRow.id == BandRow.version)
        .where(BandRow.collection == collection, BandRow.band.in_(shared), *_is_live(collection))
    )


def _live(session: Session, versions: Sequence[str]) -> dict[str, _Live]:
    found = {}
    for at in range(0, len(versions), _AT_ONCE):
        query = (
            select(
                VersionRow.id,
                VersionRow.document,
                DocumentRow.name,
                VersionRow.sha256,
                VersionRow.text_blob,
                VersionRow.signature,
            )
            .join(DocumentRow, DocumentRow.id == VersionRow.document)
            .where(VersionRow.id.in_(versions[at : at + _AT_ONCE]))
        )
        for id, document, name, sha256, text_blob, signature in session.execute(query):
            found[id] = _Live(id, document, name, sha256, text_blob, signature or b"")
    return found


def _likest(one: _Live, others: Sequence[_Live]) -> list[Copy]:
    found = [copy for other in others if (copy := _copy(one, other)) is not None]
    order = list(Sameness)
    found.sort(key=lambda copy: (order.index(copy.sameness), -copy.share, copy.name))
    return found[:MOST_COPIES]


def _copy(one: _Live, other: _Live) -> Copy | None:
    if one.sha256 == other.sha256:
        return Copy(other.document, other.name, Sameness.BYTES, 1.0)
    if one.text_blob == other.text_blob:
        return Copy(other.document, other.name, Sameness.TEXT, 1.0)
    shared = share(one.signature, other.signature)
    if shared < NEAR:
        return None
    return Copy(other.document, other.name, Sameness.NEAR, round(shared, 2))
