"""Personal data in a text: e-mail addresses, telephone numbers, IBANs, payment cards and national
ids. Names of persons are not looked for.

Every pattern is bounded, so that a text of any size takes time linear in its length; what a pattern
finds must also be valid by its check digits (`stdnum`) or numbering plan (`phonenumbers`).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

import stdnum.iban
import stdnum.luhn

from ingestion.care.national import NATIONAL
from ingestion.care.phones import phones
from rag.domain import Finding, FindingKind
from rag.layout import MASK

_EMAIL = re.compile(
    r"(?<![\w.%+-])[\w%+-](?:[\w.%+-]{0,62}[\w%+-])?@"
    r"(?:[^\W_](?:[\w-]{0,61}[^\W_])?\.){1,6}[^\W\d_]{2,24}(?![\w@-])"
)
_IBAN = re.compile(r"(?<![A-Za-z0-9])[A-Z]{2}\d{2}(?:[ \u00a0-]?[A-Z0-9]){11,30}")
_CARD = re.compile(r"(?<![\w.,/+-])[2-6]\d{3}(?:[ \u00a0-]?\d){9,15}(?!\w|[.,/-]\d)")
# ISO/IEC 7812 issuer ranges and lengths of the networks in use.
_ISSUERS = re.compile(
    r"4\d{12}(?:\d{3}){0,2}|(?:5[1-5]\d\d|222[1-9]|22[3-9]\d|2[3-6]\d\d|27[01]\d|2720)\d{12}"
    r"|3[47]\d{13}|(?:6011|65\d\d|64[4-9]\d)\d{12}|3(?:0[0-5]|[68]\d)\d{11}|35\d{14}|62\d{14,17}"
    r"|(?:50|5[6-9]|6[37])\d{10,17}"
)
_SHORTEST_IBAN = 15
_ROUNDS = 16  # what stood right beside something found is seen once that is hidden; so many deep


def personal(text: str, language: str) -> list[Finding]:
    """What was found, in order, without overlaps; `detail` is email, iban, card, phone or
    "national id XX" with the country."""
    found: list[Finding] = []
    for _ in range(_ROUNDS):
        new = _once(text, language)
        found += new
        if not new:
            break
        text = hidden(text, new)
    return sorted(found, key=lambda one: one.start)


def hidden(text: str, places: Sequence[Finding]) -> str:
    """The text with MASK for every character of the places, which are in order, so that every
    offset stays right."""
    parts, at = [], 0
    for place in places:
        parts += [text[at : place.start], MASK * (place.end - place.start)]
        at = place.end
    return "".join([*parts, text[at:]])


def _once(text: str, language: str) -> list[Finding]:
    found: list[Finding] = []
    taken: set[int] = set()  # characters, of which personal data has few
    for detail, start, end in _candidates(text, language):
        if taken.isdisjoint(range(start, end)):
            taken.update(range(start, end))
            found.append(Finding(FindingKind.PERSONAL, detail, start, end))
    return sorted(found, key=lambda one: one.start)


def _candidates(text: str, language: str) -> Iterator[tuple[str, int, int]]:
    """The surer kinds first."""
    if "@" in text:
        yield from (("email", *match.span()) for match in _EMAIL.finditer(text))
    yield from (("iban", *span) for span in _ibans(text))
    for match in _CARD.finditer(text):
        digits = re.sub(r"\D", "", match[0])
        if _ISSUERS.fullmatch(digits) and stdnum.luhn.is_valid(digits):
            yield "card", *match.span()
    for kind in NATIONAL:
        for match in kind.form.finditer(text):
            if kind.holds(text, *match.span()):
                yield f"national id {kind.country}", *match.span()
    yield from (("phone", *span) for span in phones(text, language))


def _ibans(text: str) -> Iterator[tuple[int, int]]:
    """A candidate may run on into the words behind it: its longest valid beginning counts."""
    for match in _IBAN.finditer(text):
        ends = [i + 1 for i in range(match.start(), match.end()) if text[i].isalnum()]
        for end in reversed(ends[_SHORTEST_IBAN - 1 :]):
            if stdnum.iban.is_valid(text[match.start() : end].replace("\u00a0", " ")):
                yield match.start(), end
                break
