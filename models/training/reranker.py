"""Trains the comparison of word vectors of a reranker: which of a question's passages answers it.

The encoder is not trained, so its vectors are computed once and given. Seeded.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from models.token_match import TokenMatch

AT_ONCE = 4  # questions in one pass; more only need more memory


@dataclass(frozen=True, slots=True)
class RerankPlan:
    """Each step reads `questions`, each with a gold passage, `hard` of the six best that do not
    answer and `easier` of the next 24. The rate falls to a thirtieth over `steps`."""

    steps: int = 150
    questions: int = 12
    hard: int = 6
    easier: int = 4
    rate: float = 1e-3
    scalar_rate: float = 0.03  # of retrieval's order and of the nearest words
    warmup: int = 20
    weight_decay: float = 0.01
    clip: float = 1.0
    seed: int = 0


@dataclass(frozen=True, slots=True)
class Group:
    """A question and its passages by place in `States`, with retrieval's scores of these."""

    question: int
    gold: tuple[tuple[int, float], ...]
    wrong: tuple[tuple[int, float], ...]  # best first


States = Callable[[int], Tensor]  # a place -> (L, D)
Say = Callable[[str], None]


def fit(
    groups: Sequence[Group], questions: States, passages: States, plan: RerankPlan, say: Say
) -> TokenMatch:
    """Listwise softmax over gold and wrong passages, retrieval's own order counted in. Raises
    ValueError without a group that has a gold and enough wrong passages."""
    usable = [g for g in groups if g.gold and len(g.wrong) >= 6 + plan.easier]
    if not usable:
        raise ValueError("no question has a gold passage and enough wrong ones")
    chance = random.Random(plan.seed)
    match = TokenMatch(questions(usable[0].question).shape[1])
    optimiser = torch.optim.AdamW(
        [
            {"params": match.of_question.parameters(), "lr": plan.rate},
            {"params": [match.nearest, match.prior], "lr": plan.scalar_rate},
        ],
        weight_decay=plan.weight_decay,
        betas=(0.9, 0.98),
    )
    rates = [group["lr"] for group in optimiser.param_groups]
    order: list[Group] = []
    began = time.monotonic()
    for step in range(1, plan.steps + 1):
        scale = min(1.0, step / plan.warmup) * max(1 / 30, 1 - (step - 1) / plan.steps)
        for group, rate in zip(optimiser.param_groups, rates, strict=True):
            group["lr"] = rate * scale
        if len(order) < plan.questions:
            order = chance.sample(usable, len(usable))
        drawn = [_drawn(order.pop(), plan, chance) for _ in range(min(plan.questions, len(order)))]
        optimiser.zero_grad()
        loss = 0.0
        for at in range(0, len(drawn), AT_ONCE):
            part = _loss(match, drawn[at : at + AT_ONCE], questions, passages) / len(drawn)
            part.backward()  # type: ignore[no-untyped-call]
            loss += part.item()
        torch.nn.utils.clip_grad_norm_(match.parameters(), plan.clip)
        optimiser.step()
        say(f"step {step}/{plan.steps}, {time.monotonic() - began:.0f} s, loss {loss:.3f}")
    return match.requires_grad_(False).eval()


Drawn = tuple[int, list[tuple[int, float]]]  # a question, and passages of which the first is gold


def _drawn(group: Group, plan: RerankPlan, chance: random.Random) -> Drawn:
    hard = chance.sample(group.wrong[:6], plan.hard)
    easier = chance.sample(group.wrong[6:30], plan.easier)
    return group.question, [chance.choice(group.gold), *hard, *easier]


def _loss(match: TokenMatch, drawn: Sequence[Drawn], questions: States, passages: States) -> Tensor:
    asked = [questions(place) for place, _ in drawn]
    scores = match(asked, [passages(place) for _, rows in drawn for place, _ in rows])
    before = torch.tensor([[score for _, score in rows] for _, rows in drawn])
    return -F.log_softmax(scores + match.prior * before, -1)[:, 0].sum()
