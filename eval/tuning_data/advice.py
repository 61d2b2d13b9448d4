"""Questions from sentences that say what to do, and from headings that are questions."""

from __future__ import annotations

import re

from eval.tuning_data.pair import Pair
from eval.tuning_data.plain import is_free_of_pointers, points_away, words

_TOLD = "|".join(
    words(
        """add ask attach book bring call change check choose click come complete connect consult
        contact create email enter file fill find follow get give go include install join keep let
        log look make message notify open post provide reach refer register reply report request
        review run save schedule search see select send set share sign speak start submit talk tell
        try update upload use visit work write"""
    )
)
_VAGUE = frozenset(
    words(
        """more question questions sure help issue issues problem problems info started start learn
        common mistakes"""
    )
)
_YOU = r"(?:you(?:'ll| will)? (?:must|should|need to|can|may) )?"
_DO = rf"(?:please )?(?P<answer>{_YOU}(?:{_TOLD})\b[^:]+?)"
_IF = re.compile(
    rf"^(?P<link>If|When|Before|After|Once) (?P<clause>[^,;:.!?]{{6,90}}), (?:then )?{_DO}[.!]?$",
)
_TO = re.compile(rf"^To (?P<clause>[a-z]+ [^,;:.!?]{{4,80}}), {_DO}[.!]?$")
_CLAUSE = re.compile(r"(?:you|your|a|an|the|someone)\b|[A-Z]")
_ASKS = re.compile(
    r"(?:what|when|where|which|can|could|do|does|did|is|are|was|were|should|"
    r"will|would|may|must|has|have)\b.*\?$",
    re.IGNORECASE,
)


def what_to_do(sentence: str) -> list[Pair]:
    """ "If your badge is lost, call X." asks what you should do then."""
    found = _IF.match(sentence)
    if found is None or not _CLAUSE.match(found["clause"]):
        return []
    clause = found["clause"]
    if points_away(found["answer"]) or not _says_enough(clause):
        return []
    asked = f"What should you do {found['link'].lower()} {clause}?"
    return [Pair(asked, *found.span("answer"), "what to do")]


def how_to(sentence: str) -> list[Pair]:
    """ "To request leave, submit X." asks how you request leave."""
    found = _TO.match(sentence)
    if found is None or points_away(found["answer"]) or not _says_enough(found["clause"]):
        return []
    asked = f"How do you {found['clause']}?"
    return [Pair(asked, *found.span("answer"), "how to")]


def _says_enough(clause: str) -> bool:
    """Whether the clause names its case in words of its own: not only "if you are not sure"."""
    said = [
        w for w in words(clause) if not re.fullmatch(r"(?:you|your|are|have|an?|the|any)\b.*", w)
    ]
    return (
        is_free_of_pointers(clause)
        and len(said) >= 2
        and not (len(said) <= 3 and _VAGUE.intersection(said))
    )


def under_question(heading: str, body: str) -> list[Pair]:
    """A heading that is a question asks itself; the first sentence below it answers. Offsets are
    those in `body`, the text below the heading."""
    asked = heading.strip()
    if not _ASKS.match(asked) or len(words(asked)) < 4 or not is_free_of_pointers(asked):
        return []
    found = re.match(r"(?P<answer>[A-Z][^\n:]{20,240}?[.!])(?=\s|$)", body)
    if found is None or not _answers(asked, found["answer"]):
        return []
    return [Pair(asked, *found.span("answer"), "heading")]


def _answers(asked: str, answer: str) -> bool:
    """Whether the sentence is about what is asked: it shares two words of substance with it, stands
    alone and is no question."""
    plain = {w.rstrip("s") for w in words(asked) if len(w) > 3} - {"what", "when", "where", "which"}
    shared = plain & {w.rstrip("s") for w in words(answer)}
    opening = words(answer)[0]
    stands_alone = is_free_of_pointers(answer) and opening not in ("and", "but", "so", "also")
    return len(shared) > 1 and stands_alone and "?" not in answer
