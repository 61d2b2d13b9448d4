"""What a reader is shown for a sample: its passages with distractors, in a seeded order.

Gold passages stand first in a sample; a reader that always answers from [1] would look good. What
is drawn depends on the seed and the sample's id only, not on its place or on how many are read.
"""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from eval.samples import Given, Sample
from eval.scorers.squad import normalise

Context = Literal["given", "oracle", "none"]


@dataclass(frozen=True, slots=True)
class Presented:
    """A sample as it is asked: `passages` in prompt order. `answerable` is False where the gold
    passages were taken away; `answers` and `gold` are empty then. `planted`: what an instruction
    in one of the passages wants to be said, "" without one."""

    sample: Sample
    passages: tuple[Given, ...]
    answerable: bool
    planted: str = ""

    @property
    def answers(self) -> tuple[str, ...]:
        return self.sample.answers if self.answerable else ()

    @property
    def gold(self) -> tuple[str, ...]:
        return self.sample.gold if self.answerable else ()

    @property
    def gold_position(self) -> int | None:
        """Where the first gold passage stands in the prompt, from 1."""
        places = [i for i, p in enumerate(self.passages, 1) if p.id in self.gold]
        return places[0] if places else None


class Presenter:
    """Draws distractors from all samples of a file.

    A distractor comes from another sample: of the same `doc` first (hard), then of any. It is none
    of the sample's own passages, by id or by text, and holds no gold answer of that question as
    whole words. Where no answer string can be looked for (yes/no questions), this cannot be
    checked; a removed answer is then replaced from other documents only.
    """

    def __init__(self, samples: Sequence[Sample], seed: int) -> None:
        self._seed = seed
        self._text: dict[str, str] = {}  # passage id -> normalised text, padded with spaces
        self._passages: dict[str, Given] = {}
        self._doc: dict[str, set[str]] = defaultdict(set)
        for sample in samples:
            for passage in sample.passages:
                self._passages.setdefault(passage.id, passage)
                self._doc[sample.doc].add(passage.id)
        self._ids = sorted(self._passages)

    def present(
        self,
        sample: Sample,
        distractors: int = 0,
        context: Context = "given",
        remove_gold: bool = False,
    ) -> Presented:
        """`context` oracle keeps the gold passages only, none keeps nothing. With `remove_gold`
        every gold passage gives way to a distractor and the right answer is a refusal."""
        rng = random.Random(f"{self._seed}:{sample.id}")
        if context == "none":
            return Presented(sample, (), sample.answerable)
        if context == "oracle":
            kept = [p for p in sample.passages if p.id in sample.gold] or list(sample.passages)
            drawn: list[Given] = []
        elif remove_gold and sample.answerable:
            kept = self._without_answer(sample)
            wanted = len(sample.passages) - len(kept) + distractors
            drawn = self._draw(sample, wanted, rng, elsewhere=not _findable(sample))
        else:
            kept = list(sample.passages)
            drawn = self._draw(sample, distractors, rng, elsewhere=False)
        shown = kept + drawn
        rng.shuffle(shown)
        return Presented(sample, tuple(shown), sample.answerable and not remove_gold)

    def _without_answer(self, sample: Sample) -> list[Given]:
        if not _findable(sample):
            return []
        sought = _sought(sample)
        others = [p for p in sample.passages if p.id not in sample.gold]
        return [p for p in others if not self._holds(p, sought)]

    def _draw(self, sample: Sample, n: int, rng: random.Random, elsewhere: bool) -> list[Given]:
        """Up to `n` distractors; fewer when the file has no more that qualify."""
        sought = _sought(sample)
        own_text = {self._normal(p) for p in sample.passages}
        own = {p.id for p in sample.passages}
        drawn: list[Given] = []
        for id in self._candidates(sample, rng, elsewhere) if n > 0 else ():
            passage = self._passages[id]
            text = self._normal(passage)
            if id in own or text in own_text or self._holds(passage, sought):
                continue
            own_text.add(text)
            drawn.append(passage)
            if len(drawn) == n:
                break
        return drawn

    def _candidates(self, sample: Sample, rng: random.Random, elsewhere: bool) -> Iterator[str]:
        same = self._doc[sample.doc] if sample.doc else set()
        if not elsewhere:
            yield from rng.sample(sorted(same), len(same))
        tried: set[str] = set()
        while len(tried) < min(len(self._ids), 200):  # cheap while most of the file qualifies
            id = rng.choice(self._ids)
            if id not in tried:
                tried.add(id)
                if id not in same:
                    yield id
        for id in rng.sample(self._ids, len(self._ids)):
            if id not in tried and id not in same:
                yield id

    def _holds(self, passage: Given, sought: Sequence[str]) -> bool:
        text = self._normal(passage)
        return any(f" {words} " in text for words in sought)

    def _normal(self, passage: Given) -> str:
        if passage.id not in self._text:
            self._text[passage.id] = f" {normalise(passage.text)} "
        return self._text[passage.id]


def _findable(sample: Sample) -> bool:
    """Whether the answer would be seen in a passage that holds it: written answers (free) are
    worded anew and yes or no stands everywhere."""
    return sample.kind in ("span", "sentence", "number")


def _sought(sample: Sample) -> list[str]:
    """Normalised texts that give the answer away."""
    if sample.kind == "yesno":
        return []
    found = (normalise(text) for text in (*sample.answers, *sample.quotes()))
    return list(dict.fromkeys(text for text in found if text))
