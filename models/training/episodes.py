"""Episodes: a handful of passages in one order, and many questions over them. The passages are read
once for all of the questions; those whose gold passage did not come along are to be refused.
"""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from models.training.records import Record, TrainingPassage, contains_answer


@dataclass(frozen=True, slots=True)
class Example:
    """One question; `cited` are the places of its gold passages in the episode, from 0. None means
    the target is the refusal."""

    record: Record
    cited: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Episode:
    """`passages` in prompt order, and the questions asked about them. `full`: the passages are read
    in one pass that sees all before it, instead of each on its own."""

    passages: tuple[TrainingPassage, ...]
    examples: tuple[Example, ...]
    full: bool = False


@dataclass(frozen=True, slots=True)
class EpisodeSettings:
    """`weights`: how often a data set is drawn. `pool`: passages whose questions are looked at, of
    which `shown` (drawn anew) come along. `unanswerable`: largest share of such questions.
    `hard`: how often the passages are of as few documents as possible. `full`: how often they are
    read in one pass."""

    weights: Mapping[str, float]
    pool: int = 10
    shown: tuple[int, ...] = (3, 4, 5, 5, 5, 6)
    questions: int = 14
    unanswerable: float = 0.36
    hard: float = 0.75
    full: float = 0.1


class EpisodeSampler:
    """Draws episodes for ever, from a seed; `state` and `restore` make it resumable."""

    def __init__(self, records: Sequence[Record], settings: EpisodeSettings, seed: int) -> None:
        self._settings, self._random = settings, random.Random(seed)
        self._docs: dict[str, dict[str, list[Record]]] = defaultdict(lambda: defaultdict(list))
        for record in records:
            self._docs[record.dataset][record.doc].append(record)
        self._datasets = [d for d in sorted(self._docs) if settings.weights.get(d, 0) > 0]
        if not self._datasets:
            raise ValueError("no record belongs to a data set with a weight above 0")
        self._order = {d: sorted(self._docs[d]) for d in self._datasets}
        self._sizes = {
            d: [len(self._docs[d][doc]) for doc in self._order[d]] for d in self._datasets
        }

    def state(self) -> list[Any]:
        return list(self._random.getstate())

    def restore(self, state: list[Any]) -> None:
        """Go on from what `state` returned, also after a way through JSON."""
        version, numbers, gauss = state
        self._random.setstate((version, tuple(numbers), gauss))

    def draw(self) -> Episode:
        """An episode with at least one question."""
        weights = [self._settings.weights[d] for d in self._datasets]
        while True:
            dataset = self._random.choices(self._datasets, weights)[0]
            pool, records = self._pool(dataset)
            size = self._random.choice(self._settings.shown)
            shown = self._random.sample(pool, min(size, len(pool)))
            examples = self._examples(shown, records)
            if examples:
                full = self._random.random() < self._settings.full
                return Episode(tuple(shown), tuple(examples), full)

    def _pool(self, dataset: str) -> tuple[list[TrainingPassage], list[Record]]:
        """Passages of one document, then of others until the pool is full, and their questions."""
        s, rng = self._settings, self._random
        spread = rng.random() >= s.hard
        pool: dict[str, TrainingPassage] = {}
        records: dict[str, Record] = {}
        for _ in range(4 * s.pool):
            if len(pool) >= s.pool:
                break
            doc = rng.choices(self._order[dataset], self._sizes[dataset])[0]
            queue = rng.sample(self._docs[dataset][doc], len(self._docs[dataset][doc]))
            taken = 0
            for record in queue:
                new = [p for p in record.passages if p.id not in pool]
                if new and (len(pool) + len(new) > s.pool or (spread and taken >= 2)):
                    continue
                pool |= {p.id: p for p in new}
                records[record.id] = record
                taken += bool(new)
        return list(pool.values()), list(records.values())

    def _examples(self, shown: Sequence[TrainingPassage], records: list[Record]) -> list[Example]:
        """Answerable and unanswerable questions over `shown`, mixed as the settings ask."""
        s, rng = self._settings, self._random
        answered: list[Example] = []
        refused: list[Example] = []
        for record in rng.sample(records, len(records)):
            cited = tuple(i for i, p in enumerate(shown) if p.id in record.gold)
            others = [p for p in shown if p.id not in record.gold]
            if not record.answerable:
                refused.append(Example(record, ()))
            elif _given_away(record, others, cited):
                continue  # another passage may answer it as well
            elif cited:
                answered.append(Example(record, cited[:3]))
            else:
                refused.append(Example(record, ()))
        share = s.unanswerable
        most = round(len(answered) * share / (1 - share)) if answered else 2
        few = min(len(refused), max(most, 1), round(s.questions * share))
        mixed = answered[: s.questions - few] + refused[:few]
        return rng.sample(mixed, len(mixed))


def _given_away(record: Record, others: Sequence[TrainingPassage], cited: tuple[int, ...]) -> bool:
    """Whether passages that are not gold may answer the question too: they spell an answer out; or,
    where an answer is no short span, they came with a question whose gold passage is not shown."""
    if record.kind in ("yesno", "sentence", "free"):
        own = {p.id for p in record.passages}
        return not cited and any(p.id in own for p in others)
    return any(contains_answer(p, record.answers) for p in others)
