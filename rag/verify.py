"""Support: how far passages bear out a sentence, from their words alone.

The share of the sentence's content words (stemmed) that occur in the evidence, a strong base
measure of attribution; a number, date or name that the evidence lacks, and a negation that only
one side has, are vetoes. Knows no model.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass

from rag.analyse import analyse
from rag.sentences import units

_NUMBER = re.compile(r"(?<![\w.])[-−]?\d[\d,]*(?:\.\d+)?")
_NAME = re.compile(r"(?<![.!?\"“‘(]\s)(?<!^)\b[A-ZÀ-Þ][\w’'-]+")
NEGATION = re.compile(
    r"\b(?:not|no|never|none|neither|nor|without|cannot|can't|won't|n't|isn't|aren't|doesn't|"
    r"don't|didn't|wasn't|weren't|mustn't|shouldn't)\b",
    re.IGNORECASE,
)
_YES_NO = re.compile(r"^(yes|no)\b[\s,.;:!]*", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Support:
    """`score` in [0, 1]; `vetoes` name what contradicted or was missing."""

    score: float
    vetoes: tuple[str, ...] = ()


class Lexical:
    """The verifier port by words alone."""

    identity = "lexical-1"

    def support(self, evidence: str, sentence: str, question: str) -> float:
        return check_answer(evidence, sentence, question).score


def support(evidence: str, sentence: str) -> float:
    """The score of `check`."""
    return check(evidence, sentence).score


def check(evidence: str, sentence: str) -> Support:
    """How far `evidence` supports `sentence`. An empty sentence is not supported."""
    claim = sentence.strip()
    words = analyse(claim)
    if not words:
        return Support(0.0, ("nothing is said",))
    known, numbers = set(analyse(evidence)), _numbers(evidence)
    precision = sum(w in known or _plain_number(w) in numbers for w in words) / len(words)
    vetoes = [*missing_numbers(evidence, claim), *missing_names(known, claim)]
    if precision > 0 and not vetoes and _negation_differs(evidence, claim):
        vetoes.append("negation")
    return Support(0.0 if vetoes else precision, tuple(vetoes))


def check_answer(evidence: str, sentence: str, question: str) -> Support:
    """Support of a sentence that answers `question`. A bare yes or no says the question itself:
    then the evidence must hold the question's words."""
    said = _YES_NO.match(sentence.strip())
    if said is None:
        return check(evidence, sentence)
    rest = sentence.strip()[said.end() :]
    if analyse(rest):
        return check(evidence, rest)
    words, known = set(analyse(question)), set(analyse(evidence))
    return Support(len(words & known) / len(words) if words else 0.0)


def missing_numbers(evidence: str, claim: str) -> list[str]:
    """Numbers of the claim, as written, whose value the evidence lacks."""
    have = _numbers(evidence)
    return [n for n in _NUMBER.findall(_folded(claim)) if _plain_number(n) not in have]


def _numbers(text: str) -> set[str]:
    return set(map(_plain_number, _NUMBER.findall(_folded(text))))


def _plain_number(number: str) -> str:
    plain = number.replace(",", "").replace("−", "-").lstrip("-")
    return plain.rstrip("0").rstrip(".") if "." in plain else plain


def missing_names(known: set[str], claim: str) -> list[str]:
    """Capitalised words inside the sentence of which no part occurs in the evidence."""
    return [
        name
        for name in _NAME.findall(claim)
        if (parts := analyse(name)) and not any(part in known for part in parts)
    ]


def _negation_differs(evidence: str, claim: str) -> bool:
    """Whether the sentence of the evidence that is nearest to the claim negates and the claim does
    not, or the other way round; only where the two share most of their words."""
    words = set(analyse(claim))
    if len(words) < 3:
        return False
    best, share = "", 0.0
    for start, end in units(evidence):
        have = set(analyse(evidence[start:end]))
        overlap = len(words & have) / len(words)
        if overlap > share:
            best, share = evidence[start:end], overlap
    if share < 0.8 or claim.rstrip(".") in best:
        return False
    return bool(NEGATION.search(claim)) != bool(NEGATION.search(best))


def _folded(text: str) -> str:
    return unicodedata.normalize("NFKC", text)
