"""What the benchmarks ask of an engine, ours or another's: an answer to a prompt, on the clock."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from time import perf_counter
from typing import Protocol

from benchmarks.workload import Question
from models.prompt import SYSTEM
from models.tokenizer import Tokenizer


class PeerMissing(Exception):
    """The engine is not installed, or cannot run here; the message says what to install."""


class PeerFailed(Exception):
    """The engine was asked and gave no answer."""


@dataclass(frozen=True, slots=True)
class Parts:
    """A prompt as its parts and as the text that they are together, with the chat template."""

    passages: tuple[str, ...]
    question: str
    text: str


class Framing:
    """Puts questions into the words that models/prompt.py puts them in. Passages carry no numbers
    in the text, as with the shipped adapter: every engine reads the same tokens."""

    def __init__(self, tokenizer: Tokenizer) -> None:
        self._before, self._after = tokenizer.frame(SYSTEM)

    def parts(self, asked: Question) -> Parts:
        return self.of(asked.passages, asked.question)

    def of(self, passages: tuple[str, ...], question: str) -> Parts:
        shown = "".join(f"{text.strip()}\n" for text in passages)
        text = f"{self._before}{shown}\nQuestion: {question.strip()}{self._after}"
        return Parts(passages, question, text)


@dataclass(frozen=True, slots=True)
class Timed:
    """An answer. `stamps` are (seconds since the question, tokens so far) at each step of the
    stream; the end token counts, as it had to be decoded."""

    text: str
    stamps: tuple[tuple[float, int], ...]

    @property
    def first_token_seconds(self) -> float:
        return self.stamps[0][0]

    @property
    def total_seconds(self) -> float:
        return self.stamps[-1][0]

    @property
    def tokens(self) -> int:
        return self.stamps[-1][1]

    @property
    def tokens_per_second(self) -> float | None:
        """While decoding, after the first step; None for an answer of one step."""
        (began, first), (ended, last) = self.stamps[0], self.stamps[-1]
        return (last - first) / (ended - began) if last > first else None

    @property
    def longest_gap_seconds(self) -> float:
        """Between two steps of the stream; 0 for an answer of one step."""
        seconds = [at for at, _ in self.stamps]
        return max((b - a for a, b in pairwise(seconds)), default=0.0)

    def seconds_to(self, tokens: int) -> float | None:
        """When the answer had that many tokens; None where it never did."""
        return next((at for at, held in self.stamps if held >= tokens), None)


class Stopwatch:
    """Starts when it is made. Call `tick` at each step of the stream."""

    def __init__(self) -> None:
        self._began = perf_counter()
        self._text: list[str] = []
        self._stamps: list[tuple[float, int]] = []

    def tick(self, text: str, tokens: int = 1) -> None:
        so_far = self._stamps[-1][1] if self._stamps else 0
        self._text.append(text)
        self._stamps.append((perf_counter() - self._began, so_far + tokens))

    def timed(self) -> Timed:
        """Raises PeerFailed when nothing came."""
        if not self._stamps:
            raise PeerFailed("the engine ended its answer without a token")
        return Timed("".join(self._text), tuple(self._stamps))


class Peer(Protocol):
    """Greedy, with the same weights and prompt text as every other. `settings` is all that was
    chosen for it."""

    @property
    def name(self) -> str: ...
    @property
    def settings(self) -> Mapping[str, object]: ...

    def prepare(self) -> None:
        """Load what is needed. Raises PeerMissing."""
        ...

    def ready(self, parts: Parts) -> None:
        """Off the clock: make true what this engine's row says of its state before the question."""
        ...

    def answer(self, parts: Parts, max_tokens: int, forced: bool = False) -> Timed:
        """At most `max_tokens`; exactly so many when `forced`, past any end. Raises PeerFailed."""
        ...

    def close(self) -> None: ...


class Served(Peer, Protocol):
    """An engine that many ask at once, each from a thread of its own."""

    def resident_bytes(self) -> int:
        """Memory of its process now."""
        ...
