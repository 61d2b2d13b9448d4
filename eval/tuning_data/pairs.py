"""All pairs that the rules find in one passage."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence

from eval.tuning_data import advice, amounts, statements
from eval.tuning_data.pair import Pair, Rule, fits, recased
from rag.sentences import units

RULES: tuple[Rule, ...] = (
    statements.what_it_is,
    statements.what_it_is_for,
    statements.what_it_does,
    statements.what_it_stands_for,
    amounts.how_long,
    amounts.how_many,
    amounts.how_much,
    amounts.when,
    amounts.what_happened,
    advice.what_to_do,
    advice.how_to,
)
_ITEM = re.compile(r"(?:[-*•]|\d{1,2}[.)])\s+")
_FEWEST = 4  # words of a sentence


def pairs(text: str, headings: Sequence[str] = ()) -> list[Pair]:
    """Questions with their answers as spans of `text`, in its order. An answer occurs once in the
    passage, and no question twice: what the passage answers in two ways is left out."""
    found = [*_under_heading(text, headings)]
    for start, end in units(text):
        start += _mark(text[start:end])
        sentence = text[start:end]
        if len(sentence.split()) < _FEWEST:
            continue
        for rule in RULES:
            found += [
                _moved(made, recased(made.question, sentence, text), start)
                for made in rule(sentence)
                if fits(made, sentence)
            ]
    asked = Counter(pair.question.lower() for pair in found)
    return [
        pair
        for pair in sorted(found, key=lambda pair: pair.start)
        if asked[pair.question.lower()] == 1 and text.count(text[pair.start : pair.end]) == 1
    ]


def _moved(pair: Pair, question: str, by: int) -> Pair:
    return Pair(question, by + pair.start, by + pair.end, pair.rule)


def _mark(line: str) -> int:
    """The length of a list item's mark."""
    found = _ITEM.match(line)
    return found.end() if found else 0


def _under_heading(text: str, headings: Sequence[str]) -> list[Pair]:
    """The section's own heading opens its first chunk; only there the first sentence is known to
    be the section's first."""
    if not headings or not text.startswith(headings[-1]):
        return []
    body = text[len(headings[-1]) :]
    at = len(text) - len(body.lstrip())
    made = advice.under_question(headings[-1], text[at:])
    return [_moved(pair, pair.question, at) for pair in made if fits(pair, text[at:])]
