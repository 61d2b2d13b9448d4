"""What the engine is asked to do for one answer, and how it stands with it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from time import perf_counter
from typing import Protocol

from torch import Tensor

from models.blocks import KVBlock
from models.engine.reader import Reader
from models.engine.stream import Stream
from models.kv import KVCache


class Writer(Protocol):
    """Chooses the words of one answer and puts them into its stream."""

    def guess(self, most: int) -> Sequence[int]:
        """At most so many tokens that may well come next; wrong ones cost time, never words."""
        ...

    def choose(self, logits: Tensor) -> int | None:
        """The next token, from logits (vocabulary,); None: the answer is complete."""
        ...


@dataclass(frozen=True, slots=True)
class Passage:
    """`text` is the sha256 of the words that the ids were made of: it names the KV block."""

    ids: tuple[int, ...]
    text: str


@dataclass(frozen=True, slots=True)
class Request:
    """Read the passages, then the question, then write at most `room` tokens. `keep`: blocks that
    are made of the passages may be kept."""

    reader: Reader
    passages: tuple[Passage, ...]
    question: tuple[int, ...]
    room: int
    writer: Writer
    stream: Stream
    keep: bool = True
    asked: float = field(default_factory=perf_counter)

    @property
    def length(self) -> int:
        """Tokens that must fit the answer's cache, with those of guesses that may be wrong."""
        own = sum(len(passage.ids) for passage in self.passages)
        return len(self.reader.prefix_ids) + own + len(self.question) + self.room + GUESSES


GUESSES = 3  # tokens checked beside the next one


@dataclass(eq=False, slots=True)
class Answer:
    """A request on its way. First its passages are read: `blocks` as far as they are there, or,
    with full attention, what is `unread`. Then there are `pending` tokens, which the model has not
    seen yet: the question, and from then on the last token that was written."""

    request: Request
    cache: KVCache
    blocks: list[KVBlock | None] = field(default_factory=list)
    unread: list[int] = field(default_factory=list)
    pending: list[int] = field(default_factory=list)
    guessed: tuple[int, ...] = ()
    luck: float = 1.0  # the share of guesses that were right, of late
    writing: bool = False
    timings: dict[str, float] = field(default_factory=dict)

    def learn(self, right: int) -> None:
        """So many of the guesses were right. Without any, trust grows back slowly."""
        if self.guessed:
            self.luck += 0.4 * (right / len(self.guessed) - self.luck)
        else:
            self.luck += 0.03

    @property
    def worth(self) -> int:
        """Guesses that are likely to save more than their checking costs: on a CPU, a pass over
        four tokens takes two thirds longer than one over a single token, over two a sixth."""
        return GUESSES if self.luck > 0.3 else int(self.luck > 0.12)

    def timed(self, stage: str, seconds: float) -> None:
        self.timings[stage] = self.timings.get(stage, 0.0) + seconds
