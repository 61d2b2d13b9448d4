"""What training computes is what serving computes: each question of a packed row has the loss it
has alone, and the gradients do not depend on how the work is cut up.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import contextmanager
from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from models.block_store import BlockStore
from models.checkpoint import Checkpoint
from models.engine.engine import Engine
from models.errors import UnsupportedCheckpoint
from models.generator import TransformerGenerator
from models.lora import Adapter, LoraConfig
from models.training.episodes import Episode, EpisodeSampler, EpisodeSettings, Example
from models.training.reader import EpisodeReader, marked
from models.training.records import Record

WAYS = [(m, r, n) for m in ("reader", "all") for r in ("block", "full") for n in (6, 0)]


def random_adapter(base: Checkpoint, **shape: object) -> Adapter:
    torch.manual_seed(7)
    adapter = Adapter(base.model, LoraConfig(rank=3, **shape))  # type: ignore[arg-type]
    for name, weight in adapter.named_parameters():
        torch.nn.init.normal_(weight, std=0.5 if "markers" in name else 0.15)
    adapter.attach(base.model)
    return adapter


def episode_of(records: list[Record], reading: str = "block", seed: int = 2) -> Episode:
    settings = EpisodeSettings(questions=5, full=float(reading == "full"))
    return EpisodeSampler(records, settings, seed).draw()


def served_loss(
    base: Checkpoint, adapter: Adapter, episode: Episode, example: Example, answer: list[int]
) -> float:
    """The answer's loss after the generator has read the prompt as it does for a user."""
    engine = Engine(base, BlockStore(None, 2**26, 0, "exact"))
    serving = TransformerGenerator(engine, adapter)
    engine.close()
    prompt = serving._prompts.build([p.shown for p in episode.passages], example.record.question)
    with torch.no_grad():
        cache = serving._read(prompt, len(answer))
        ids = torch.tensor([[*prompt.question, *answer[:-1]]])
        with serving._reader.answering() as model:
            logits = model.logits(model(ids, kv=cache)[0, -len(answer) :])
    adapter.attach(base.model)
    return float(F.cross_entropy(logits, torch.tensor(answer), reduction="sum"))


@pytest.mark.parametrize(("mode", "reading", "markers"), WAYS)
def test_a_packed_row_costs_what_its_questions_cost_alone(
    base: Checkpoint, records: list[Record], mode: str, reading: str, markers: int
) -> None:
    adapter = random_adapter(base, mode=mode, reading=reading, markers=markers).eval()
    episode = episode_of(records, reading)
    reader = EpisodeReader(base.model, adapter, base.tokenizer)
    together, learnt = reader.loss(reader.batch(episode, longest=10_000))
    answers = [reader.answer_ids(example) for example in episode.examples]
    alone = [
        served_loss(base, adapter, episode, example, answer)
        for example, answer in zip(episode.examples, answers, strict=True)
    ]
    assert len(alone) == 5
    assert learnt == sum(map(len, answers))
    assert float(together.detach()) == pytest.approx(sum(alone), rel=1e-5)


def gradients(adapter: Adapter, backward: Callable[[], Tensor]) -> tuple[float, list[Tensor]]:
    adapter.zero_grad()
    loss = backward()
    loss.backward()  # type: ignore[no-untyped-call]
    return float(loss.detach()), [
        torch.zeros_like(p) if p.grad is None else p.grad.clone() for p in adapter.parameters()
    ]


@contextmanager
def recomputing(base: Checkpoint):  # type: ignore[no-untyped-def]
    base.model.recompute = True
    try:
        yield
    finally:
        base.model.recompute = False


@pytest.mark.parametrize(("mode", "reading", "markers"), WAYS)
def test_recomputing_layers_changes_nothing(
    base: Checkpoint, records: list[Record], mode: str, reading: str, markers: int
) -> None:
    """Dropout draws the same again, too."""
    adapter = random_adapter(base, mode=mode, reading=reading, markers=markers, dropout=0.2)
    reader = EpisodeReader(base.model, adapter.train(), base.tokenizer)
    episode = episode_of(records, reading)

    def loss() -> Tensor:
        torch.manual_seed(5)
        return reader.loss(reader.batch(episode))[0]

    kept, plain = gradients(adapter, loss)
    with recomputing(base):
        again, recomputed = gradients(adapter, loss)
    assert kept == again
    for one, other in zip(plain, recomputed, strict=True):
        assert torch.allclose(one, other, rtol=1e-5, atol=1e-7)


