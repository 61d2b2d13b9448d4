"""A question with its answer as an exact span of a passage."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

from eval.tuning_data.plain import ARTICLES, words

LONGEST_QUESTION = 22  # words
LONGEST_ANSWER = 30


@dataclass(frozen=True, slots=True)
class Pair:
    """`text[start:end]` of the sentence (or passage) that the rule was given answers `question`.
    `rule` names the rule that made it."""

    question: str
    start: int
    end: int
    rule: str


Rule = Callable[[str], list[Pair]]


def fits(pair: Pair, sentence: str) -> bool:
    """Whether question and answer are short enough, and the answer is whole words on one line."""
    answer = sentence[pair.start : pair.end]
    return (
        0 < len(words(answer)) <= LONGEST_ANSWER
        and len(words(pair.question)) <= LONGEST_QUESTION
        and answer == answer.strip()
        and answer.count("(") == answer.count(")")
        and not re.search(r"[\n|{}<>]|https?:", answer + pair.question)
    )


def recased(question: str, sentence: str, passage: str) -> str:
    """The question with the word that opened the sentence in lower case, where that is an article
    or how the passage writes it elsewhere: "What is the form for?", but "What is Concur?"."""
    first, _, rest = sentence.partition(" ")
    lower = first.lower()
    usual = rf"(?<![.!?:] )(?<!^)(?<!- )\b{re.escape(lower)}\b"
    plain = first[1:] == lower[1:] and not rest[:1].isupper()
    if lower in ARTICLES or (plain and re.search(usual, passage, re.MULTILINE)):
        return re.sub(rf"(?<=\w ){re.escape(first)}\b", lower, question, count=1)
    return question
