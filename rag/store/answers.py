"""Stored answers: whatever replays them and shows them again, word for word."""

from __future__ import annotations

from typing import Any

from sqlalchemy import insert, select

from rag.domain import Answer, Citation, Passage, Replay, Usage, Verdict
from rag.errors import UnknownAnswer
from rag.store.tables import AnswerRow, AnswerSourceRow
from rag.store.transaction import Transaction
from rag.wire import from_json, to_json


class SqlAnswers:
    def __init__(self, tx: Transaction) -> None:
        self._tx = tx

    def add(self, answer: Answer) -> None:
        """Raises Conflict when the id is known or the collection is not."""
        session = self._tx.write()
        session.add(
            AnswerRow(
                id=answer.id,
                collection=answer.collection,
                user=answer.user,
                question=answer.question,
                text=answer.text,
                verdict=answer.verdict.value,
                confidence=answer.confidence,
                citations=to_json(answer.citations),
                passages=to_json(answer.passages),
                timings=to_json(answer.timings),
                replay=to_json(answer.replay),
                usage=None if answer.usage is None else to_json(answer.usage),
                created=answer.created,
            )
        )
        session.flush()
        if rests_on := sources(answer):
            session.execute(insert(AnswerSourceRow), rests_on)

    def get(self, id: str) -> Answer:
        row = self._tx.read().scalar(select(AnswerRow).where(AnswerRow.id == id))
        if row is None:
            raise UnknownAnswer(f"there is no answer {id!r:.100}")
        if row.erased is not None:
            raise UnknownAnswer(
                f"answer {id} was erased on {row.erased:%Y-%m-%d} with a document it rested on"
            )
        return _noun(row)

    def recent(self, collection: str, user: str, limit: int) -> list[Answer]:
        """The user's own, newest first."""
        query = select(AnswerRow).where(
            AnswerRow.collection == collection,
            AnswerRow.user == user,
            AnswerRow.erased.is_(None),
        )
        rows = self._tx.read().scalars(query.order_by(AnswerRow.number.desc()).limit(limit))
        return [_noun(row) for row in rows]


def sources(answer: Answer) -> list[dict[str, Any]]:
    """The rows of `answer_sources` of an answer."""
    shared = {"answer": answer.id, "generation": answer.replay.generation}
    given = {(passage.chunk.id, passage.document) for passage in answer.passages}
    named = {("", copy.document) for passage in answer.passages for copy in passage.also}
    return [
        shared | {"chunk": chunk, "document": document} for chunk, document in sorted(given | named)
    ]


def _noun(row: AnswerRow) -> Answer:
    return Answer(
        id=row.id,
        collection=row.collection,
        question=row.question,
        text=row.text,
        verdict=Verdict(row.verdict),
        confidence=row.confidence,
        citations=tuple(from_json(Citation, item) for item in row.citations),
        passages=tuple(from_json(Passage, item) for item in row.passages),
        timings={stage: float(seconds) for stage, seconds in row.timings.items()},
        replay=from_json(Replay, row.replay),
        user=row.user,
        created=row.created,
        usage=None if row.usage is None else from_json(Usage, row.usage),
    )
