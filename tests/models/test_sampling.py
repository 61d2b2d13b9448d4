"""Each step against the logits processor of Hugging Face transformers that it stands for."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from transformers.generation.logits_process import (
    LogitsProcessorList,
    RepetitionPenaltyLogitsProcessor,
    SequenceBiasLogitsProcessor,
    TemperatureLogitsWarper,
    TopKLogitsWarper,
    TopPLogitsWarper,
)

from models import sampling
from models.sampling import FORBIDDEN
from rag.domain import Sampling

VOCABULARY = 40
seeds = st.integers(0, 2**31)


def some_logits(seed: int, batch: int = 3) -> Tensor:
    return torch.randn(batch, VOCABULARY, generator=sampling.generator(seed)) * 4


def some_ids(seed: int, batch: int = 3) -> Tensor:
    return torch.randint(0, VOCABULARY, (batch, 7), generator=sampling.generator(seed))


def same(ours: Tensor, theirs: Tensor) -> None:
    torch.testing.assert_close(ours, theirs, rtol=0, atol=0)


@given(seeds, st.floats(0.05, 5))
def test_temperature(seed: int, temperature: float) -> None:
    logits = some_logits(seed)
    theirs = TemperatureLogitsWarper(temperature)(some_ids(seed), logits)
    same(sampling.tempered(logits, temperature), theirs)


@given(seeds, st.integers(1, VOCABULARY + 5))
def test_top_k(seed: int, k: int) -> None:
    logits = some_logits(seed).round()  # with ties
    same(sampling.top_k(logits, k), TopKLogitsWarper(k)(some_ids(seed), logits))


@given(seeds, st.floats(0.01, 0.999))
def test_top_p(seed: int, p: float) -> None:
    logits = some_logits(seed)
    same(sampling.top_p(logits, p), TopPLogitsWarper(p)(some_ids(seed), logits))


@given(seeds, st.floats(0.5, 3))
def test_repetition_penalty(seed: int, penalty: float) -> None:
    logits, seen = some_logits(seed), some_ids(seed)
    theirs = RepetitionPenaltyLogitsProcessor(penalty)(seen, logits.clone())
    same(sampling.penalised(logits, seen, penalty), theirs)


@given(seeds, st.dictionaries(st.integers(0, VOCABULARY - 1), st.floats(-9, 9), min_size=1))
def test_bias(seed: int, bias: dict[int, float]) -> None:
    logits = some_logits(seed)
    theirs = SequenceBiasLogitsProcessor({(t,): b for t, b in bias.items()})
    torch.testing.assert_close(sampling.biased(logits, bias), theirs(some_ids(seed), logits))


@settings(max_examples=50)
@given(seeds, st.floats(0.2, 2), st.integers(1, 30), st.floats(0.1, 0.99), st.floats(1, 2))
def test_the_whole_chain_draws_from_the_same_distribution(
    seed: int, temperature: float, k: int, p: float, penalty: float
) -> None:
    logits, seen = some_logits(seed), some_ids(seed)
    chain = LogitsProcessorList(
        [
            RepetitionPenaltyLogitsProcessor(penalty),
            TemperatureLogitsWarper(temperature),
            TopKLogitsWarper(k),
            TopPLogitsWarper(p),
        ]
    )
    probabilities = chain(seen, logits.clone()).softmax(-1)
    theirs = torch.multinomial(probabilities, 1, generator=sampling.generator(seed))[:, 0]
    how = Sampling(temperature=temperature, top_k=k, top_p=p, repetition_penalty=penalty)
    same(sampling.choose(logits, how, seen, sampling.generator(seed)), theirs)


@given(seeds, st.sets(st.integers(0, VOCABULARY - 1), min_size=1, max_size=VOCABULARY - 1))
def test_a_forbidden_token_is_never_drawn(seed: int, forbidden: set[int]) -> None:
    bias = dict.fromkeys(forbidden, FORBIDDEN)
    chance = sampling.generator(seed)
    for how in (Sampling(), Sampling(temperature=1.7, top_k=5, top_p=0.9, repetition_penalty=1.3)):
        drawn = sampling.choose(some_logits(seed), how, some_ids(seed), chance, bias)
        assert forbidden.isdisjoint(drawn.tolist())


@given(seeds)
def test_one_row_alone_is_like_the_row_in_a_batch(seed: int) -> None:
    logits, seen = some_logits(seed), some_ids(seed)
    how = Sampling(repetition_penalty=1.4)
    together = sampling.choose(logits, how, seen, sampling.generator(0))
    alone = [sampling.choose(logits[i], how, seen[i], sampling.generator(0)) for i in range(3)]
    assert together.tolist() == [int(token) for token in alone]
    same(sampling.logprob(logits, together)[1], sampling.logprob(logits[1], together[1]))


def test_nothing_is_changed_in_place() -> None:
    logits = some_logits(1)
    before = logits.clone()
    how = Sampling(temperature=0.7, top_k=3, top_p=0.5, repetition_penalty=2.0)
    sampling.choose(logits, how, some_ids(1), sampling.generator(1), {3: 1.0})
    same(logits, before)


def test_the_seed_decides() -> None:
    how, seen = Sampling(temperature=1.0), torch.empty(0, dtype=torch.long)

    def draws(seed: int) -> list[int]:
        chance = sampling.generator(seed)
        flat = torch.zeros(VOCABULARY)
        return [int(sampling.choose(flat, how, seen, chance)) for _ in range(20)]

    assert draws(5) == draws(5) != draws(6)


def test_greedy_is_the_best_token_whatever_the_seed() -> None:
    logits, seen = some_logits(2), torch.empty(3, 0, dtype=torch.long)
    how = Sampling(top_k=2, top_p=0.1)
    same(sampling.choose(logits, how, seen, sampling.generator(9)), logits.argmax(-1))


def test_log_probabilities_are_of_the_given_logits() -> None:
    logits = torch.tensor([[0.0, 0.0, FORBIDDEN]])
    assert sampling.logprob(logits, torch.tensor([1])).exp().item() == pytest.approx(0.5)


def test_all_forbidden_is_an_error() -> None:
    nothing = torch.full((VOCABULARY,), FORBIDDEN)
    seen = torch.empty(0, dtype=torch.long)
    for temperature in (0.0, 1.0):
        how = Sampling(temperature=temperature)
        with pytest.raises(ValueError, match="no token is allowed"):
            sampling.choose(nothing, how, seen, sampling.generator(0))
    with pytest.raises(ValueError, match="not above 0"):
        sampling.tempered(nothing, 0.0)
