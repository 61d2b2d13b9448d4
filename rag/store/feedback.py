"""What users say of answers, in SQL."""

from __future__ import annotations

from sqlalchemy import delete, select

from rag.domain import Feedback, Opinion
from rag.errors import UnknownAnswer
from rag.store.tables import AnswerRow, FeedbackRow
from rag.store.transaction import Transaction


class SqlFeedback:
    def __init__(self, tx: Transaction) -> None:
        self._tx = tx

    def give(self, feedback: Feedback) -> None:
        session = self._tx.write()
        held = select(AnswerRow.id).where(AnswerRow.id == feedback.answer)
        if session.scalar(held.with_for_update()) is None:  # two clicks wait for each other
            raise UnknownAnswer(f"there is no answer {feedback.answer!r:.100}")
        earlier = (FeedbackRow.answer == feedback.answer, FeedbackRow.user == feedback.user)
        session.execute(delete(FeedbackRow).where(*earlier))
        session.add(
            FeedbackRow(
                id=feedback.id,
                answer=feedback.answer,
                collection=feedback.collection,
                user=feedback.user,
                question=feedback.question,
                verdict=feedback.verdict.value,
                correction=feedback.correction,
                passages=list(feedback.passages),
                cited=list(feedback.cited),
                created=feedback.created,
            )
        )
        session.flush()

    def given(self, answer: str, user: str) -> Feedback | None:
        query = select(FeedbackRow).where(FeedbackRow.answer == answer, FeedbackRow.user == user)
        row = self._tx.read().scalar(query)
        return None if row is None else _noun(row)

    def all(self, collection: str) -> list[Feedback]:
        query = select(FeedbackRow).where(FeedbackRow.collection == collection)
        return [_noun(row) for row in self._tx.read().scalars(query.order_by(FeedbackRow.number))]


def _noun(row: FeedbackRow) -> Feedback:
    return Feedback(
        id=row.id,
        answer=row.answer,
        collection=row.collection,
        user=row.user,
        question=row.question,
        verdict=Opinion(row.verdict),
        correction=row.correction,
        passages=tuple(row.passages),
        cited=tuple(row.cited),
        created=row.created,
    )
