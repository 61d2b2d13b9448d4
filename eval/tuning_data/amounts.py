"""Questions from sentences with numbers, dates, amounts of money and how often."""

from __future__ import annotations

import re

from eval.tuning_data.pair import Pair
from eval.tuning_data.plain import is_free_of_pointers, is_subject

_END = r"[.!]?$"
_SUBJECT = r"^(?P<subject>[A-Z0-9][^,.;:!?]{1,70}?)"
_COUNT = (
    r"(?:\d[\d,.]*|one|two|three|four|five|six|seven|eight|nine|ten|eleven|twelve|fifteen|twenty|"
    r"thirty|forty|sixty|ninety)"
)
_BOUND = r"(?:up to|at least|at most|no more than|a minimum of|a maximum of|about|around|between)"
_UNIT = r"(?:business |working |calendar |full |paid )?(?:minute|hour|day|week|month|year)s?"
_NUMBER = rf"(?:{_BOUND} )?{_COUNT}(?:(?: ?(?:-|–|to|or|and) ?){_COUNT})?"
_TIME = rf"{_NUMBER} {_UNIT}"
_MONEY = rf"(?:{_BOUND} )?[$€£]\d[\d,.]*(?:\d|(?: (?:million|billion)))?"
_MONTH = (
    r"(?:January|February|March|April|May|June|July|August|September|October|November|December)"
)
_DATE = rf"(?:{_MONTH}(?: \d{{1,2}})?(?:,? \d{{4}})?|\d{{1,2}} {_MONTH}(?: \d{{4}})?|(?:19|20)\d\d)"
_OFTEN = (
    r"(?:(?:once|twice|three times) (?:a|per|every) (?:day|week|month|quarter|year)|every "
    r"(?:other |two |three |four |six )?(?:day|week|month|quarter|year|Monday|Tuesday|Wednesday|"
    r"Thursday|Friday)s?|daily|weekly|biweekly|monthly|quarterly|annually|yearly)"
)

_IN = re.compile(rf"^(?P<opener>In|On) (?P<date>{_DATE}), (?P<answer>[^:;]{{20,}}?){_END}")
_LASTS = re.compile(
    rf"{_SUBJECT} (?:(?P<s>takes|lasts)|(?P<p>take|last)|"
    rf"(?P<m>(?:can|will|may|should) (?:take|last)))"
    rf" (?P<answer>{_TIME})(?P<rest> to [^,;:]+?)?{_END}"
)
_YOU_HAVE = re.compile(
    rf"^You (?P<verb>have|get|receive|(?:can|may|must) (?:take|use|request|have|work)) "
    rf"(?P<answer>{_NUMBER}) (?P<noun>(?:[a-z-]+ )?[a-z-]+s(?: of [^,;:]+?)?)"
    rf"(?P<rest> (?:to|per|for|each|before|after|in|every) [^,;:]+?)?{_END}"
)
_COSTS = re.compile(
    rf"{_SUBJECT} (?:(?P<s>costs)|(?P<p>cost)|(?P<is>is|are)) (?P<answer>{_MONEY}"
    rf"(?: (?:a|per|each) \w+)?)(?: with [^,;:]+)?{_END}"
)
_HAPPENED = re.compile(
    rf"{_SUBJECT} (?P<verb>was|were) (?:\w+ly )?"
    rf"(?P<how>[a-z]+ed|built|held|written|begun|made|set up)"
    rf"(?P<rest> (?:within|by|at|as) [^,;:]{{1,50}}?)? (?:in|on) (?P<answer>{_DATE})\b"
)
_REGULARLY = re.compile(
    rf"{_SUBJECT} (?:(?P<s>meets|happens|occurs|takes place|runs)|"
    rf"(?P<p>meet|happen|occur|take place|run)|"
    rf"(?P<is>is|are) (?P<how>held|updated|reviewed|published|sent|released|paid|issued)) "
    rf"(?P<answer>{_OFTEN})\b"
)
_AT_LEAST = re.compile(
    rf"{_SUBJECT} (?P<modal>must|should|can|may) (?P<verb>be|have|contain|include|last|take) "
    rf"(?P<answer>{_BOUND} {_COUNT}) (?P<noun>[a-z]+s)(?P<long> long| old)?{_END}"
)
_WITHIN = re.compile(
    rf"{_SUBJECT} (?P<modal>must|should|will|can|may) (?P<how>be \w+ed|be sent|be made) "
    rf"(?P<answer>within {_TIME})(?P<rest> (?:of|after|from) [^,;:]+?)?{_END}"
)
_DUE = re.compile(
    rf"{_SUBJECT} (?P<verb>is|are) due (?P<answer>(?:by|on|every|within|at) [^,;:]+?){_END}"
)
_SINGLE = {
    "meets": "meet", "happens": "happen", "occurs": "occur", "takes place": "take place",
    "runs": "run", "takes": "take", "lasts": "last",
}  # fmt: skip


