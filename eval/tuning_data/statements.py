"""Questions from sentences that say what something is, does or stands for."""

from __future__ import annotations

import re

from eval.tuning_data.pair import Pair
from eval.tuning_data.plain import is_free_of_pointers, is_subject

_END = r"[.!]?$"
_SUBJECT = r"^(?P<subject>[A-Z0-9][^,.;:!?]{1,70}?)"
_IS = re.compile(rf"{_SUBJECT} (?P<verb>is|are|was|were) (?P<answer>(?:an?|the|one of) .+?){_END}")
_AIM = re.compile(
    rf"^(?P<subject>(?:The|Your|A|An) [^,.;:!?]{{0,20}}?(?:goal|purpose|mission|role|aim|objective|"
    rf"job|intent|task|duty)s? of [^,.;:!?]{{1,60}}?) (?P<verb>is|are|was|were) "
    rf"(?P<answer>(?:to|that) .+?){_END}"
)
_RESPONSIBLE = re.compile(rf"{_SUBJECT} (?P<verb>is|are) responsible for (?P<answer>.+?){_END}")
_USED = re.compile(rf"{_SUBJECT} (?P<verb>is|are) used (?P<answer>to .+?|for .+?){_END}")
_PLACE = re.compile(
    rf"{_SUBJECT} (?P<verb>is|are) (?P<how>located|stored|kept|published|documented|listed) "
    rf"(?P<answer>(?:in|at|on) [^,;:]+?){_END}"
)
_BASE = {
    "means": "mean", "includes": "include", "provides": "provide", "requires": "require",
    "covers": "cover", "contains": "contain", "supports": "support", "offers": "offer",
    "manages": "manage", "oversees": "oversee", "maintains": "maintain",
    "consists of": "consist of",
    "stands for": "stand for", "focuses on": "focus on", "depends on": "depend on",
}  # fmt: skip
_VERB = "|".join([*_BASE, *_BASE.values()])
_DOES = re.compile(rf"{_SUBJECT} (?P<verb>{_VERB}) (?P<answer>[^:]+?){_END}")
_SHORT = re.compile(r"(?P<long>(?:[A-Za-z][\w’'&/-]* ){1,7})\((?P<short>[A-Z][A-Za-z&]{1,7})\)")


def what_it_is(sentence: str) -> list[Pair]:
    """ "The X is a Y." asks what the X is; "The goal of X is to Y." what its goal is."""
    found = _AIM.match(sentence)
    if found is None:
        found = _IS.match(sentence)
        if found is None or not is_subject(found["subject"]):
            return []
    if found["answer"].lower().startswith(("the same", "the following", "the only", "a must")):
        return []
    return _pairs(found, "What {verb} {subject}?", "is")


def what_it_is_for(sentence: str) -> list[Pair]:
    """Responsibilities, uses and places."""
    pairs: list[Pair] = []
    if (found := _RESPONSIBLE.match(sentence)) and is_subject(found["subject"]):
        pairs += _pairs(found, "What {verb} {subject} responsible for?", "responsible")
    elif (found := _USED.match(sentence)) and is_subject(found["subject"]):
        pairs += _pairs(found, "What {verb} {subject} used for?", "used")
    elif (found := _PLACE.match(sentence)) and is_subject(found["subject"]):
        asked = f"Where {{verb}} {{subject}} {found['how']}?"
        pairs += _pairs(found, asked, "place")
    return pairs


def what_it_does(sentence: str) -> list[Pair]:
    """ "X includes Y." asks what X includes."""
    found = _DOES.match(sentence)
    if found is None or not is_subject(found["subject"]):
        return []
    verb, base = found["verb"], _BASE.get(found["verb"])
    if re.match(r"(?:that|how|whether|you|us|them|it|to)\b", found["answer"]):
        return []
    asked = f"What {'do' if base is None else 'does'} {{subject}} {base or verb}?"
    return _pairs(found, asked, "does")


def what_it_stands_for(sentence: str) -> list[Pair]:
    """ "General Services Administration (GSA)" asks what GSA stands for."""
    pairs = []
    for found in _SHORT.finditer(sentence):
        letters = [c.lower() for c in found["short"] if c.isalpha() and c.isupper()]
        parts = list(re.finditer(r"[\w’'&]+", found["long"]))
        for first in range(len(parts)):
            run = [p for p in parts[first:] if p[0].lower() not in ("of", "and", "the", "for", "&")]
            initials = [p[0][0].lower() for p in run]
            opens = parts[first][0].lower() not in ("of", "and", "the", "for")
            if opens and initials == letters and len(letters) > 1:
                start, end = found.start("long") + parts[first].start(), found.end("long") - 1
                several = "do" if found["short"].endswith("s") else "does"
                asked = f"What {several} {found['short']} stand for?"
                pairs.append(Pair(asked, start, end, "stands for"))
                break
    return pairs


def _pairs(found: re.Match[str], asked: str, rule: str) -> list[Pair]:
    if not is_free_of_pointers(found["answer"]) or not is_free_of_pointers(found["subject"]):
        return []
    question = asked.format(verb=found["verb"], subject=found["subject"])
    return [Pair(question, *found.span("answer"), rule)]
