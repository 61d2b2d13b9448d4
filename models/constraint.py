"""The citation constraint as a logit mask: only the markers [1]..[n] of this prompt can be emitted,
an answer cannot end, nor a sentence be followed by another, before a marker; the one text that
needs none is the fixed refusal.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

import torch
from torch import Tensor

from models.prepared import Prepared, Tensors
from models.sampling import FORBIDDEN
from models.tokenizer import Tokenizer

_ENDS_SENTENCE = re.compile(r"[.!?…][\"'”’)]*$")
_ABBREVIATION = re.compile(
    r"(?:\b(?:[A-Z]|Mr|Mrs|Ms|Dr|Prof|St|No|Nos|Art|Sec|vs|etc|e\.g|i\.e|cf|approx|Inc|Ltd|Co)"
    r"|\.[A-Za-z])\.$"
)
_STARTS_SENTENCE = re.compile(r"^(?:\s+[\"'“‘(]?[A-Z0-9]|\s*\n)")


def sentence_ends(text: str) -> bool:
    """Whether `text` could stop here as a whole sentence."""
    text = text.rstrip()
    return bool(_ENDS_SENTENCE.search(text)) and not _ABBREVIATION.search(text)


class Vocabulary:
    """What the constraint needs to know of a tokenizer's tokens, as what is added to the logits,
    (size,) float32: 0 where a token is allowed and -inf where it is not. `plain` allows what stands
    within a sentence, `no_start` what begins none, `nothing` no token at all."""

    def __init__(
        self,
        tokenizer: Tokenizer,
        size: int,
        prepared: Prepared | None = None,
        identity: str = "",
    ) -> None:
        """`prepared` keeps it for the checkpoint of that identity."""
        made_of = f"{identity}\n{size}\n{_STARTS_SENTENCE.pattern}"
        kept = prepared or Prepared()
        found = kept.tensors("vocabulary", made_of, lambda: _sorts(tokenizer, size))
        self.end = torch.tensor(sorted(tokenizer.end))
        found["control"][self.end] = False
        self.nothing = torch.full((size,), FORBIDDEN)
        self.plain = _forbidding(found["bracket"] | found["control"])
        self.no_start = _forbidding(found["starts_sentence"])
        self.no_blank = _forbidding(found["blank"])


def _forbidding(tokens: Tensor) -> Tensor:
    return torch.zeros(tokens.shape).masked_fill_(tokens, FORBIDDEN)


def _sorts(tokenizer: Tokenizer, size: int) -> Tensors:
    texts = tokenizer.decode_each(range(min(size, tokenizer.size)))
    texts += [""] * (size - len(texts))
    return {
        "bracket": torch.tensor(["[" in t or "]" in t for t in texts]),
        "starts_sentence": torch.tensor([bool(_STARTS_SENTENCE.match(t)) for t in texts]),
        "blank": torch.tensor([not t.strip() for t in texts]),
        "control": torch.tensor([t == "" for t in texts]),
    }


class CitationConstraint:
    """Follows one answer. Call `mask` for the logits of the next token, then `advance` with the
    token that was chosen."""

    def __init__(self, tokenizer: Tokenizer, vocabulary: Vocabulary, markers: int, refusal: str):
        self._tokenizer, self._vocabulary = tokenizer, vocabulary
        self._markers = [tuple(tokenizer.encode(f" [{n}]")) for n in range(1, markers + 1)]
        self._markers += [tuple(tokenizer.encode(f"[{n}]")) for n in range(1, markers + 1)]
        self._refusal = tuple(tokenizer.encode(refusal))
        self._ids: list[int] = []
        self._open: tuple[int, ...] = ()  # the part of a marker emitted so far
        self._marked = False  # nothing but markers since the last text
        self._sentence: list[int] = []  # the ids since the last marker
        self.closing = False  # the length limit is near: mark the sentence and stop

    @property
    def refused(self) -> bool:
        return tuple(self._ids) == self._refusal

    def mask(self, logits: Tensor) -> Tensor:
        """A copy of `logits` (vocabulary,) with -inf where a token is not allowed."""
        return logits + self._forbidden().to(logits.device)

    def _forbidden(self) -> Tensor:
        """(vocabulary,): 0 where a token is allowed, else -inf."""
        v = self._vocabulary
        if self._open:
            return self._only(self._next_of_markers(self._open))
        if self.closing and (self._marked or self.refused):
            return self._only(v.end.tolist())
        if self.closing and self._sentence:
            return self._only(self._next_of_markers(()))
        forbidden = v.plain.clone()
        begins = bool(self._sentence) or self._marked
        if begins and self._markers:
            forbidden[self._next_of_markers(())] = 0
        if not self._ids or self._marked:
            forbidden += v.no_blank
        forbidden[v.end] = 0 if self._marked or self.refused else FORBIDDEN
        if self._sentence and sentence_ends(self._tokenizer.decode(self._sentence)):
            forbidden += v.no_start
        return forbidden

    def _only(self, ids: Sequence[int]) -> Tensor:
        forbidden = self._vocabulary.nothing.clone()
        forbidden[list(ids)] = 0
        return forbidden

    def _next_of_markers(self, begun: tuple[int, ...]) -> list[int]:
        n = len(begun)
        return sorted({m[n] for m in self._markers if m[:n] == begun and len(m) > n})

    def rest(self, number: int) -> tuple[int, ...]:
        """What completes the marker that was begun, if it is that of passage `number` (from 1)."""
        begun = len(self._open)
        if not begun or number > len(self._markers) // 2:
            return ()
        forms = (self._markers[number - 1], self._markers[number - 1 + len(self._markers) // 2])
        return next((form[begun:] for form in forms if form[:begun] == self._open), ())

    def advance(self, token: int) -> None:
        self._ids.append(token)
        begun = (*self._open, token)
        if any(m[: len(begun)] == begun for m in self._markers):
            done = begun in self._markers
            self._open = () if done else begun
            if done:
                self._marked, self._sentence = True, []
            return
        self._open, self._marked = (), False
        self._sentence.append(token)
