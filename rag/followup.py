"""A question that follows on earlier ones: what is searched for, and what the reader is asked.

No model rewrites it. A question that leans on what was said before by its words (it goes on, points
back, or says too little) is searched together with the turn before it, and the reader is shown the
conversation in the form it was trained on. Any other question is left alone, so that a change of
subject is not dragged back.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from rag.analyse import analyse
from rag.domain import Turn

CARRIED = 2  # earlier questions that may be searched along
SAID = 60  # words of the last answer that are searched along
READ = 2  # earlier turns that the reader is shown
_LITTLE, _LITTLE_POINTING = 3, 4  # content words, without and with a word that points back

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


@dataclass(frozen=True, slots=True)
class Resolved:
    """Both are the question itself where it stands alone."""

    searched: str
    read: str


def resolve(question: str, history: Sequence[Turn], most: int) -> Resolved:
    """`history` is the conversation so far, oldest first. Neither text is longer than `most`
    characters: what is oldest goes first."""
    turns = [_plain(turn) for turn in history if turn.question.strip()]
    if not turns or not leans(question):
        return Resolved(question, question)
    carried = [turns[-1].question]
    while len(carried) < min(CARRIED, len(turns)) and leans(carried[0]):
        carried.insert(0, turns[-1 - len(carried)].question)
    if turns[-1].answer:
        carried.append(" ".join(turns[-1].answer.split()[:SAID]))
    shown = [line for turn in turns[-READ:] for line in _lines(turn)]
    return Resolved(_within(most, carried, question), _within(most, shown, question))


def leans(question: str) -> bool:
    """Whether the question can hardly be understood alone."""
    if _GOING_ON.match(question):
        return True
    points = not _POINTING.isdisjoint(re.findall(r"[\w']+", question.casefold()))
    return len(set(analyse(question))) <= (_LITTLE_POINTING if points else _LITTLE)


def _plain(turn: Turn) -> Turn:
    """On one line each, without markers: their passages are not in this prompt."""
    said = " ".join(_MARKER.sub("", turn.answer).split())
    return Turn(" ".join(turn.question.split()), said)


def _lines(turn: Turn) -> list[str]:
    """As the reader was trained to see them (`models.training.records.with_history`)."""
    asked = [f"user: {turn.question}"]
    return [*asked, f"agent: {turn.answer}"] if turn.answer else asked


def _within(most: int, before: Sequence[str], question: str) -> str:
    lines = list(before)
    while lines and sum(map(len, lines)) + len(lines) + len(question) > most:
        lines.pop(0)
    return "\n".join([*lines, question])
