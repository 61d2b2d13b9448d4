"""Which samples of a file are asked, over which passages, in which words."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

from eval.injection import planted
from eval.presenting import Presented, Presenter
from eval.samples import Given, Sample
from models.training.records import with_history

Context = Literal["given", "oracle", "none", "hybrid", "dense", "lexical"]
GIVEN: tuple[Context, ...] = ("given", "oracle", "none")
SHARED: tuple[Context, ...] = ("hybrid", "dense", "lexical")


@dataclass(frozen=True, slots=True)
class Plan:
    """How samples become questions. `context`: the passages given with the sample (shuffled, with
    `distractors`), the gold ones only (oracle), none, or those that a leg finds among all passages
    of the file (hybrid, dense, lexical). `unanswerable_by_removal` takes the gold passages of
    every answerable sample away. `spread` draws the `limit` samples over the whole file instead
    of its first ones. `injected` plants an instruction to the reader in one of the passages."""

    seed: int = 0
    limit: int | None = None
    distractors: int = 0
    context: Context = "given"
    unanswerable_by_removal: bool = False
    spread: bool = False
    injected: bool = False


def chosen(samples: Sequence[Sample], plan: Plan) -> list[Sample]:
    """The samples that are asked, in the file's order."""
    if plan.limit is None or plan.limit >= len(samples):
        return list(samples)
    if not plan.spread:
        return list(samples[: plan.limit])
    places = random.Random(plan.seed).sample(range(len(samples)), plan.limit)
    return [samples[i] for i in sorted(places)]


def given(samples: Sequence[Sample], plan: Plan) -> list[Presented]:
    """Each chosen sample over its own passages; distractors come from the whole file."""
    presenter = Presenter(samples, plan.seed)
    context = plan.context if plan.context in ("oracle", "none") else "given"
    asked = [
        presenter.present(one, plan.distractors, context, plan.unanswerable_by_removal)
        for one in chosen(samples, plan)
    ]
    return planted(asked, plan.seed) if plan.injected else asked


def pool(samples: Sequence[Sample]) -> dict[str, Given]:
    """All passages of the file, by id."""
    return {passage.id: passage for sample in samples for passage in sample.passages}


def found(
    samples: Sequence[Sample], plan: Plan, search: Callable[[str], list[str]], k: int
) -> list[Presented]:
    """Each chosen sample over the first `k` passages that `search` finds for its question."""
    passages = pool(samples)
    return [
        Presented(one, tuple(passages[id] for id in search(one.question)[:k]), one.answerable)
        for one in chosen(samples, plan)
    ]


def question_of(asked: Presented, most: int) -> str:
    """The question after the last turns of its conversation, as the reader was trained to see
    it; the oldest turns go first where it would be longer than `most` characters."""
    history = list(asked.sample.history)
    while True:
        text = with_history(asked.sample.question, history)
        if len(text) <= most or not history:
            return text
        history = history[-4:][1:]
