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
    """What the constraint needs to know of a tokenizer's tokens, each (size,) but `end`."""

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
        self.bracket, self.starts_sentence = found["bracket"], found["starts_sentence"]
        self.blank, self.control = found["blank"], found["control"]
        self.end = torch.tensor(sorted(tokenizer.end))
        self.control[self.end] = False


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
        allowed = self._allowed().to(logits.device)
        return logits.masked_fill(~allowed, float("-inf"))

    def _allowed(self) -> Tensor:
        v = self._vocabulary
        if self._open:
            return self._only(self._next_of_markers(self._open))
        if self.closing and (self._marked or self.refused):
            return self._only(v.end.tolist())
        if self.closing and self._sentence:
            return self._only(self._next_of_markers(()))
        allowed = ~(v.bracket | v.control)
        begins = bool(self._sentence) or self._marked
        if begins and self._markers:
            allowed[self._next_of_markers(())] = True
        allowed[v.end] = self._marked or self.refused
        if not self._ids or self._marked:
            allowed &= ~v.blank
            allowed[v.end] = self._marked or self.refused
        if self._sentence and sentence_ends(self._tokenizer.decode(self._sentence)):
            allowed &= ~v.starts_sentence
        return allowed

    def _only(self, ids: Sequence[int]) -> Tensor:
        allowed = torch.zeros_like(self._vocabulary.bracket)
        allowed[list(ids)] = True
        return allowed

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
