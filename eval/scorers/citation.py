"""Citations: against the gold passages, and by entailment as in ALCE (Gao et al. 2023, arXiv
2305.14627). `entail(premise, hypothesis)` is any function into [0, 1]; at `threshold` and above it
entails.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass

Entail = Callable[[str, str], float]
MOST_MARKERS = 3  # ALCE reads the first three of a sentence


@dataclass(frozen=True, slots=True)
class CitedSentence:
    """One sentence without its markers, and what it cites, in the order of its markers. An id that
    is not among the passages is out of range."""

    text: str
    cited: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Shown:
    """A passage as it stood in the prompt."""

    title: str
    text: str

    @property
    def premise(self) -> str:
        return f"Title: {self.title}\n{self.text}" if self.title else self.text


def gold_precision(cited: Collection[str], gold: Collection[str]) -> float | None:
    """Share of the cited passages that are gold; 0 when nothing is cited; None without gold."""
    if not gold:
        return None
    unique = set(cited)
    return len(unique & set(gold)) / len(unique) if unique else 0.0


def gold_recall(cited: Collection[str], gold: Collection[str]) -> float | None:
    """Share of the gold passages that are cited; None without gold."""
    return len(set(cited) & set(gold)) / len(set(gold)) if gold else None


def gold_hit(cited: Collection[str], gold: Collection[str]) -> float | None:
    """1 when a gold passage is cited. Where several passages hold the answer each is enough, and
    recall asks too much."""
    return float(bool(set(cited) & set(gold))) if gold else None


def coverage(sentences: Sequence[CitedSentence]) -> float | None:
    """Share of the sentences that carry a citation; None without a sentence."""
    if not sentences:
        return None
    return sum(bool(sentence.cited) for sentence in sentences) / len(sentences)


def alce_recall(
    sentences: Sequence[CitedSentence],
    passages: Mapping[str, Shown],
    entail: Entail,
    threshold: float = 0.5,
) -> float | None:
    """Share of the sentences that their cited passages, joined, entail. Uncited or out of range
    counts 0. None without a sentence."""
    if not sentences:
        return None
    return sum(_recalled(s, passages, entail, threshold) for s in sentences) / len(sentences)


def alce_precision(
    sentences: Sequence[CitedSentence],
    passages: Mapping[str, Shown],
    entail: Entail,
    threshold: float = 0.5,
) -> float | None:
    """Share of the citations that count: their sentence is entailed, and NOT (alone the citation
    does not entail it while the remaining ones still do). 0 without a citation, None without a
    sentence."""
    if not sentences:
        return None
    counted = total = 0
    for sentence in sentences:
        read = sentence.cited[:MOST_MARKERS]
        total += len(read)
        if not _recalled(sentence, passages, entail, threshold):
            continue
        for i, one in enumerate(read):
            rest = read[:i] + read[i + 1 :]
            alone = _entailed(sentence.text, (one,), passages, entail, threshold)
            idle = not alone and _entailed(sentence.text, rest, passages, entail, threshold)
            counted += not idle
    return counted / total if total else 0.0


def _recalled(
    sentence: CitedSentence, passages: Mapping[str, Shown], entail: Entail, threshold: float
) -> bool:
    read = sentence.cited[:MOST_MARKERS]
    if not read or any(id not in passages for id in read):
        return False
    return _entailed(sentence.text, read, passages, entail, threshold)


def _entailed(
    text: str,
    cited: Sequence[str],
    passages: Mapping[str, Shown],
    entail: Entail,
    threshold: float,
) -> bool:
    if not cited:
        return False
    premise = "\n".join(passages[id].premise for id in cited)
    return entail(premise, text) >= threshold
