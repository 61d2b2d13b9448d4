"""A question that follows on earlier ones: what is searched for, and what the reader is asked.

No model rewrites it. A question that leans on what was said before (it points back, or is about the
same as the question before it) is searched together with that question, and the reader is shown the
conversation in the form it was trained on. Any other question is left alone, so that a change of
subject is not dragged back.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from rag.analyse import analyse
from rag.domain import Turn

LEANING = 0.25  # cosine to the question before it, from which on a question is about the same
CARRIED = 2  # earlier questions that may be searched along
READ = 2  # earlier turns that the reader is shown
_FEW = 2  # content words

_WORDS = """
it its they them their theirs this that these those he him his she her hers here there one ones
such same either both neither another other others else
"""
_POINTING = frozenset(_WORDS.split())
_GOING_ON = re.compile(
    r"\s*(?:and|but|or|so|also|then|ok|okay|yes|yeah|no|sure|what about|how about|what else)\b",
    re.IGNORECASE,
)
_MARKER = re.compile(r"\s*\[\d+\]")

Likeness = Callable[[Sequence[str]], Sequence[float]]  # the first text's cosine to each other one


@dataclass(frozen=True, slots=True)
class Resolved:
    """Both are the question itself where it stands alone."""

    searched: str
    read: str


def resolve(question: str, history: Sequence[Turn], alike: Likeness, most: int) -> Resolved:
    """`history` is the conversation so far, oldest first. Neither text is longer than `most`
    characters: the oldest turns go first."""
    turns = [turn for turn in history if turn.question.strip()]
    carried: list[str] = []
    asked = question
    while turns[: len(turns) - len(carried)] and len(carried) < CARRIED:
        before = turns[len(turns) - len(carried) - 1].question.strip()
        if not leans(asked, before, alike):
            break
        carried.insert(0, before)
        asked = before
    if not carried:
        return Resolved(question, question)
    lines = [line for turn in turns[-READ:] for line in _lines(turn)]
    return Resolved(_within(most, carried, question), _within(most, lines, question))


def leans(question: str, before: str, alike: Likeness) -> bool:
    """Whether the question cannot be understood, or is hardly meant, without the one before it."""
    words = re.findall(r"[\w']+", question.casefold())
    if not _POINTING.isdisjoint(words) or _GOING_ON.match(question):
        return True
    return len(set(analyse(question))) <= _FEW or alike([question, before])[0] >= LEANING


def _lines(turn: Turn) -> list[str]:
    """As the reader was trained to see them (`models.training.records.with_history`)."""
    said = " ".join(_MARKER.sub("", turn.answer).split())
    asked = " ".join(turn.question.split())
    return [f"user: {asked}", f"agent: {said}"] if said else [f"user: {asked}"]


def _within(most: int, before: Sequence[str], question: str) -> str:
    lines = list(before)
    while lines and sum(map(len, lines)) + len(lines) + len(question) > most:
        lines.pop(0)
    return "\n".join([*lines, question])
