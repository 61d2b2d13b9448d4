from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor

from models.errors import WeightsCorrupt
from models.token_match import FIRST, TokenMatch, read_match
from models.training.reranker import Group, RerankPlan, fit


def texts(*lengths: int, seed: int = 0, width: int = 16) -> list[Tensor]:
    chance = torch.Generator().manual_seed(seed)
    return [torch.randn(length, width, generator=chance) for length in lengths]


def test_untrained_it_is_the_mean_nearest_word() -> None:
    (question,), passages = texts(6), texts(9, 4, seed=1)
    unit = torch.nn.functional.normalize
    inner = unit(question[1:-1], dim=-1)  # without the special tokens
    expected = [(inner @ unit(p, dim=-1).T).amax(1).mean() * FIRST for p in passages]
    with torch.inference_mode():
        assert TokenMatch(16)([question], passages)[0].tolist() == pytest.approx(
            [float(value) for value in expected], abs=1e-5
        )


def trained() -> TokenMatch:
    """Every weight away from where it starts."""
    match = TokenMatch(16).requires_grad_(False)
    chance = torch.Generator().manual_seed(5)
    for parameter in match.parameters():
        parameter += 0.3 * torch.randn(parameter.shape, generator=chance)
    return match


def test_a_score_does_not_depend_on_its_neighbours() -> None:
    match = trained()
    questions, passages = texts(5, 9), texts(3, 30, 12, 7, seed=1)
    together = match(questions, passages)
    for row, question in enumerate(questions):
        for column in range(2):
            alone = match([question], [passages[2 * row + column]])
            assert float(alone) == pytest.approx(float(together[row, column]), abs=1e-4)


def test_training_learns_which_word_counts() -> None:
    """Every passage holds one of the question's two words; only the first one answers, and what
    retrieval puts first holds the other."""
    axes = torch.eye(16)
    edge = axes[15]
    questions = [torch.stack([edge, axes[0], axes[1], edge])]
    gold = torch.stack([edge, axes[0], axes[2], edge])
    other = [torch.stack([edge, axes[1], axes[3 + i % 9], edge]) for i in range(40)]
    passages = [gold, *other]
    group = Group(0, ((0, 0.2),), tuple((1 + i, 1.0 - i / 40) for i in range(40)))
    plan = RerankPlan(steps=60, questions=1, rate=0.05)
    before = [0.2, *(score for _, score in group.wrong)]

    def best(match: TokenMatch) -> int:
        with torch.inference_mode():
            return int(
                (match(questions, passages)[0] + match.prior * torch.tensor(before)).argmax()
            )

    assert best(TokenMatch(16)) == 1
    match, again = (
        fit([group], questions.__getitem__, passages.__getitem__, plan, lambda _: None)
        for _ in range(2)
    )
    assert best(match) == 0
    assert all(torch.equal(value, again.state_dict()[k]) for k, value in match.state_dict().items())


def test_without_a_question_that_teaches_nothing_is_trained() -> None:
    group = Group(0, (), tuple((i, 0.5) for i in range(40)))
    with pytest.raises(ValueError, match="no question has a gold passage"):
        fit([group], texts(5).__getitem__, texts(5).__getitem__, RerankPlan(), lambda _: None)


def test_weights_are_read_back_and_checked(tmp_path: Path) -> None:
    match, path = trained(), tmp_path / "match.safetensors"
    save_file(match.state_dict(), path)
    rows = texts(5), texts(8, 8, seed=2)
    assert torch.equal(read_match(path)(*rows), match(*rows))
    save_file({"map": torch.eye(16)}, path)
    with pytest.raises(WeightsCorrupt, match=str(path)):
        read_match(path)
