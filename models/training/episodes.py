"""Episodes: a handful of passages in one order, and many questions over them. The passages are read
once for all of the questions; those whose gold passage did not come along are to be refused.
"""

from __future__ import annotations

import math
import random
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from models.training.errors import NoRecords
from models.training.injection import plant
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
    """`weights`: how often a data set is drawn; none given: all alike. `pool`: passages whose
    questions are looked at, of which `shown` (drawn anew) come along. `unanswerable`: the share of
    such questions in the long run. `hard`: how often the passages are of as few documents as
    possible. `full`: how often they are read in one pass. `injected`: how often one of them holds
    an instruction to the reader, which is to be ignored."""

    weights: Mapping[str, float] = field(default_factory=dict)
    pool: int = 10
    shown: tuple[int, ...] = (3, 4, 5, 5, 5, 6)
    questions: int = 14
    unanswerable: float = 0.36
    hard: float = 0.75
    full: float = 0.1
    injected: float = 0.08


_TRIES = 1000  # draws without a question before the records are called unusable


class EpisodeSampler:
    """Draws episodes for ever, from a seed; `state` and `restore` make it resumable. `weights` is
    how often each data set of the records is drawn."""

    def __init__(self, records: Sequence[Record], settings: EpisodeSettings, seed: int) -> None:
        """Raises NoRecords when nothing can be drawn."""
        self._settings, self._random = settings, random.Random(seed)
        self._answered = self._refused = 0  # questions drawn so far
        self._docs: dict[str, dict[str, list[Record]]] = defaultdict(lambda: defaultdict(list))
        for record in records:
            self._docs[record.dataset][record.doc].append(record)
        given = settings.weights or dict.fromkeys(self._docs, 1.0)
        self.weights = {d: given.get(d, 0.0) for d in sorted(self._docs)}
        self._datasets = [d for d, weight in self.weights.items() if weight > 0]
        if not self._datasets:
            raise NoRecords(
                f"no record can be drawn: {len(records)} were given, of the data sets "
                f"{sorted(self._docs)}; weights above 0 have "
                f"{sorted(d for d, weight in given.items() if weight > 0)}"
            )
        self._order = {d: sorted(self._docs[d]) for d in self._datasets}
        self._sizes = {
            d: [len(self._docs[d][doc]) for doc in self._order[d]] for d in self._datasets
        }

    def state(self) -> list[Any]:
        return [*self._random.getstate(), self._answered, self._refused]

    def restore(self, state: list[Any]) -> None:
        """Go on from what `state` returned, also after a way through JSON."""
        version, numbers, gauss, *drawn = state
        self._random.setstate((version, tuple(numbers), gauss))
        self._answered, self._refused = drawn or (0, 0)

    def draw(self) -> Episode:
        """An episode with at least one question. Raises NoRecords when the records give none."""
        weights = [self.weights[d] for d in self._datasets]
        for _ in range(_TRIES):
            dataset = self._random.choices(self._datasets, weights)[0]
            pool, records = self._pool(dataset)
            if self._refused < self._settings.unanswerable * (self._refused + self._answered):
                pool = self._without_one(pool, records)
            # As many stay away as questions are to be refused, also where the pool is small.
            most = max(1, round(len(pool) * (1 - self._settings.unanswerable)))
            shown = self._random.sample(pool, min(self._random.choice(self._settings.shown), most))
            examples = self._examples(shown, records)
            if examples:
                full = self._random.random() < self._settings.full
                if self._random.random() < self._settings.injected:
                    at = self._random.randrange(len(shown))
                    planted = plant(shown[at], self._random)
                    if _hold_the_same(shown[at], planted, examples):
                        shown[at] = planted
                return Episode(tuple(shown), tuple(examples), full)
        raise NoRecords(
            f"{_TRIES} draws gave no question: every answer stands in several passages, or the "
            "records are too few"
        )

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

    def _without_one(
        self, pool: list[TrainingPassage], records: list[Record]
    ) -> list[TrainingPassage]:
        """Without all that came with one of the answerable questions, so that it is refused: where
        questions have many passages, chance alone would hardly ever leave out all of them."""
        answerable = [record for record in records if record.answerable]
        if not answerable:
            return pool
        away = {p.id for p in self._random.choice(answerable).passages}
        return [p for p in pool if p.id not in away] or pool

    def _examples(self, shown: Sequence[TrainingPassage], records: list[Record]) -> list[Example]:
        """Answerable and unanswerable questions over `shown`, mixed as the settings ask."""
        rng = self._random
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
        few = min(len(refused), self._refusals(len(answered)))
        mixed = answered[: self._answers(few)] + refused[:few]
        self._refused += few
        self._answered += len(mixed) - few
        return rng.sample(mixed, len(mixed))

    def _refusals(self, answered: int) -> int:
        """How many, beside so many answered questions, bring the share of all questions drawn to
        what the settings ask; at most half of an episode."""
        s = self._settings
        kept = min(answered, s.questions - round(s.questions * s.unanswerable))
        missing = s.unanswerable * (self._answered + kept) / (1 - s.unanswerable) - self._refused
        return max(0 if answered else 1, min(math.ceil(missing), s.questions // 2))

    def _answers(self, few: int) -> int:
        """How many answered questions may stand beside `few` refused ones: where refusals are rare
        they must wait for them, an episode's worth ahead (unless nothing can be refused at all)."""
        s, refused = self._settings, self._refused + few
        room = s.questions - few
        if not refused or not s.unanswerable:
            return room
        ahead = refused * (1 - s.unanswerable) / s.unanswerable + s.questions - self._answered
        return min(room, max(int(ahead), 1))


def _given_away(record: Record, others: Sequence[TrainingPassage], cited: tuple[int, ...]) -> bool:
    """Whether passages that are not gold may answer the question too: they spell an answer out; or,
    where an answer is no short span, they came with a question whose gold passage is not shown."""
    if record.kind in ("yesno", "sentence", "free") and not cited:
        own = {p.id for p in record.passages}
        if any(p.id in own for p in others):
            return True
    # Nearly every passage holds a "no".
    return record.kind != "yesno" and any(contains_answer(p, record.answers) for p in others)


def _hold_the_same(
    one: TrainingPassage, other: TrainingPassage, examples: Sequence[Example]
) -> bool:
    """Whether both spell out the answers of the same questions."""
    return all(
        contains_answer(one, e.record.answers) == contains_answer(other, e.record.answers)
        for e in examples
    )
