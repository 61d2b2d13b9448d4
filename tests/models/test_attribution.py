"""What leaving a passage out does to an answer, with the real weights and the shipped adapter."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

import models
from models.attribution import drops, left_out, spoken, token_logprobs
from models.block_store import BlockStore
from models.checkpoint import Checkpoint, load
from models.engine.engine import Engine
from models.generator import TransformerGenerator
from models.kv import KVCache, Recorder
from models.lora import load_adapter
from models.transformer import causal
from rag.domain import Sampling
from tests.models.tiny import TINY, tiny

SHIPPED = Path(models.__file__).parent / "adapters" / "smollm2-135m-instruct"
PASSAGES = [
    "The cafeteria is open from 11:30 to 14:00 on every working day.",
    "Visitors sign in at the front desk and wear a badge in all buildings.",
    "Full-time staff have 28 days of paid annual leave. Unused days lapse on 31 March.",
    "Meals on business travel are paid up to 45 euros a day.",
]
QUESTION = "How many days of paid annual leave do full-time staff have?"
SENTENCES = [("28 days", (3,))]


@given(st.lists(st.integers(1, 9), min_size=1, max_size=6))
def test_a_row_misses_its_passage_only(lengths: list[int]) -> None:
    rows = left_out(lengths)
    assert rows.shape == (len(lengths), sum(lengths))
    assert rows[0].all()
    at = lengths[0]
    for row, length in zip(rows[1:], lengths[1:], strict=True):
        assert not row[at : at + length].any()
        assert int((~row).sum()) == length
        at += length


def test_drops_count_the_words_of_their_sentence_only() -> None:
    logprobs = torch.tensor([[-1.0, -2.0, -9.0, -1.0], [-4.0, -2.0, -1.0, -1.0]])
    assert drops(logprobs, (0, 0, -1, 1), 2) == [(3.0,), (0.0,)]


class Free:
    """A constraint that allows everything."""

    def mask(self, logits: torch.Tensor) -> torch.Tensor:
        return logits

    def advance(self, token: int) -> None: ...


@given(st.lists(st.integers(1, 6), min_size=2, max_size=5), st.integers(0, 1000))
def test_leaving_out_equals_a_past_that_never_held_the_passage(
    lengths: list[int], seed: int
) -> None:
    """Keys and values of the passage cut away; all others keep their positions."""
    model, question, answer = tiny(), [3, 1, 4], [1, 5, 9]
    chance = torch.Generator().manual_seed(seed)
    held = KVCache(TINY, sum(lengths))
    ids = torch.randint(0, TINY.vocab_size, (1, sum(lengths)), generator=chance)
    with torch.no_grad():
        model(ids, kv=held)
    seen = left_out(lengths)
    past = held.keys, held.values
    found = token_logprobs(model, past, seen, question, answer, Free(), 0)
    positions = torch.arange(sum(lengths), sum(lengths) + 5)[None]
    for row, kept in zip(found, seen, strict=True):
        cut = Recorder((held.keys[..., kept, :], held.values[..., kept, :]))
        mask = causal(int(kept.sum()), 5)[None]
        with torch.no_grad():
            hidden = model(torch.tensor([[*question, *answer[:-1]]]), positions, cut, mask)
        logits = model.logits(hidden[0, 2:])
        logits[0, 0] = float("-inf")
        wanted = logits.log_softmax(-1)[torch.arange(3), torch.tensor(answer)]
        assert torch.allclose(row, wanted, atol=1e-4)


@pytest.fixture(scope="module")
def checkpoint(smollm2: Path) -> Checkpoint:
    return load(smollm2, torch.float32)


@pytest.fixture(scope="module", params=["block", "full"])
def reader(
    checkpoint: Checkpoint, request: pytest.FixtureRequest
) -> Iterator[TransformerGenerator]:
    """The shipped adapter, which reads block-wise, and the base weights with full attention."""
    adapter = load_adapter(SHIPPED, checkpoint.model) if request.param == "block" else None
    engine = Engine(checkpoint, BlockStore(None, 2**26, 0, "exact"))
    yield TransformerGenerator(engine, adapter)
    engine.close()


@pytest.mark.weights
def test_the_passage_that_holds_the_answer_has_the_largest_drop(
    reader: TransformerGenerator,
) -> None:
    (found,) = reader.drops(PASSAGES, QUESTION, SENTENCES)
    assert len(found) == len(PASSAGES)
    assert max(range(4), key=lambda i: found[i]) == 2
    assert found[2] > 1


@pytest.mark.weights
def test_with_all_passages_the_logprob_is_that_of_generation(
    reader: TransformerGenerator, monkeypatch: pytest.MonkeyPatch
) -> None:
    pieces = list(reader.generate(PASSAGES, QUESTION, Sampling(max_tokens=24)))
    text = "".join(p.text for p in pieces)
    words, _, marker = text.partition(" [")
    number = int(marker.partition("]")[0])
    whole = _kept(monkeypatch)
    reader.drops(PASSAGES, QUESTION, [(words, (number,))])
    said = spoken(reader._tokenizer, [(words, (number,))])
    assert reader._tokenizer.decode(list(said.ids)) == text[: len(words) + len(f" [{number}]")]
    expected, tokens = 0.0, 0
    for piece in pieces:
        if tokens < min(len(said.ids), 12):  # later, the limit's closing forces a marker
            expected, tokens = expected + piece.logprob, tokens + piece.tokens
    assert float(whole()[0, :tokens].sum()) == pytest.approx(expected, abs=1e-3)


def _kept(monkeypatch: pytest.MonkeyPatch) -> Callable[[], torch.Tensor]:
    """The log-probabilities that the next call of `drops` sums up."""
    seen: list[torch.Tensor] = []

    def keep(logprobs: torch.Tensor, *rest: object) -> object:
        seen.append(logprobs)
        return drops(logprobs, *rest)  # type: ignore[arg-type]

    monkeypatch.setattr("models.generator.drops", keep)
    return lambda: seen[-1]
