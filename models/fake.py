"""Stand-ins without weights: deterministic, quick, and true to the ports. For tests and for trying
the house without a model; never chosen unless asked for by name.
"""

from __future__ import annotations

import hashlib
import math
import re
from collections.abc import Callable, Generator, Iterable, Sequence
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from models.piece import Piece
from models.prompt import REFUSAL

if TYPE_CHECKING:
    from models.generator import WarmingEnd
    from models.sampling import Settings

_WORD = re.compile(r"\w+")
_SENTENCE = re.compile(r"[^.!?\n]+[.!?]*")
_COMMON = frozenset(
    _WORD.findall(
        "a an and are as at be by do does for from has have how i in is it its many much of on or "
        "our than that the their there this to was we were what when where which who whose why "
        "will with you your"
    )
)


def _words(text: str) -> list[str]:
    return [word.lower() for word in _WORD.findall(text)]


class HashEmbedder:
    """A hashed bag of words as a unit vector: texts that share words are near each other.

    A text without words points along the first axis. What is past `max_tokens` words is cut.
    """

    def __init__(self, dimension: int = 64, max_tokens: int = 256) -> None:
        self._dimension, self._max_tokens = dimension, max_tokens

    @property
    def identity(self) -> str:
        return f"hash-words/{self._dimension}/{self._max_tokens}"

    @property
    def dimension(self) -> int:
        return self._dimension

    @property
    def max_tokens(self) -> int:
        return self._max_tokens

    def count_tokens(self, text: str) -> int:
        """Words, uncut."""
        return len(_words(text))

    def embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """(n, dimension) float32, rows of length 1."""
        vectors = np.zeros((len(texts), self._dimension), dtype=np.float32)
        for row, text in enumerate(texts):
            for word in _words(text)[: self._max_tokens]:
                axis, sign = _axis(word, self._dimension)
                vectors[row, axis] += sign
            if not vectors[row].any():
                vectors[row, 0] = 1.0
        lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
        return np.asarray(vectors / np.maximum(lengths, 1e-12), dtype=np.float32)


@lru_cache(maxsize=65536)
def _axis(word: str, dimension: int) -> tuple[int, float]:
    """Feature hashing with a sign (Weinberger et al. 2009, arXiv 0902.2206)."""
    digest = hashlib.blake2b(word.encode("utf-8", "replace"), digest_size=8).digest()
    number = int.from_bytes(digest, "little")
    return number % dimension, 1.0 if number >> 63 else -1.0


class CopyGenerator:
    """The generator port by copying: the passage sentence that shares most words with the question,
    ended by its passage's marker; or the refusal when none shares a word that says anything.

    Tokens are words. The log-probability of every word is that of the shared part of the question,
    so a poorer match is less confident.
    """

    def __init__(self, refusal: str = REFUSAL, context_tokens: int = 2048) -> None:
        self._refusal, self._context_tokens = refusal, context_tokens

    @property
    def model(self) -> str:
        return "fake-copy"

    @property
    def adapter(self) -> str:
        return "none"

    @property
    def prompt_version(self) -> str:
        return "fake-1"

    @property
    def computed(self) -> dict[str, str | int | float | bool]:
        return {}

    @property
    def refusal(self) -> str:
        return self._refusal

    @property
    def min_confidence(self) -> float:
        return 0.3

    @property
    def confidence(self) -> dict[str, float]:
        return {}

    @property
    def context_tokens(self) -> int:
        return self._context_tokens

    @property
    def most_passages(self) -> int:
        return 20

    def count_tokens(self, text: str) -> int:
        return len(text.split())

    def token_counts(self, texts: Sequence[str]) -> list[int]:
        return [self.count_tokens(text) for text in texts]

    def generate(
        self, passages: Sequence[str], question: str, sampling: Settings, keep: bool = True
    ) -> Generator[Piece]:
        asked = set(_words(question)) - _COMMON
        best, score, marker = "", 0, 0
        for number, passage in enumerate(passages, start=1):
            for sentence in _SENTENCE.findall(passage):
                shared = len(asked & set(_words(sentence)))
                if shared > score:
                    best, score, marker = sentence.strip(), shared, number
        if not score:
            yield from _spoken(self._refusal, 1.0)
            return
        kept = " ".join(best.split()[: max(1, sampling.max_tokens - 1)])
        yield from _spoken(f"{kept} [{marker}]", score / len(asked))

    def warm(self, texts: Iterable[str], stop: Callable[[], bool]) -> tuple[int, WarmingEnd]:
        """It keeps nothing of passages."""
        return 0, "done"

    def drops(
        self, passages: Sequence[str], question: str, sentences: Sequence[tuple[str, Sequence[int]]]
    ) -> list[tuple[float, ...]]:
        """The log-probability of a sentence is that of the share of its words that a passage
        holds."""
        held = [set(_words(passage)) for passage in passages]
        found = []
        for text, _ in sentences:
            whole = _share(text, held)
            rest = [_share(text, held[:i] + held[i + 1 :]) for i in range(len(held))]
            found.append(tuple(whole - each for each in rest))
        return found


def _share(text: str, held: Sequence[set[str]]) -> float:
    """Logarithm of the share of the words of `text` in the one of `held` with most of them, each
    counted once more than it is."""
    words = _words(text)
    most = max((sum(word in have for word in words) for have in held), default=0)
    return math.log((most + 1) / (len(words) + 1))


def _spoken(text: str, probability: float) -> Generator[Piece]:
    logprob = math.log(probability)
    for number, word in enumerate(text.split(" ")):
        yield Piece(word if number == 0 else f" {word}", 1, logprob)
