"""Which passages hold an answer that a person wrote."""

from __future__ import annotations

from collections.abc import Sequence

from models.training.records import TrainingPassage, contains_answer
from rag.analyse import analyse
from rag.verify import support

LEAST_SUPPORT = 0.8  # of an answer that stands in no passage word for word
_YES_NO = ("yes", "no", "maybe")


def grounds(answer: str, question: str, passages: Sequence[TrainingPassage]) -> list[str]:
    """Ids of the passages that spell the answer out, nearest to the question first; where none
    does, of the one that supports it best, if any does by `LEAST_SUPPORT`."""
    wanted = answer.rstrip(".").strip()
    spelt = [
        passage
        for passage in passages
        if wanted.lower() in passage.text.lower() and contains_answer(passage, [wanted])
    ]
    if spelt:
        asked = set(analyse(question))
        near = sorted(spelt, key=lambda p: -len(asked & set(analyse(p.shown))))
        return [passage.id for passage in near]
    if wanted.lower() in _YES_NO:
        return []
    scored = [(support(passage.text, answer), passage.id) for passage in passages]
    best, id = max(scored, default=(0.0, ""))
    return [id] if best >= LEAST_SUPPORT else []


def kind_of(answer: str, gold: Sequence[TrainingPassage]) -> str:
    """The record's kind: yesno, span (some gold passage spells it out) or free."""
    if answer.rstrip(".").lower() in _YES_NO:
        return "yesno"
    if not answer or any(contains_answer(passage, [answer.rstrip(".")]) for passage in gold):
        return "span"
    return "free"
