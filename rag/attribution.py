"""Leave-one-passage-out attribution: which passage an answer's sentences rest on in the model
itself, to be held against the citations."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from rag.domain import Answer, Verdict
from rag.order import ORDER, best_first, reading_order
from rag.ports import Generator
from rag.prompt import shown
from rag.sentences import marked_sentences


@dataclass(frozen=True, slots=True)
class Attribution:
    """One sentence of an answer, the markers it carries, and for each passage of the prompt how far
    its log-probability (nats) drops when that passage is left out."""

    sentence: str
    cited: tuple[int, ...]
    drops: tuple[float, ...]

    @property
    def largest(self) -> int:
        """The marker of the passage that mattered most; the first of equals."""
        return max(range(1, len(self.drops) + 1), key=lambda n: (self.drops[n - 1], -n))

    @property
    def agrees(self) -> bool:
        return self.largest in self.cited


def attribution(generator: Generator, answer: Answer) -> tuple[Attribution, ...]:
    """For every sentence of the answer, from the passages it was given. A refusal has none. Raises
    ValueError when the prompt does not fit the model."""
    if answer.verdict is Verdict.REFUSED or not answer.passages:
        return ()
    said = marked_sentences(answer.text, len(answer.passages))
    order = answer.replay.settings.get(ORDER) or best_first(len(answer.passages))
    numbers = reading_order(order)
    read = [shown(answer.passages[number - 1]) for number in numbers]
    place = {number: at for at, number in enumerate(numbers, 1)}
    spoken = [(text, [place[n] for n in markers if n in place]) for text, markers in said]
    every = range(1, len(answer.passages) + 1)
    found = generator.drops(read, answer.question, spoken)
    return tuple(
        Attribution(text, tuple(markers), tuple(_drop(each, place.get(n)) for n in every))
        for (text, markers), each in zip(said, found, strict=True)
    )


def _drop(drops: Sequence[float], place: int | None) -> float:
    """0 for a passage that was not read."""
    return 0.0 if place is None else drops[place - 1]


def agreement(found: Sequence[Attribution]) -> float | None:
    """Share of the sentences whose largest drop is at a passage they cite; None without one."""
    return sum(each.agrees for each in found) / len(found) if found else None
