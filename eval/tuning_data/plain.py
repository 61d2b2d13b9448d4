"""What can stand in a question by itself: phrases that name their thing and point nowhere else."""

from __future__ import annotations

import re

_WORD = re.compile(r"[\w’'-]+")


def words(text: str) -> list[str]:
    return [word.lower() for word in _WORD.findall(text)]


ARTICLES = ("the", "a", "an", "your")
_POINTING = frozenset(
    words(
        """it its itself this that these those they them their theirs there here he him his she her
        hers we us our ours i me my such same above below following former latter another other
        others either neither both each"""
    )
)
_AWAY = frozenset(("above", "below", "following", "here", "this", "these"))
_VERBS = frozenset(
    words(
        """is are was were be been being am has have had do does did will would can could may might
        must should shall cannot that which who whom whose where when while if because although
        since unless until not to so but or than how why what"""
    )
)
_OPENERS = frozenset(
    words(
        """in on at by with from for of as after before during under over through without within
        about also and however therefore then thus instead otherwise additionally finally first
        second third next last lastly note please all any some many most few several none no yes
        one two three let don't make every not only even just once again still sometimes usually
        often generally typically common recent additional example examples remember part"""
    )
)
_ADVERBS = frozenset(words("also typically usually often generally only then always never now"))
_NEVER_LAST = frozenset(words("and or of the a an in on for to with by at"))


def is_subject(text: str) -> bool:
    """Whether the text can stand alone as what a question is about: a noun phrase that names its
    thing. Nothing that points elsewhere in the page, no clause, and no bare "the form"."""
    found = words(text)
    if not 1 <= len(found) <= 9 or re.search(r"[,;:!?\"“”\[\]]| [-–] ", text):
        return False
    if found[0] in _OPENERS or found[-1] in _NEVER_LAST or text.count("(") != text.count(")"):
        return False
    if any(word in _POINTING | _VERBS | _ADVERBS for word in found):
        return False
    if found[0].endswith(("ing", "ly")):
        return False
    rest = found[1:] if found[0] in ARTICLES else found
    named = any(c.isupper() for c in text[1:]) or len(rest) > 1
    return bool(rest) and (named or found[0] in ("a", "an", "your"))


def is_free_of_pointers(text: str) -> bool:
    """Whether nothing in the text points to what stands elsewhere."""
    return not any(word in _POINTING - {"that", "such", "other", "each"} for word in words(text))


def points_away(text: str) -> bool:
    """Whether the text sends its reader to another place on the page."""
    return any(word in _AWAY for word in words(text))