def test_one_row_has_the_gradients_of_its_questions_added_up(
    base: Checkpoint, records: list[Record]
) -> None:
    """Nothing flows between the questions of a row; what is said of one is not learnt twice."""
    adapter = random_adapter(base, mode="all", markers=6)
    reader = EpisodeReader(base.model, adapter, base.tokenizer)
    episode = episode_of(records)
    whole, together = gradients(adapter, lambda: reader.loss(reader.batch(episode))[0])
    losses, apart = 0.0, [torch.zeros_like(p) for p in adapter.parameters()]
    for example in episode.examples:
        single = replace(episode, examples=(example,))
        loss, found = gradients(adapter, lambda: reader.loss(reader.batch(single))[0])  # noqa: B023
        losses += loss
        apart = [a + f for a, f in zip(apart, found, strict=True)]
    assert whole == pytest.approx(losses, rel=1e-5)
    for one, other in zip(together, apart, strict=True):
        assert torch.allclose(one, other, rtol=1e-3, atol=1e-4)


def test_gradients_are_the_losss_slope(base: Checkpoint, records: list[Record]) -> None:
    """Through passages too: a small step along the gradient changes the loss as it says."""
    base.model.double()
    adapter = random_adapter(base, mode="all", markers=6).double()
    reader = EpisodeReader(base.model, adapter, base.tokenizer)
    episode = episode_of(records)
    before, slope = gradients(adapter, lambda: reader.loss(reader.batch(episode))[0])
    length = sum(float(g.square().sum()) for g in slope)
    step = 1e-5 / length**0.5
    with torch.no_grad():
        for parameter, g in zip(adapter.parameters(), slope, strict=True):
            parameter -= step * g
        after = float(reader.loss(reader.batch(episode))[0])
    assert (before - after) / step == pytest.approx(length, rel=1e-2)


def test_only_mode_all_learns_through_passages(base: Checkpoint, records: list[Record]) -> None:
    for mode in ("reader", "all"):
        adapter = random_adapter(base, mode=mode, markers=6)
        batch = EpisodeReader(base.model, adapter, base.tokenizer).batch(episode_of(records))
        assert batch.keys.requires_grad == batch.values.requires_grad == (mode == "all")


def test_bfloat16_weights_give_float32_gradients(base: Checkpoint, records: list[Record]) -> None:
    """With bfloat16 base weights, and with float32 ones under autocast."""
    episode, losses = episode_of(records), {}
    for way in ("float32", "autocast", "bfloat16"):
        base.model.to(torch.bfloat16 if way == "bfloat16" else torch.float32)
        adapter = random_adapter(base, mode="all", markers=6)
        reader = EpisodeReader(base.model, adapter, base.tokenizer, autocast=way == "autocast")
        batch = reader.batch(episode)
        assert batch.values.dtype == (torch.float32 if way == "float32" else torch.bfloat16)
        losses[way], found = gradients(adapter, lambda: reader.loss(batch)[0])  # noqa: B023
        assert {g.dtype for g in found} == {torch.float32}
        assert all(g.abs().sum() > 0 for g in found)
    assert losses["autocast"] == pytest.approx(losses["float32"], rel=0.03)
    assert losses["bfloat16"] == pytest.approx(losses["float32"], rel=0.03)


def test_questions_that_do_not_fit_stay_away(base: Checkpoint, records: list[Record]) -> None:
    adapter = random_adapter(base, markers=6)
    reader = EpisodeReader(base.model, adapter, base.tokenizer)
    episode = episode_of(records)
    assert int(reader.batch(episode, longest=1).owner[-1]) == 0  # the first one always comes
    long = replace(episode.examples[0].record, question="why " * 600)
    asked = (replace(episode.examples[0], record=long), *episode.examples[1:])
    assert int(reader.batch(replace(episode, examples=asked), longest=10_000).owner[-1]) == 3
    with pytest.raises(UnsupportedCheckpoint, match="do not fit the model's 2048"):
        reader.batch(replace(episode, examples=asked[:1]))


@pytest.mark.parametrize(
    ("answer", "wanted"),
    [
        ("Oslo", "Oslo [2]"),
        ("Pay comes monthly. Leave is 25 days.", "Pay comes monthly. [2] Leave is 25 days. [2]"),
        ("Dr. J. Weber of St. Ives", "Dr. J. Weber of St. Ives [2]"),
    ],
)
def test_every_sentence_of_an_answer_is_marked(answer: str, wanted: str) -> None:
    assert marked(answer, (1,)) == wanted