def how_long(sentence: str) -> list[Pair]:
    """ "The review takes two weeks." asks how long it takes."""
    found = _LASTS.match(sentence)
    if found is None or not is_subject(found["subject"]):
        return []
    verb = found["s"] or found["p"] or found["m"]
    if found["m"]:
        modal, verb = verb.split()
    else:
        modal, verb = ("does", _SINGLE[verb]) if found["s"] else ("do", verb)
    return _asked(found, f"How long {modal} {{subject}} {verb}{found['rest'] or ''}?", "how long")


def how_many(sentence: str) -> list[Pair]:
    """ "You have 30 days to appeal." and "A password must have at least 14 characters.\""""
    if found := _YOU_HAVE.match(sentence):
        verb, rest = found["verb"], found["rest"] or ""
        modal, _, own = verb.rpartition(" ")
        asked = f"How many {found['noun']} {modal or 'do'} you {own}{rest}?"
        return (
            [Pair(asked, *found.span("answer"), "how many")] if is_free_of_pointers(asked) else []
        )
    found = _AT_LEAST.match(sentence)
    if (
        found is None
        or not is_subject(found["subject"])
        or (found["verb"] == "be") != bool(found["long"])
    ):
        return []
    counted = f"{found['noun']}{found['long'] or ''}"
    asked = f"How many {counted} {found['modal']} {{subject}} {found['verb']}?"
    return _asked(found, asked, "how many")


def how_much(sentence: str) -> list[Pair]:
    found = _COSTS.match(sentence)
    if found is None or not is_subject(found["subject"]):
        return []
    if found["is"]:
        return _asked(found, f"How much {found['is']} {{subject}}?", "how much")
    return _asked(found, f"How much {'does' if found['s'] else 'do'} {{subject}} cost?", "how much")


def when(sentence: str) -> list[Pair]:
    """Dates, deadlines and how often."""
    if (found := _HAPPENED.match(sentence)) and is_subject(found["subject"]):
        return _asked(
            found, f"When {found['verb']} {{subject}} {found['how']}{found['rest'] or ''}?", "when"
        )
    if (found := _DUE.match(sentence)) and is_subject(found["subject"]):
        return _asked(found, f"When {found['verb']} {{subject}} due?", "when")
    if (found := _WITHIN.match(sentence)) and is_subject(found["subject"]):
        return _asked(found, f"When {found['modal']} {{subject}} {found['how']}?", "when")
    if (found := _REGULARLY.match(sentence)) and is_subject(found["subject"]):
        if found["is"]:
            return _asked(
                found, f"How often {found['is']} {{subject}} {found['how']}?", "how often"
            )
        verb = _SINGLE[found["s"]] if found["s"] else found["p"]
        return _asked(
            found, f"How often {'does' if found['s'] else 'do'} {{subject}} {verb}?", "how often"
        )
    return []


def what_happened(sentence: str) -> list[Pair]:
    """ "In 2014, X opened." asks what happened then."""
    found = _IN.match(sentence)
    if found is None or not is_free_of_pointers(found["answer"]):
        return []
    if not re.search(r"\b(?:was|were|became|began|had|won|\w+ed)\b", found["answer"]):
        return []
    asked = f"What happened {found['opener'].lower()} {found['date']}?"
    return [Pair(asked, *found.span("answer"), "happened")]


def _asked(found: re.Match[str], asked: str, rule: str) -> list[Pair]:
    question = asked.format(subject=found["subject"])
    if not is_free_of_pointers(question) or not is_free_of_pointers(found["answer"]):
        return []
    end = found.end("answer")
    return [Pair(question, found.start("answer"), end, rule)]
