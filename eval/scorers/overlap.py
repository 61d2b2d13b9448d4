"""How much of an answer's wording stands in the passages. No model needed.

K-precision: Adlakha et al. 2023 (arXiv 2307.16877). Stemmed content-word precision of the whole
answer against all passages agreed best with people among cheap features.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence

import Stemmer

from eval.scorers.squad import tokens

# The closed-class words of English; what is left carries the content. Negation is content.
_FUNCTION_TEXT = (
    "a about above after again all also an and any are as at be because been before being "
    "below between both but by can could did do does doing down during each few for from "
    "further had has have having he her here hers him his how i if in into is it its itself "
    "just may me might more most must my of off on once only or other our out over own same "
    "shall she should so some such than that the their them then there these they this those "
    "through to too under until up us very was we were what when where which while who whom "
    "why will with would you your "
)
_FUNCTION_WORDS = frozenset(_FUNCTION_TEXT.split())
_WORD = re.compile(r"\w+(?:[.,]\d+)*")


def k_precision(answer: str, passages: Sequence[str]) -> float | None:
    """Multiset overlap of answer tokens with passage tokens / answer tokens; None when the answer
    has no token."""
    said = Counter(tokens(answer))
    if not said:
        return None
    given = Counter(token for passage in passages for token in tokens(passage))
    return sum((said & given).values()) / said.total()


def content_precision(answer: str, passages: Sequence[str]) -> float | None:
    """Share of the answer's stemmed content words that occur in a passage; None when it has
    none."""
    said = content_stems(answer)
    if not said:
        return None
    given = {stem for passage in passages for stem in content_stems(passage)}
    return sum(stem in given for stem in said) / len(said)


def content_stems(text: str) -> list[str]:
    words = [word for word in _WORD.findall(text.lower()) if word not in _FUNCTION_WORDS]
    stemmer = Stemmer.Stemmer("english")  # not shared: it is not safe between threads
    stems: list[str] = stemmer.stemWords(words)
    return stems
