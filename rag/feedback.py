"""A user says whether an answer was right, and what would have been."""

from __future__ import annotations

from datetime import UTC, datetime
from uuid import uuid4

from rag.domain import Feedback, Opinion, Principal
from rag.errors import BadInput
from rag.ports import Store
from rag.reach import answer_for

LONGEST = 2000  # characters of a correction


def give_feedback(
    store: Store, who: Principal, answer: str, verdict: Opinion, correction: str = ""
) -> Feedback:
    """Keep the opinion of `who` in place of an earlier one; whoever may see the answer may have
    one. `correction` may stand beside WRONG only. Raises UnknownAnswer, BadInput."""
    said = correction.strip()
    if said and verdict is Opinion.RIGHT:
        raise BadInput("an answer that was right has no correction; say that it was wrong")
    if len(said) > LONGEST:
        raise BadInput(f"the correction has {len(said)} characters; at most {LONGEST} are kept")
    with store() as work:
        held = answer_for(work, answer, who)
        feedback = Feedback(
            id=uuid4().hex,
            answer=held.id,
            collection=held.collection,
            user=who.user,
            question=held.replay.read or held.question,
            verdict=verdict,
            correction=said,
            passages=held.replay.context,
            cited=tuple(dict.fromkeys(citation.chunk for citation in held.citations)),
            created=datetime.now(UTC),
        )
        work.feedback.give(feedback)
        work.audit.add(who.user, "feedback", held.id, {"verdict": verdict.value})
        work.commit()
    return feedback
