"""One answer while it is written: which token next, under the citation constraint, and the pieces
of text that come of it. Knows tokens and text; not where the logits come from.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from models.constraint import CitationConstraint, Vocabulary
from models.draft import Lookup
from models.piece import Piece
from models.prompt import REFUSAL, Prompt
from models.sampling import Settings, choose, generator, logprob
from models.tokenizer import Tokenizer

_CLOSING = 6  # tokens kept back for a last marker and the end


class Writing:
    """Pieces go to `emit`. The first tells how likely the refusal was; what is written then is
    never the refusal."""

    def __init__(
        self,
        prompt: Prompt,
        tokenizer: Tokenizer,
        vocabulary: Vocabulary,
        sampling: Settings,
        emit: Callable[[Piece], None],
    ) -> None:
        self._tokenizer, self._sampling, self._emit = tokenizer, sampling, emit
        count = len(prompt.passages)
        self._constraint = CitationConstraint(tokenizer, vocabulary, count, REFUSAL)
        self._lookup = Lookup(prompt.passages)
        self._first_of_refusal = tokenizer.encode(REFUSAL)[0]
        self._chance = generator(sampling.seed)
        self._refusal: float | None = None
        self._ids: list[int] = []
        self._shown = ""
        self._logprob, self._pending = 0.0, 0  # of tokens that are not shown yet

    def guess(self, most: int) -> Sequence[int]:
        """The marker of the passage that was copied, once one is begun, and the end; else how that
        passage goes on."""
        room = min(most, self._sampling.max_tokens - len(self._ids) - 1)
        copied = self._lookup.copied
        if copied is not None and (rest := self._constraint.rest(copied + 1)):
            return (*rest, *self._tokenizer.end)[:room]
        return self._lookup.guess(self._ids, room)

    def choose(self, logits: Tensor) -> int | None:
        if self._refusal is None:
            self._refusal = float(logits.softmax(-1)[self._first_of_refusal])
            self._emit(Piece("", 0, 0.0, self._refusal))
            logits = logits.clone()
            logits[self._first_of_refusal] = float("-inf")
        most = self._sampling.max_tokens
        if most <= 0:
            return None
        self._constraint.closing = len(self._ids) >= most - _CLOSING
        scores = self._constraint.mask(logits)
        token = int(choose(scores, self._sampling, torch.tensor(self._ids), self._chance))
        self._logprob += float(logprob(scores, torch.tensor(token, device=scores.device)))
        self._pending += 1
        if token in self._tokenizer.end:
            self._flush()
            return None
        self._ids.append(token)
        self._constraint.advance(token)
        text = self._tokenizer.decode(self._ids)
        if not text.endswith("\ufffd"):  # else a character is still incomplete
            self._show(text)
            if any(stop in text for stop in self._sampling.stop):
                return None
        if len(self._ids) < most:
            return token
        self._flush()
        return None

    def _show(self, text: str) -> None:
        new = text[len(self._shown) :]
        self._emit(Piece(new, self._pending, self._logprob, self._refusal or 0.0))
        self._shown, self._logprob, self._pending = text, 0.0, 0

    def _flush(self) -> None:
        """What was not shown yet, as no whole character came of it, still counts."""
        if self._pending:
            self._show(self._shown)
