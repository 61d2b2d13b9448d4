"""How well the words of a passage meet those of a question, from their vectors to one number.

Each word of the question looks for its nearest word in the passage (MaxSim: Khattab and Zaharia
2020, arXiv 2004.12832). What is trained is how much each word of the question counts.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch
import torch.nn.functional as F
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn
from torch.nn.utils.rnn import pad_sequence

from models.errors import WeightsCorrupt

FIRST = 8.0  # weights at the start: what the mean nearest word counts, and retrieval's order


class TokenMatch(nn.Module):
    """Starts as plain MaxSim over the encoder's own vectors, of `width`. `prior` is what the order
    of retrieval counts beside the score: it is trained with it, so that the score learns what that
    order lacks."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.of_question = nn.Linear(width, 1)
        self.nearest = nn.Parameter(torch.tensor(FIRST))
        self.prior = nn.Parameter(torch.tensor(FIRST))
        nn.init.zeros_(self.of_question.weight)
        nn.init.zeros_(self.of_question.bias)

    def forward(self, questions: Sequence[Tensor], passages: Sequence[Tensor]) -> Tensor:
        """B questions (Q, D) and B x C passages (P, D), those of a question side by side, special
        tokens at both ends of each -> (B, C) scores in nats, float32."""
        each = len(passages) // len(questions)
        q, q_word = _padded(questions)
        p, p_word = _padded(passages)
        inner = q_word.clone()  # a question's special tokens ask for nothing
        inner[:, 0] = False
        inner[torch.arange(len(questions)), q_word.sum(1) - 1] = False
        counts = self.of_question(q.float()).squeeze(-1).masked_fill(~inner, -1e4)
        counts = torch.softmax(counts, -1).repeat_interleave(each, 0)  # (B C, Q)
        near = torch.bmm(_unit(q).repeat_interleave(each, 0), _unit(p).mT)
        nearest = near.masked_fill(~p_word[:, None], -2.0).amax(-1)  # (B C, Q)
        score = self.nearest * (counts * nearest).sum(-1)
        return score.view(len(questions), each)


def _unit(states: Tensor) -> Tensor:
    return F.normalize(states.float(), dim=-1)


def _padded(texts: Sequence[Tensor]) -> tuple[Tensor, Tensor]:
    """(B, L, D), and (B, L) true where a text has a word."""
    lengths = torch.tensor([len(text) for text in texts], device=texts[0].device)
    rows = pad_sequence(list(texts), batch_first=True)
    return rows, torch.arange(rows.shape[1], device=rows.device) < lengths[:, None]


def read_match(path: Path) -> TokenMatch:
    """Raises WeightsCorrupt."""
    try:
        weights = {name: tensor.float() for name, tensor in load_file(path).items()}
        match = TokenMatch(weights["of_question.weight"].shape[1])
        match.load_state_dict(weights)
    except (OSError, SafetensorError, KeyError, RuntimeError) as exc:
        raise WeightsCorrupt(f"{path} cannot be read: {exc}") from exc
    return match.requires_grad_(False).eval()
