"""Records from what users said of answers: a right answer is to be learnt, a corrected one by its
correction. An opinion that does not say what would have been right teaches nothing here.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from eval.tuning_data.grounding import grounds, kind_of
from eval.tuning_data.held import Held, open_passages
from models.training.records import Record
from rag.domain import NOT_HELD, Feedback, Opinion, Verdict
from rag.ports import UnitOfWork

DATASET = "feedback"
_MARKERS = re.compile(r"\s*\[\d+\]")


def from_feedback(work: UnitOfWork, collection: str) -> list[Record]:
    """One record for each question of a collection (an id) on which the last opinion can be used,
    oldest first. Left out are opinions on answers that read a document that not every reader of
    the collection may read, those whose cited passages are no longer live, and corrections that no
    passage of the prompt bears out (nothing could be cited for them). Raises UnknownCollection."""
    work.collections.get(collection)
    last = {" ".join(held.question.lower().split()): held for held in work.feedback.all(collection)}
    made = (_record(work, collection, held) for held in last.values())
    return [record for record in made if record is not None]


def _record(work: UnitOfWork, collection: str, said: Feedback) -> Record | None:
    answer = _right_answer(work, said)
    if answer is None or _read_narrowed(work, said):
        return None
    found = open_passages(work, collection, said.passages)
    shown = [held for held in found if held is not None]
    gold = _gold(said, answer, found) if answer else []
    if (answer and not gold) or not shown:
        return None
    first = gold[0] if gold else shown[0]
    return Record(
        id=f"{DATASET}:{said.id}",
        dataset=DATASET,
        doc=first.document,
        question=said.question,
        passages=tuple(held.passage for held in [*gold, *(h for h in shown if h not in gold)]),
        gold=tuple(held.passage.id for held in gold),
        answers=(answer,) if answer else (),
        kind=kind_of(answer, [held.passage for held in gold]),
        target=answer,
    )


def _right_answer(work: UnitOfWork, said: Feedback) -> str | None:
    """The text to learn; "" where a refusal would be right, None where nobody said what would."""
    if said.verdict is Opinion.WRONG:
        refuse = said.correction.rstrip(".").casefold() == NOT_HELD.rstrip(".").casefold()
        return "" if refuse else " ".join(said.correction.split()) or None
    answer = work.answers.get(said.answer)
    if answer.verdict is Verdict.REFUSED:
        return ""
    return " ".join(_MARKERS.sub("", answer.text).split())


def _read_narrowed(work: UnitOfWork, said: Feedback) -> bool:
    """Whether the answer saw a document of narrowed readers: then neither question nor answer may
    be learnt, whatever of it could be shown."""
    sources = {passage.document for passage in work.answers.get(said.answer).passages}
    return any(work.documents.get(id).readers is not None for id in sources)


def _gold(said: Feedback, answer: str, found: Sequence[Held | None]) -> list[Held]:
    """The passages that hold the answer: those cited, if all are live; for a correction those that
    bear it out."""
    if said.verdict is Opinion.RIGHT:
        cited = [held for id, held in zip(said.passages, found, strict=True) if id in said.cited]
        return [held for held in cited if held is not None] if None not in cited else []
    held = [each for each in found if each is not None]
    gold = set(grounds(answer, said.question, [each.passage for each in held]))
    return [each for each in held if each.passage.id in gold]
