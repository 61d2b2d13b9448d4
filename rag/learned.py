"""Support by a small trained head over words and meaning. It can take support away from a sentence
whose words stand in the evidence, and puts in order what they do not support; it never admits what
the words alone refuse, and a veto stays a veto.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from rag import features as lexical
from rag import similarity
from rag.analyse import analyse
from rag.ports import Embedder
from rag.verify import check_answer

INPUTS = (*lexical.NAMES, *similarity.NAMES)
ENOUGH = 0.6  # support by words, see `rag.verify`
VETOED, LACKING = 0.1, 0.59  # what is left of the head's score after a veto, or without the words
_FEW = 4  # content words under which an answer is a fragment, and its words say all


class Head(Protocol):
    """`embedder` is the identity of the one it was trained with, `inputs` the names of what it
    reads. `score` is in [0, 1] with 0.6 where labelled pairs were told apart best."""

    @property
    def identity(self) -> str: ...
    @property
    def embedder(self) -> str: ...
    @property
    def inputs(self) -> tuple[str, ...]: ...
    def score(self, values: Sequence[float]) -> float: ...


class Learned:
    """The verifier port with a trained head. Words that stand in the evidence as they are are
    supported by it; fragments are judged by their words."""

    def __init__(self, embedder: Embedder, head: Head) -> None:
        self._embedder, self._head = embedder, head

    @property
    def identity(self) -> str:
        return self._head.identity

    def support(self, evidence: str, sentence: str, question: str) -> float:
        words = check_answer(evidence, sentence, question)
        if len(analyse(sentence)) < _FEW or _verbatim(evidence, sentence):
            return words.score
        score = self._head.score(inputs(self._embedder, evidence, sentence))
        if words.vetoes:
            return score * VETOED
        return score if words.score >= ENOUGH else score * LACKING


def inputs(embedder: Embedder, evidence: str, sentence: str) -> tuple[float, ...]:
    """One number for each of `INPUTS`."""
    parts, held = similarity.near(evidence, sentence)
    vectors = embedder.embed([*parts, *held])
    near = similarity.similarities(vectors[: len(parts)], vectors[len(parts) :])
    return (*lexical.features(evidence, sentence), *similarity.rounded(near))


def _verbatim(evidence: str, sentence: str) -> bool:
    plain = " ".join(sentence.casefold().split()).rstrip(".")
    return plain in " ".join(evidence.casefold().split())
