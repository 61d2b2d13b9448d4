"""The prompt: what stands around the passages and the question, versioned with the adapters that
were trained on it. Serving and training both build their ids here.

    prefix | passage 1 | passage 2 | ... | question | answer
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from models.tokenizer import Tokenizer

VERSION = "attest-1"
REFUSAL = "Not in the documents."
SYSTEM = (
    "Answer the question from the passages. Copy the shortest words that answer it fully and end "
    "each sentence with the number of its passage, like [1]. If the passages do not hold the "
    f"answer, say: {REFUSAL}"
)


@dataclass(frozen=True, slots=True)
class Prompt:
    """Token ids of the parts. Each passage is encoded alone and ends in a line break, so that its
    ids do not depend on what stands beside it."""

    prefix: tuple[int, ...]
    passages: tuple[tuple[int, ...], ...]
    question: tuple[int, ...]

    @property
    def length(self) -> int:
        return len(self.prefix) + sum(map(len, self.passages)) + len(self.question)


class PromptBuilder:
    """Builds prompts for one tokenizer. With `numbered`, each passage's text begins with its
    number (for weights without an adapter that carries the numbers otherwise)."""

    def __init__(self, tokenizer: Tokenizer, numbered: bool = False) -> None:
        self._tokenizer = tokenizer
        self._numbered = numbered
        prefix, self._suffix = tokenizer.frame(SYSTEM)
        self.prefix = tuple(tokenizer.encode(prefix, special=True))
        self._after = tuple(tokenizer.encode(self._suffix, special=True))

    def passage(self, text: str, number: int) -> tuple[int, ...]:
        head = f"[{number}] " if self._numbered else ""
        return tuple(self._tokenizer.encode(f"{head}{text.strip()}\n"))

    def question(self, text: str) -> tuple[int, ...]:
        return tuple(self._tokenizer.encode(f"\nQuestion: {text.strip()}")) + self._after

    def build(self, passages: Sequence[str], question: str) -> Prompt:
        blocks = tuple(self.passage(text, i) for i, text in enumerate(passages, 1))
        return Prompt(self.prefix, blocks, self.question(question))
