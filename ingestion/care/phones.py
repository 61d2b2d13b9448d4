"""Telephone numbers: written so that a reader takes them for one, and valid in some country."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import lru_cache

import phonenumbers

# An international number, one with a trunk prefix and a separator, an American one, or any that
# is called a telephone number: digits alone are amounts, orders and years.
_PHONE = re.compile(
    r"(?<![\w.,:/+-])(?:"
    r"(?P<abroad>(?:\+ ?|00)[1-9]\d{0,2}(?:[ \u00a0./-]{0,2}\(?\d{1,5}\)?){1,6})"
    r"|(?P<trunk>\(?0[1-9]\d{0,4}\)?[ \u00a0/-]{1,3}\d{2,8}(?:[ \u00a0/-]\d{1,6}){0,4})"
    r"|(?P<american>(?:\(\d{3}\) ?|\d{3}[-. ])\d{3}[-. ]\d{4})"
    r"|(?P<called>\(?\d{2,5}\)?(?:[ \u00a0./-]{0,2}\d{2,8}){1,5})"
    r")(?!\w|[.,/-]\d)"
)
_CALLED = re.compile(
    r"(?:\btel\b|telefon|telephone|phone|\bfax|\bmobil|\bcell|\bcall|handy|"
    r"durchwahl|rufnummer|tél|portable|móvil|whatsapp|sms)[^\d\n]{0,20}$",
    re.IGNORECASE,
)
_OTHER = re.compile(
    r"\d{3}-\d{2}-\d{4}|\d{1,2}[./-]\d{1,2}[./-](?:\d{2}|\d{4})|\d{4}-\d{1,2}-\d{1,2}"
)
_NAMED_WITHIN = 30
_REGIONS = {
    "de": ("DE", "AT", "CH"),
    "en": ("US", "GB", "IE", "AU"),
    "fr": ("FR", "BE", "CH"),
    "es": ("ES", "MX"),
    "it": ("IT", "CH"),
    "nl": ("NL", "BE"),
    "pl": ("PL",),
    "pt": ("PT", "BR"),
    "sv": ("SE",),
    "da": ("DK",),
    "nb": ("NO",),
    "no": ("NO",),
    "fi": ("FI",),
    "cs": ("CZ",),
}
_ANYWAY = ("DE", "US", "GB", "FR")


def phones(text: str, language: str) -> Iterator[tuple[int, int]]:
    """Spans, in order. A number without its country's prefix is read as one of the countries where
    `language` (ISO 639-1) is spoken, and of the largest around."""
    regions = tuple(dict.fromkeys((*_REGIONS.get(language, ()), *_ANYWAY)))
    for found in _PHONE.finditer(text):
        start, written = found.start(), found[0]
        kind = found.lastgroup
        if _OTHER.fullmatch(written):
            continue
        if kind == "called" and not _CALLED.search(text, max(0, start - _NAMED_WITHIN), start):
            continue
        where = ("US",) if kind == "american" else regions
        if _valid(written, where):
            yield start, found.end()


@lru_cache(maxsize=10_000)
def _valid(written: str, regions: tuple[str, ...]) -> bool:
    return any(_valid_in(written, region) for region in regions)


def _valid_in(written: str, region: str) -> bool:
    if written.startswith("00"):
        written = "+" + written[2:]
    try:
        return phonenumbers.is_valid_number(phonenumbers.parse(written, region))
    except phonenumbers.NumberParseException:
        return False
