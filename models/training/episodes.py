"""Episodes: a few passages and all the questions asked about them. The passages' keys and values
are computed once and serve every question of the episode, in new mixtures and new orders.
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
    """One question over `shown` (indices into the episode's passages, in prompt order). `cited`
    are positions in that order, from 0; empty means the target is the refusal."""

    record: Record
    shown: tuple[int, ...]
    cited: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Episode:
    passages: tuple[TrainingPassage, ...]
    examples: tuple[Example, ...]


@dataclass(frozen=True, slots=True)
class EpisodeSettings:
    """`weights`: how often a data set is drawn. `unanswerable`: share of the answerable questions
    that lose their gold passages. `hard`: share of distractors from the same document."""

    weights: Mapping[str, float]
    pool: int = 12
    questions: int = 24
    shown: tuple[int, ...] = (3, 4, 5, 5, 5, 6, 7)
    unanswerable: float = 0.28
    hard: float = 0.7


class EpisodeSampler:
    """Draws episodes for ever, from a seed; `state` and `restore` make it resumable."""

    def __init__(self, records: Sequence[Record], settings: EpisodeSettings, seed: int) -> None:
        self._settings, self._random = settings, random.Random(seed)
        self._docs: dict[str, dict[str, list[Record]]] = defaultdict(lambda: defaultdict(list))
        for record in records:
            self._docs[record.dataset][record.doc].append(record)
        self._datasets = [d for d in sorted(self._docs) if settings.weights.get(d, 0) > 0]
        self._order = {d: sorted(self._docs[d]) for d in self._datasets}
        self._weights = {
            d: [len(self._docs[d][doc]) for doc in self._order[d]] for d in self._datasets
        }

    def state(self) -> list[Any]:
        return list(self._random.getstate())

    def restore(self, state: list[Any]) -> None:
        """Go on from what `state` returned, also after a way through JSON."""
        version, numbers, gauss = state
        self._random.setstate((version, tuple(numbers), gauss))

    def draw(self) -> Episode:
        dataset = self._random.choices(
            self._datasets, [self._settings.weights[d] for d in self._datasets]
        )[0]
        pool, records, home = self._pool(dataset)
        self._random.shuffle(records)
        examples = [self._example(r, pool, home) for r in records[: self._settings.questions]]
        return Episode(tuple(pool), tuple(e for e in examples if e is not None))

    def _pool(self, dataset: str) -> tuple[list[TrainingPassage], list[Record], dict[str, str]]:
        """Passages of one document, then of others, until the pool is full; the questions whose
        gold passages are among them; and each passage's document."""
        pool: dict[str, TrainingPassage] = {}
        home: dict[str, str] = {}
        records: list[Record] = []
        docs = self._order[dataset]
        for _ in range(4 * self._settings.pool):
            if len(pool) >= self._settings.pool:
                break
            doc = self._random.choices(docs, self._weights[dataset])[0]
            queue = list(self._docs[dataset][doc])
            self._random.shuffle(queue)
            for record in queue:
                room = self._settings.pool - len(pool)
                if {p.id for p in record.passages} - pool.keys() and room < len(record.passages):
                    continue
                for passage in record.passages:
                    pool.setdefault(passage.id, passage)
                    home[passage.id] = doc
                if len(pool) >= self._settings.pool - 2 and len(docs) > 1:
                    break
            records += [r for r in queue if r.id not in {x.id for x in records}]
        inside = [r for r in records if {p.id for p in r.passages} <= pool.keys()]
        return list(pool.values()), inside, home

    def _example(
        self, record: Record, pool: Sequence[TrainingPassage], home: Mapping[str, str]
    ) -> Example | None:
        s, rng = self._settings, self._random
        size = rng.choice(s.shown)
        removed = record.answerable and rng.random() < s.unanswerable
        gold = [i for i, p in enumerate(pool) if p.id in record.gold]
        rng.shuffle(gold)
        own = {p.id for p in record.passages}
        others = [
            i
            for i, p in enumerate(pool)
            if i not in gold and not (record.answerable and self._gives_away(record, p, own))
        ]
        rng.shuffle(others)
        # A stable sort puts passages of the same document first, for most examples.
        if rng.random() < s.hard:
            others.sort(key=lambda i: home[pool[i].id] != record.doc)
        kept = [] if removed else gold[: max(1, size - 1)]
        if not kept and not others:
            return None
        shown = kept + others[: max(size - len(kept), 0)]
        rng.shuffle(shown)
        answered = record.answerable and not removed
        cited = tuple(shown.index(i) for i in kept[:3]) if answered else ()
        return Example(record, tuple(shown), tuple(sorted(cited)))

    @staticmethod
    def _gives_away(record: Record, passage: TrainingPassage, own: set[str]) -> bool:
        if record.kind == "yesno" or record.kind == "sentence":
            return passage.id in own
        return contains_answer(passage, record.answers)
